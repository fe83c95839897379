"""What training minimises, by task and by what the module answers with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.workload import Array, Outputs, Workload

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Criterion:
    """Targets for a module, and the loss of its answers against them.

    outputs: what the module gives. columns: for each class code the module's column, -1 where it has none. spread:
    standard deviation of the training values, 1 for classes. scale: (mean, spread) where the module learns
    standardised values. smoothing: share of each target that is spread evenly over all classes.
    """

    outputs: Outputs
    columns: Array | None = None
    spread: float = 1.0
    scale: tuple[float, float] | None = None
    smoothing: float = 0.0

    def targets(self, y: Array) -> torch.Tensor:
        """Columns (n,) int64 for class codes, or float32 values (n,)."""
        import torch

        if self.columns is None:
            mean, spread = self.scale or (0.0, 1.0)
            return torch.from_numpy(((y - mean) / spread).astype(np.float32))
        columns = self.columns[y]
        if (columns < 0).any():
            raise TrialFailed("the module has no column for a class of the training rows")
        return torch.from_numpy(columns)

    def __call__(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean loss over rows: cross entropy of classes, squared error (in standard deviations) of values."""
        from torch.nn import functional

        answer = answer.reshape(len(answer), -1)
        if self.columns is None:
            unit = 1.0 if self.scale else self.spread
            return functional.mse_loss(answer[:, 0] / unit, target / unit)
        if answer.shape[1] == 1:
            target = target.float() * (1 - self.smoothing) + self.smoothing / 2
            return _of_one_column(answer[:, 0], target, self.outputs)
        if self.outputs == "logits":
            return functional.cross_entropy(answer, target, label_smoothing=self.smoothing)
        # scores of a sigmoid each need not add up to 1, and could then all grow at once
        positive = answer.clamp_min(1e-7)
        logs = (positive / positive.sum(dim=1, keepdim=True)).log()
        return (1 - self.smoothing) * functional.nll_loss(logs, target) - self.smoothing * logs.mean()


def _of_one_column(answer: torch.Tensor, target: torch.Tensor, outputs: Outputs) -> torch.Tensor:
    from torch.nn import functional

    if outputs == "logits":
        return functional.binary_cross_entropy_with_logits(answer, target)
    return functional.binary_cross_entropy(answer.clamp(1e-7, 1 - 1e-7), target)


def criterion(workload: Workload, y: Array, from_scratch: bool, smoothing: float = 0.0) -> Criterion:
    """The criterion for this workload; y: the training targets. Raises TrialFailed for values to be smoothed."""
    if smoothing and workload.task == "regression":
        raise TrialFailed(
            "label_smoothing spreads a target over classes, and this is regression; say label_smoothing=0"
        )
    if workload.task == "regression":
        mean, spread = float(np.mean(y)), float(np.std(y)) or 1.0
        return Criterion("values", None, spread, (mean, spread) if from_scratch else None)
    codes = len(workload.answers)
    columns = np.full(codes, -1, dtype=np.int64)
    told = range(codes) if workload.class_columns is None else workload.class_columns
    for column, code in enumerate(told):
        columns[code] = column
    return Criterion(workload.outputs, columns, smoothing=smoothing)
