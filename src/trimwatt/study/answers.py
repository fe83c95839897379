"""What a metric reads of an opened artifact's answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trimwatt.workload import Array, Workload


def read(workload: Workload, labels: Callable[[], Array], scores: Callable[[], Array]) -> Array:
    """Class codes `(n,)`, probabilities `(n, k)` or values `(n,)`, of what one of two ways of asking gives."""
    if workload.quality.reads == "probabilities" or workload.rows.classes is None:
        return scores()
    codes = {label: code for code, label in enumerate(workload.answers)}
    # a label that no list holds is an answer all the same, and a wrong one
    return np.array([codes.get(label, len(codes)) for label in labels().tolist()])
