"""Ranges of activations by least squares: clip rare extremes where that makes the steps fine enough to pay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from trimwatt.framework.onnx import _edit
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.workload import Array

_BINS, _STEPS, _CHUNK = 2048, 255, 16
_SHARES = np.linspace(1, 0.1, 46)
_FLOAT = 1


def least_squares(model: Any, given: dict[str, Array], kinds: frozenset[str]) -> dict[str, tuple[float, float]]:
    """For each float value that operators of `kinds` take or make: the 8-bit range of least squared error.

    given: rows by input name; values are counted in 2048 bins between their extremes, so memory does not grow.
    """
    names = _places(model, kinds)
    ends = dict.fromkeys(names, (0.0, 0.0))
    for found in _runs(model, names, given):
        ends = {
            name: (min(low, float(found[name].min())), max(high, float(found[name].max())))
            for name, (low, high) in ends.items()
        }
    ends = {name: pair for name, pair in ends.items() if pair[1] > pair[0] and np.isfinite(pair).all()}
    counts = {name: np.zeros(_BINS) for name in ends}
    for found in _runs(model, list(ends), given):
        for name, pair in ends.items():
            counts[name] += np.histogram(found[name], _BINS, pair)[0]
    return {name: best(counts[name], *pair) for name, pair in ends.items()}


def best(counts: Array, low: float, high: float) -> tuple[float, float]:
    """The range within (low, high), zero included, that rounds the counted values with the least squared error.

    counts: how many values fall in each of equal bins between low <= 0 <= high. First one end is moved, then the
    other.
    """
    width = (high - low) / len(counts)
    centres = low + width * (np.arange(len(counts)) + 0.5)

    def error(pair: tuple[float, float]) -> float:
        return float((counts * np.square(rounded(centres, *pair) - centres)).sum())

    above = min(((low, high * share) for share in _SHARES), key=error)
    return min(((low * share, above[1]) for share in _SHARES), key=error)


def rounded(values: Array, low: float, high: float) -> Array:
    """Values as 256 levels between low <= 0 <= high give them back."""
    step = max((high - low) / _STEPS, 1e-30)
    zero = np.rint(-low / step)
    return np.asarray((np.clip(np.rint(values / step) + zero, 0, _STEPS) - zero) * step)


def _places(model: Any, kinds: frozenset[str]) -> list[str]:
    known = _graph.arrays(model.graph)
    entries = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    floats = {entry.name for entry in entries if entry.type.tensor_type.elem_type == _FLOAT}
    near = [name for node in model.graph.node if node.op_type in kinds for name in (*node.input, *node.output)]
    return [name for name in dict.fromkeys(near) if name in floats and name not in known]


def _runs(model: Any, names: list[str], given: dict[str, Array]) -> Iterator[dict[str, Array]]:
    """The values of `names` for some rows at a time."""
    made = [name for name in names if name not in given]
    probe = type(model).FromString(model.SerializeToString())
    _edit.keep_outputs(probe, made)
    session = open_session(probe.SerializeToString())
    wanted = [entry.name for entry in session.get_inputs()]
    for start in range(0, len(next(iter(given.values()))), _CHUNK):
        part = {name: array[start : start + _CHUNK] for name, array in given.items()}
        values = session.run(made, {name: part[name] for name in wanted})
        yield {**part, **dict(zip(made, values, strict=True))}
