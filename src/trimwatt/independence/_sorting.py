"""Orders and first rows of many values, the quick way."""

from __future__ import annotations

import numpy as np

from trimwatt.workload import Array


def sort_order(values: Array) -> Array:
    """Places of numbers `(n,)` in ascending order, equal ones in the order they stand in, as a stable sort gives.

    An unstable sort uses the vector unit and takes a quarter of the time; ties are put in order afterwards.
    """
    order = np.argsort(values)
    tied = np.flatnonzero(run_length(values[order]) > 1)
    order[tied] = order[tied][np.lexsort((order[tied], values[order[tied]]))]
    return order


def run_length(ordered: Array) -> Array:
    """How many values `(n,)` beside each other are equal, itself included."""
    start = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    length = np.diff(np.append(start, len(ordered)))
    return np.repeat(length, length)


def first_rows(labels: Array) -> Array:
    """The first row of each label >= 0 that occurs in `labels` `(n,)`, by label."""
    first = np.full(int(labels.max(initial=-1)) + 1, -1)
    first[labels[::-1]] = np.arange(len(labels))[::-1]
    return first[first >= 0]
