"""Regression: a number to predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt import metric
from trimwatt._printable import listed
from trimwatt.errors import InputError, TrialFailed
from trimwatt.tasks._base import (
    Array,
    Classes,
    CoreOutput,
    Graph,
    Loss,
    Output,
    RawTarget,
    TargetType,
    Task,
    refuse_columns,
)  # fmt: skip

if TYPE_CHECKING:
    from trimwatt.metric import Metric
    from trimwatt.workload import Data, Decide, Workload

# so many rows for each distinct whole number, and they could have been classes
_ROWS_A_CLASS = 5
_NEARLY_ALL = 0.999


class Regression(Task):
    """Values (n,), as float64."""

    name: ClassVar[str] = "regression"
    target: ClassVar[TargetType] = "value"
    outputs = ("values",)
    metrics: ClassVar[tuple[str, ...]] = ("r2", "mae", "rmse", "mase")

    def likeness(self, target: RawTarget) -> float:
        return 0.0 if target.whole.ndim != 1 or _numbers(target) is None else 0.5

    def encode(self, target: RawTarget, asked: bool) -> tuple[dict[str, Array], Classes]:
        refuse_columns(target)
        values = _numbers(target)
        if values is None:
            examples = listed(dict.fromkeys(target.whole[:1000].tolist()), 3)
            raise InputError(
                f"{target.name} holds text ({examples}), regression needs numbers; "
                "use --task classification or name a numeric target"
            )
        if np.ptp(values) == 0:
            raise InputError(
                f"{target.name} holds one value only ({values[0]:g}); there is nothing to learn; name another"
            )
        return target.split(values.astype(np.float64)), None

    def fits(self, y: Array, classes: Classes) -> bool:
        return classes is None and y.ndim == 1

    def announce(self, target: RawTarget) -> tuple[str, ...]:
        span = whole_numbers(target)
        few = span is not None and len(np.unique(target.whole)) * _ROWS_A_CLASS <= len(target.whole)
        return (f"{span}, taken as values; --task classification takes each as a class",) if few else ()

    def explain(self, bins: Array, y: Array, half: int) -> float | None:
        size = np.bincount(bins[:half], minlength=bins.max() + 1)
        mean = np.bincount(bins[:half], weights=y[:half], minlength=bins.max() + 1) / size.clip(min=1)
        error = y[half:] - mean[bins[half:]]
        spread = float(np.var(y[half:]))
        share = 1 - float(np.mean(error**2)) / spread if spread else 0.0
        return share if share >= _NEARLY_ALL else None

    def metric(self, name: str, y: Array, positive: int | None) -> Metric:
        """With the mean absolute one-step change of `y` as the scale of mase."""
        return metric.get(name, naive_error=float(np.mean(np.abs(np.diff(y)))) if len(y) > 1 else None)

    def decision(self, data: Data, positive: int | None = None) -> Decide | None:
        return None

    def scores(self, workload: Workload, raw: Array) -> Array:
        return np.asarray(raw, dtype=np.float64).reshape(len(raw), -1)[:, 0]

    def scale(self, expected: Array) -> float:
        """The range of the values."""
        return max(float(np.ptp(expected)), 1e-12)

    def width(self, data: Data) -> int:
        return 1

    def loss(self, workload: Workload, y: Array, from_scratch: bool, smoothing: float) -> Loss:
        """Squared error in standard deviations; a network that starts from scratch learns standardised values."""
        from trimwatt.tasks._losses import ValueLoss

        if smoothing:
            raise TrialFailed(
                f"label_smoothing spreads a target over classes, and this is {self.name}; say label_smoothing=0"
            )
        mean, spread = float(np.mean(y)), float(np.std(y)) or 1.0
        return ValueLoss(spread, (mean, spread) if from_scratch else None)

    def onnx_tail(self, tail: Graph, core: CoreOutput, workload: Workload) -> list[Output]:
        """`prediction` (n,) as float32."""
        name = tail.add("Cast", core.name, to=1) if core.double else core.name
        if core.rank == 1 and not core.double:
            tail.add("Identity", name, output="prediction")
        else:
            tail.add("Reshape", name, tail.constant([-1], np.int64), output="prediction")
        return [("prediction", np.float32, ("n",))]

    def baselines(self, kind: str) -> tuple[tuple[str, ...], ...]:
        return (("small-resnet", "train"), ("forest",)) if kind == "image" else (("boosted",),)


def _numbers(target: RawTarget) -> Array | None:
    """The numbers that a target holds, as such or as text (n,); None for other text."""
    return target.whole if target.whole.dtype != object else target.numbers


def whole_numbers(target: RawTarget) -> str | None:
    """What to say of a target of whole numbers; None for any other."""
    whole: Any = target.whole
    if whole.dtype == object or not np.array_equal(whole, np.round(whole)):
        return None
    values = np.unique(whole)
    return f"{target.name} holds {len(values)} whole numbers from {int(values[0])} to {int(values[-1])}"
