"""Classes that a model never recognises, which a share of right answers does not show."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.input.checks import listed
from trimwatt.workload import Array, Split

_NAMED = 6


def warnings(rows: Split, answers: Array | None, classes: tuple[Any, ...] | None) -> list[str]:
    """What the answers to `rows` (codes (n,) or probabilities (n, k)) show not to have been learned, and what to do.

    classes: of which each code stands for one; None where values are predicted. A class without judged rows is not
    among them: of it nothing is known.
    """
    if answers is None or classes is None:
        return []
    said, truth = answers if answers.ndim == 1 else answers.argmax(axis=1), rows.y[: len(answers)]
    of_class = np.bincount(truth, minlength=len(classes))
    right = np.bincount(truth[said == truth], minlength=len(classes))
    missed = np.flatnonzero((of_class > 0) & (right == 0))
    if not len(missed):
        return []
    shown = listed([f"{classes[code]} (0 of {of_class[code]:,} rows)" for code in missed], _NAMED)
    return [
        f"the recommended model recognises no row of {shown}: nothing shows that it could learn them, whatever the "
        "overall figure says; give more rows of them, or merge them with others"
    ]
