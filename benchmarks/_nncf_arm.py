"""A model in OpenVINO's own form, opened as trimwatt opens any other in that runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimwatt.compare.host import answering
from trimwatt.runtime.openvino import OpenVinoSession
from trimwatt.scenario import Scenario
from trimwatt.workload import Rows


def serve(
    model: Path, labels: list[str] | None, scenario: Scenario, rows: Rows
) -> Callable[[tuple[Any, ...]], Any]:  # fmt: skip
    """The handler of a process that answers by `model`, an .xml file; see `trimwatt.compare.host.serve`."""
    return answering(OpenVinoSession(model, scenario, "f32", labels), scenario, rows)
