"""Lowering as a step: the model becomes ONNX, so that steps on ONNX can follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from trimwatt.framework import onnx as framework
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.workload import Workload


@dataclass(frozen=True)
class Lower(Technique):
    """Convert the fitted model to ONNX; preprocessing and decision stay apart from it."""

    name: ClassVar[str] = "lower"
    family: ClassVar[str] = "runtime"
    group: ClassVar[str] = "lower"
    stage: ClassVar[Stage] = "lower"
    reference: ClassVar[str] = "ONNX, https://onnx.ai; skl2onnx, https://onnx.ai/sklearn-onnx"
    needs: ClassVar[frozenset[str]] = frozenset({"onnx", "sklearn", "torch"})
    gives: ClassVar[str | None] = "onnx"
    books: ClassVar[str] = "export"


@applies_to(Lower, "onnx", "sklearn", "torch")
def _lower(technique: Lower, workload: Workload) -> Workload:
    return framework.lower(workload)
