"""Rewrites that change no answer and leave a graph whose every large operator has an int8 kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.technique.quantize import _bytes, _pixels
from trimwatt.workload import Array, Workload

_ROWS = 16
_EXACT, _ROUNDED = 1e-4, 0.02


def cleaned(model: Any, given: dict[str, Array], enter: bool = True) -> Any:
    """The model rewritten: pixels enter as stored, shortcuts are convolutions, means over pixels are pooling.

    given: rows by input name, on which old and new must agree to 1e-4 of the answers' spread (0.02 where pixels
    around the picture were rounded); raises TrialFailed where they do not.
    enter: whether the first layer is to compute in int8, and so may take pixels as they are.
    """
    before = model.SerializeToString()
    changed = any([_pooling(model), _flattening(model), _shortcuts(model)])
    entered = _pixels.folded(model) if enter else "no"
    changed = changed or entered != "no" or (enter and _bytes.read(model))
    if not changed:
        return model
    after = _graph.finished(model)
    few = {name: rows[:_ROWS] for name, rows in given.items()}
    _same(before, after, few, _ROUNDED if entered == "rounded" else _EXACT)
    return _graph.described(model)


def whole(workload: Workload) -> Workload:
    """The workload with the scaling of 8-bit images inside the model, from where it can enter the first layer."""
    data, prepare = workload.rows, workload.prepare
    stored = data.train.x
    if prepare is None or data.kind != "image" or isinstance(stored, dict) or stored.dtype != np.uint8:
        return workload
    model = _graph.merged(prepare.to_onnx(), workload.model)
    tidied = _graph.tidy(model)
    enters = _pixels.folded(tidied) != "no" or _bytes.read(tidied)
    return replace(workload, model=model, prepare=None) if enters else workload


def _same(before: bytes, after: bytes, given: dict[str, Array], bound: float) -> None:
    old, new = (np.asarray(open_session(m).run(None, given)[0], np.float64) for m in (before, after))
    error = float(np.abs(old - new).max() / max(float(np.ptp(old)), 1e-12))
    if not error <= bound:
        raise TrialFailed(f"cleaning the graph changed its answers by {error:.1e} of their spread; use clean=False")


def _pooling(model: Any) -> bool:
    """ReduceMean over height and width as GlobalAveragePool (in place); whether there was any."""
    graph, known, sizes = model.graph, _graph.arrays(model.graph), _graph.sizes(model)
    found = [node for node in graph.node if node.op_type == "ReduceMean" and _over_pixels(node, known, sizes)]
    for node in found:
        place, source, output = _graph.index(graph, node), node.input[0], node.output[0]
        keeps = _graph.attribute(node, "keepdims", 1)
        pooled = output if keeps else f"{output}/pooled"
        new = [_graph.node("GlobalAveragePool", [source], pooled)]
        if not keeps:
            new.append(_graph.node("Flatten", [pooled], output, axis=1))
        del graph.node[place]
        _graph.put(graph, place, new)
    return bool(found)


def _flattening(model: Any) -> bool:
    """Single pixels are flattened channels last (in place), the same numbers, as int8 kernels leave them."""
    graph, makers, sizes = model.graph, _graph.makers(model.graph), _graph.sizes(model)
    found = [
        node
        for node in graph.node
        if node.op_type == "Flatten"
        and _graph.attribute(node, "axis", 1) == 1
        and getattr(makers.get(node.input[0]), "op_type", "") == "GlobalAveragePool"
        and len(sizes.get(makers[node.input[0]].input[0], ())) == 4
    ]
    for node in found:
        last = _graph.node("Transpose", [node.input[0]], f"{node.output[0]}/last", perm=[0, 2, 3, 1])
        _graph.put(graph, _graph.index(graph, node), [last])
        graph.node[_graph.index(graph, node)].input[0] = last.output[0]
    return bool(found)


def _over_pixels(node: Any, known: dict[str, Array], sizes: dict[str, Any]) -> bool:
    axes = _graph.attribute(node, "axes")
    if axes is None and len(node.input) > 1 and node.input[1] in known:
        axes = known[node.input[1]].tolist()
    return len(sizes.get(node.input[0], ())) == 4 and axes is not None and {a % 4 for a in axes} == {2, 3}


def _shortcuts(model: Any) -> bool:
    """Every second pixel, with channels of zeros around, as a 1x1 convolution (in place); whether there was any.

    Such a shortcut (He et al. 2016, option A) is Slice, Slice, Pad, and Pad has no int8 kernel for channels: it
    would leave int8 and come back. As a convolution by the identity it is one int8 operator.
    """
    graph, known, sizes = model.graph, _graph.arrays(model.graph), _graph.sizes(model)
    found = [node for node in graph.node if node.op_type == "Pad" and _pads_channels(node, known, sizes)]
    for node in found:
        source, strides = _strides_before(graph, node, known)
        before, after = (int(known[node.input[1]][k]) for k in (1, 5))
        channels = sizes[node.input[0]][1] or 0
        kernel = np.zeros((before + channels + after, channels, 1, 1))
        kernel[before + np.arange(channels), np.arange(channels)] = 1
        weight = _graph.constant(graph, f"{node.output[0]}/identity", kernel, np.float32)
        place = _graph.index(graph, node)
        graph.node[place].CopyFrom(
            _graph.node("Conv", [source, weight], node.output[0], kernel_shape=[1, 1], strides=strides)
        )
    _graph.drop_unused(graph)
    return bool(found)


def _pads_channels(node: Any, known: dict[str, Array], sizes: dict[str, Any]) -> bool:
    shape = sizes.get(node.input[0], ())
    if len(shape) != 4 or shape[1] is None or node.input[1] not in known:
        return False
    if (len(node.input) > 3 and node.input[3]) or _graph.attribute(node, "mode", b"constant") != b"constant":
        return False
    filled = known.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(())
    pads = known[node.input[1]]
    plain = len(pads) == 8 and (pads >= 0).all() and not pads[[0, 2, 3, 4, 6, 7]].any()
    return bool(plain and filled is not None and not filled.any())


def _strides_before(graph: Any, node: Any, known: dict[str, Array]) -> tuple[str, list[int]]:
    """The value that the slices before `node` start from, and the steps they take over height and width."""
    makers, source, strides = _graph.makers(graph), node.input[0], {2: 1, 3: 1}
    while (maker := makers.get(source)) is not None and maker.op_type == "Slice":
        steps = _steps(maker, known)
        if steps is None:
            break
        for axis, step in steps.items():
            strides[axis] *= step
        source = maker.input[0]
    return source, [strides[2], strides[3]]


def _steps(node: Any, known: dict[str, Array]) -> dict[int, int] | None:
    """Step by axis of a Slice of all of height or width, None for any other."""
    if len(node.input) < 5 or any(name not in known for name in node.input[1:5]):
        return None
    starts, ends, axes, steps = (known[name].tolist() for name in node.input[1:5])
    whole = all(start == 0 for start in starts) and all(end >= 2**31 - 1 for end in ends)
    if not whole or any(axis % 4 not in (2, 3) for axis in axes) or min(steps) < 1:
        return None
    return {axis % 4: int(step) for axis, step in zip(axes, steps, strict=True)}
