"""What training minimises: the loss that the task declares."""

from __future__ import annotations

from trimwatt.tasks import Loss
from trimwatt.workload import Array, Workload


def criterion(workload: Workload, y: Array, from_scratch: bool, smoothing: float = 0.0) -> Loss:
    """The criterion for this workload; y: the training targets. Raises TrialFailed for values to be smoothed."""
    return workload.task.loss(workload, y, from_scratch, smoothing)
