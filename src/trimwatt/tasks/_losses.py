"""What training in PyTorch minimises, by what is predicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.tasks._base import Array

if TYPE_CHECKING:
    import torch

    from trimwatt.workload import Outputs


@dataclass(frozen=True, eq=False)
class ValueLoss:
    """Squared error in standard deviations.

    spread: standard deviation of the training values. scale: (mean, spread) where the network learns standardised ones.
    """

    spread: float = 1.0
    scale: tuple[float, float] | None = None

    def targets(self, y: Array) -> torch.Tensor:
        """float32 values (n,)."""
        import torch

        mean, spread = self.scale or (0.0, 1.0)
        return torch.from_numpy(((y - mean) / spread).astype(np.float32))

    def __call__(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean over rows; answer (n,) or (n, 1)."""
        from torch.nn import functional

        unit = 1.0 if self.scale else self.spread
        return functional.mse_loss(answer.reshape(len(answer), -1)[:, 0] / unit, target / unit)

    def without_smoothing(self) -> ValueLoss:
        """Itself."""
        return self


@dataclass(frozen=True, eq=False)
class ClassLoss:
    """Cross entropy.

    outputs: what the network gives. columns: for each class code the network's column, -1 where it has none.
    smoothing: share of each target that is spread evenly over all classes.
    """

    outputs: Outputs
    columns: Array
    smoothing: float = 0.0
    scale: tuple[float, float] | None = None

    def targets(self, y: Array) -> torch.Tensor:
        """Columns (n,) int64 of class codes (n,)."""
        import torch

        columns = self.columns[y]
        if (columns < 0).any():
            raise TrialFailed("the module has no column for a class of the training rows")
        return torch.from_numpy(columns)

    def __call__(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean over rows; answer (n, columns), one column being the score of the second of two classes."""
        from torch.nn import functional

        answer = answer.reshape(len(answer), -1)
        if answer.shape[1] == 1:
            target = target.float() * (1 - self.smoothing) + self.smoothing / 2
            return _of_one_column(answer[:, 0], target, self.outputs)
        if self.outputs == "logits":
            return functional.cross_entropy(answer, target, label_smoothing=self.smoothing)
        # scores of a sigmoid each need not add up to 1, and could then all grow at once
        positive = answer.clamp_min(1e-7)
        logs = (positive / positive.sum(dim=1, keepdim=True)).log()
        return (1 - self.smoothing) * functional.nll_loss(logs, target) - self.smoothing * logs.mean()

    def without_smoothing(self) -> ClassLoss:
        """The same of targets as they are."""
        return replace(self, smoothing=0.0)


@dataclass(frozen=True, eq=False)
class LabelLoss:
    """Binary cross entropy of each label. outputs, smoothing: as of `ClassLoss`."""

    outputs: Outputs
    smoothing: float = 0.0
    scale: tuple[float, float] | None = None

    def targets(self, y: Array) -> torch.Tensor:
        """float32 (n, k), 0 or 1."""
        import torch

        return torch.from_numpy(y.astype(np.float32))

    def __call__(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean over rows and labels; answer (n, k)."""
        target = target * (1 - self.smoothing) + self.smoothing / 2
        return _of_one_column(answer.reshape(len(answer), -1), target, self.outputs)

    def without_smoothing(self) -> LabelLoss:
        """The same of targets as they are."""
        return replace(self, smoothing=0.0)


def _of_one_column(answer: torch.Tensor, target: torch.Tensor, outputs: Outputs) -> torch.Tensor:
    from torch.nn import functional

    if outputs == "logits":
        return functional.binary_cross_entropy_with_logits(answer, target)
    return functional.binary_cross_entropy(answer.clamp(1e-7, 1 - 1e-7), target)
