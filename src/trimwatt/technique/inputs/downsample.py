"""Pictures at a lower resolution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, applies_to
from trimwatt.workload import Workload

RECALIBRATION_ROWS = 1000


@dataclass(frozen=True)
class Downsample(Technique):
    """Average the pixels of each square before a network sees them: a quarter of the work for half of the resolution.

    For networks that take pictures of any size, as those that end in global pooling do. Fine-tuning usually follows.
    factor: pixels a side of a square, from 2; what is left over at the edges is an average of fewer. recalibrate:
    estimate batch normalization anew on training rows.
    """

    name: ClassVar[str] = "downsample"
    family: ClassVar[str] = "resolution"
    group: ClassVar[str] = "inputs"
    shrinks: ClassVar[frozenset[str]] = frozenset({"macs"})
    reference: ClassVar[str] = (
        "Howard et al. 2017, arXiv:1704.04861 (resolution multiplier); Touvron et al. 2019, arXiv:1906.06423"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"torch"})

    factor: int = 2
    recalibrate: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.factor, int) or self.factor < 2:
            raise InputError(f"factor is pixels a side, a whole number from 2, got {self.factor!r}")

    def suits(self, workload: Workload) -> str:
        return "" if workload.rows.kind == "image" else "rows are no pictures"


@applies_to(Downsample, "torch")
def _pooled(technique: Downsample, workload: Workload) -> Workload:
    torch = require("torch", "torch", "A network")
    from trimwatt.framework.torch.copying import copied
    from trimwatt.framework.torch.pooled import Pooled
    from trimwatt.framework.torch.recalibrate import recalibrate_
    from trimwatt.framework.torch.run import example, sample, threads
    from trimwatt.framework.torch.size import team

    picture = workload.rows.picture
    if picture is None:
        raise TrialFailed("downsample takes networks for images, and these rows are a table")
    if picture.side < 2 * technique.factor:
        raise TrialFailed(f"pictures of {picture.side} pixels a side cannot be divided by {technique.factor}")
    first = workload.prepare is not None or picture.channels_first
    module = Pooled(copied(workload.model), technique.factor, first).eval()
    with threads(team(workload, RECALIBRATION_ROWS)):
        try:
            with torch.no_grad():
                module(example(workload))
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise TrialFailed(f"the network takes pictures of one size only: {reason}") from error
        if technique.recalibrate:
            recalibrate_(module, sample(workload, RECALIBRATION_ROWS))
    return replace(workload, model=module)
