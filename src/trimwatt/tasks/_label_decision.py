"""The decision of labels that do not exclude each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trimwatt.tasks._base import Array
from trimwatt.workload import Decide


@dataclass(frozen=True)
class DecideEach(Decide):
    """Turns the probability of each label into 0 or 1, independently of the others.

    classes: names of the labels. threshold: the probability from which a label is given.
    """

    threshold: float | None = 0.5

    @property
    def least(self) -> float:
        """The threshold as a number."""
        return 0.5 if self.threshold is None else self.threshold

    def codes(self, probabilities: Array) -> Array:
        """0 or 1 (n, k) for each label."""
        return np.asarray(probabilities >= np.float32(self.least), dtype=np.int64)

    def labels(self, probabilities: Array) -> Array:
        """0 or 1 (n, k) for each label."""
        return self.codes(probabilities)

    def margin(self, probabilities: Array) -> Array:
        """Twice how far each row's nearest probability is from the threshold (n,)."""
        return np.asarray(2 * np.abs(probabilities.astype(np.float64) - self.least).min(axis=1))
