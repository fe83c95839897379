"""Layers of an ONNX graph as matrices: their weights (out, features), and the rows of features they are given."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from trimwatt.framework.onnx import _edit
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.workload import Array

_NUMBERS = 2**21
_CHUNK = 64


def plain(graph: Any) -> list[Any]:
    """Convolutions and dense layers that are their weights times features, in order."""
    known = _graph.arrays(graph)
    return [node for node in _graph.layers(graph) if _is_plain(node, known)]


def _is_plain(node: Any, known: dict[str, Array]) -> bool:
    weight = known[node.input[1]]
    if node.op_type == "Conv":
        return weight.ndim >= 3 and weight.dtype == np.float32
    scaled = _graph.attribute(node, "alpha", 1.0) != 1.0 or _graph.attribute(node, "beta", 1.0) != 1.0
    dense = node.op_type in ("Gemm", "MatMul") and weight.ndim == 2 and weight.dtype == np.float32
    return dense and node.input[0] not in known and not scaled and not _graph.attribute(node, "transA", 0)


def groups(node: Any) -> int:
    """Into how many parts a convolution divides its channels; 1 for dense layers."""
    return int(_graph.attribute(node, "group", 1))


def matrix(node: Any, weight: Array) -> Array:
    """The weights as (out, features), float64; features of a grouped convolution are those of its group."""
    if node.op_type == "Conv":
        return weight.reshape(len(weight), -1).astype(np.float64)
    return np.array(weight if _graph.attribute(node, "transB", 0) else weight.T, np.float64)


def arranged(node: Any, content: Array, shape: Sequence[int]) -> Array:
    """A matrix (out, features) as the node keeps its weights; `shape`: of a convolution's."""
    if node.op_type == "Conv":
        return np.ascontiguousarray(content.reshape(shape))
    return np.ascontiguousarray(content if _graph.attribute(node, "transB", 0) else content.T)


def features(model: Any, place: str, node: Any, kernel: Sequence[int], given: dict[str, Array], seed: int = 0) -> Array:
    """Rows of features (groups, rows, features), float64, that `node` finds at the value `place` of `model`.

    kernel: the shape of the node's weights. Of a convolution's positions as many are drawn as a few million numbers
    allow, by `seed`, the same in each image.
    """
    found = values(model, [place], given)[0]
    if node.op_type != "Conv":
        return found.reshape(1, -1, found.shape[-1]).astype(np.float64)
    return _windows(node, found, kernel, np.random.default_rng(seed)).astype(np.float64)


def values(model: Any, places: Sequence[str], given: dict[str, Array]) -> list[Array]:
    """What stands at `places` of `model` for the given rows (input name -> rows)."""
    probe = _graph.described(copy.deepcopy(model))
    _edit.keep_outputs(probe, list(dict.fromkeys(places)))
    session = open_session(probe.SerializeToString())
    wanted = [entry.name for entry in session.get_inputs()]
    rows = len(next(iter(given.values())))
    parts = [
        session.run(list(places), {name: given[name][start : start + _CHUNK] for name in wanted})
        for start in range(0, rows, _CHUNK)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _windows(node: Any, x: Array, kernel: Sequence[int], rng: np.random.Generator) -> Array:
    """What a convolution sees at some positions of images `x` (n, channels, ...)."""
    sizes, rank = list(kernel[2:]), x.ndim - 2
    strides = list(_graph.attribute(node, "strides", [1] * rank))
    dilations = list(_graph.attribute(node, "dilations", [1] * rank))
    wide = [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
    pads = _pads(node, x.shape[2:], wide, strides)
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:], strict=True)])
    view = np.lib.stride_tricks.sliding_window_view(x, wide, axis=tuple(range(2, 2 + rank)))
    steps = tuple(slice(None, None, step) for step in strides)
    taps = tuple(slice(None, None, step) for step in dilations)
    view = view[(slice(None), slice(None), *steps, *taps)]
    places, parts = view.shape[2 : 2 + rank], groups(node)
    total = int(np.prod(places))
    each = x.shape[1] * int(np.prod(sizes))
    # a Hessian needs several times as many rows as features
    most = max(1, -(-max(_NUMBERS // each, 4 * each // parts) // len(x)))
    drawn = np.sort(rng.permutation(total)[:most])
    index: tuple[Any, ...] = (slice(None), slice(None), *np.unravel_index(drawn, places))
    seen = view[index]  # (n, channels, drawn, *kernel)
    seen = seen.reshape(len(x), parts, x.shape[1] // parts, len(drawn), -1)
    return np.ascontiguousarray(seen.transpose(1, 0, 3, 2, 4)).reshape(parts, len(x) * len(drawn), -1)


def _pads(node: Any, sizes: Sequence[int], wide: Sequence[int], strides: Sequence[int]) -> list[int]:
    auto = _graph.attribute(node, "auto_pad", b"NOTSET")
    if auto not in (b"SAME_UPPER", b"SAME_LOWER"):
        return list(_graph.attribute(node, "pads", [0] * (2 * len(sizes))))
    whole = [
        max((-(-size // step) - 1) * step + width - size, 0)
        for size, width, step in zip(sizes, wide, strides, strict=True)
    ]
    less, more = [w // 2 for w in whole], [w - w // 2 for w in whole]
    return [*less, *more] if auto == b"SAME_UPPER" else [*more, *less]
