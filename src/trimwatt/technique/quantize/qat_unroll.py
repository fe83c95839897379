"""Recurrent layers as the matrix products and gates they consist of, one step after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.framework.onnx.run import open_session
from trimwatt.technique import _graph
from trimwatt.workload import Array, Workload

_MOST = 256
_EXACT = 1e-4
Cell = Callable[["_Writer", str, str, tuple[str, str], int], tuple[str, str]]


def unrolled(workload: Workload) -> bytes:
    """The workload's ONNX model with each GRU and LSTM written out; the same answers.

    Raises TrialFailed for layers of unknown or too many steps, with lengths that vary, or of unusual gates.
    """
    model = _graph.tidy(workload.model)
    found = [node for node in model.graph.node if node.op_type in ("GRU", "LSTM")]
    if not found:
        return bytes(workload.model)
    rows = _graph.feeds(workload, workload.rows.train.take(slice(0, 4)).x, [e.name for e in _edit.free_inputs(model)])
    before = open_session(workload.model).run(None, rows)[0]
    for node in found:
        _unroll(model, node, _steps(node, workload, model, rows))
    model = _graph.finished(model)
    after = open_session(model).run(None, rows)[0]
    if not np.abs(after - before).max() <= _EXACT * max(float(np.ptp(before)), 1e-6):
        raise TrialFailed("recurrent layers written out answer differently; use unroll=False")
    return bytes(model)


def _steps(node: Any, workload: Workload, model: Any, rows: dict[str, Array]) -> int:
    """The number of steps of a layer, as it is on real rows."""
    plain = _graph.attribute(node, "activations") in (None, [])
    known = {name for name in node.input[4:5] if name}
    if not plain or known or _graph.attribute(node, "layout", 0) or _graph.attribute(node, "clip") is not None:
        raise TrialFailed(f"recurrent layer {node.name!r} has own gates, lengths or layout; use unroll=False")
    if len(node.input) > 7 and node.input[7]:
        raise TrialFailed(f"recurrent layer {node.name!r} has peepholes; use unroll=False")
    probe = _graph.described(copy.deepcopy(model))
    _edit.keep_outputs(probe, [node.input[0]])
    probe.graph.output[0].type.tensor_type.elem_type = 1
    steps = int(open_session(probe.SerializeToString()).run(None, rows)[0].shape[0])
    if steps > _MOST:
        raise TrialFailed(f"recurrent layer {node.name!r} takes {steps} steps; written out are at most {_MOST}")
    return steps


class _Writer:
    """Adds nodes in front of a place of a graph."""

    def __init__(self, graph: Any, prefix: str) -> None:
        self.graph, self.prefix, self._count = graph, prefix, 0
        self.nodes: list[Any] = []

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Name of the value that a new node makes, or names where it makes several."""
        from onnx import helper

        names = [f"{self.prefix}/{self._count + k}" for k in range(outputs)]
        self._count += outputs
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"{names[0]}/{op}", **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, content: Any, dtype: Any = np.float32) -> str:
        self._count += 1
        return _graph.constant(self.graph, f"{self.prefix}/c{self._count}", content, dtype)


def _unroll(model: Any, node: Any, steps: int) -> None:
    """Replace one layer (in place)."""
    graph = model.graph
    known = _graph.arrays(graph)
    weights = [known.get(name) for name in node.input[1:3]]
    if any(weight is None for weight in weights):
        raise TrialFailed(f"recurrent layer {node.name!r} has weights that are not constant; use unroll=False")
    write = _Writer(graph, f"{node.output[0] or node.name}/unrolled")
    directions = {b"forward": [1], b"reverse": [-1], b"bidirectional": [1, -1]}[
        _graph.attribute(node, "direction", b"forward")
    ]
    made = [_direction(write, node, known, steps, k, way) for k, way in enumerate(directions)]
    _outputs(write, node, made)
    place = _graph.index(graph, node)
    del graph.node[place]
    _graph.put(graph, place, write.nodes)


def _direction(
    write: _Writer, node: Any, known: dict[str, Array], steps: int, k: int, way: int
) -> tuple[list[str], str, str]:
    """Hidden states by step, in the order of the rows, and the last hidden and cell state."""
    gates, size = (3 if node.op_type == "GRU" else 4), int(_graph.attribute(node, "hidden_size"))
    if gates == 3 and not _graph.attribute(node, "linear_before_reset", 0):
        raise TrialFailed(f"recurrent layer {node.name!r} resets before its product; use unroll=False")
    w, r = known[node.input[1]][k], known[node.input[2]][k]
    bias = known[node.input[3]][k] if len(node.input) > 3 and node.input[3] else np.zeros(2 * gates * size, np.float32)
    # all steps at once: one large product instead of many small ones
    whole = write.add(
        "Add", write.add("MatMul", node.input[0], write.constant(w.T)), write.constant(bias[: gates * size])
    )
    parts = write.add("Split", whole, write.constant([1] * steps, np.int64), outputs=steps, axis=0)
    axis = write.constant([0], np.int64)
    given = [write.add("Squeeze", part, axis) for part in ([parts] if steps == 1 else parts)]
    start = [_start(write, name, given[0], k, size) for name in _starts(node)]
    hidden, cell = start if len(start) == 2 else (start[0], "")
    step: Cell = _gru if gates == 3 else _lstm
    recurrent, states = write.constant(r.T), [""] * steps
    for t in range(steps)[::way]:
        # a bias for each step, since it is stored in units of that step's scale
        of_h = write.constant(bias[gates * size :])
        product = write.add("Add", write.add("MatMul", hidden, recurrent), of_h)
        hidden, cell = step(write, given[t], product, (hidden, cell), size)
        states[t] = hidden
    return states, hidden, cell


def _start(write: _Writer, name: str, like: str, k: int, size: int) -> str:
    """A first state (n, size): what is given, or zeros, as many as rows of `like`."""
    axis = write.constant([0], np.int64)
    if name:
        return str(write.add("Squeeze", write.add("Gather", name, write.constant([k], np.int64), axis=0), axis))
    part = write.add("Slice", like, axis, write.constant([size], np.int64), write.constant([1], np.int64))
    return str(write.add("Mul", part, write.constant(0.0)))


def _starts(node: Any) -> list[str]:
    """Names of the first hidden state, and of an LSTM's first cell state, empty where they are zero."""
    names = [*node.input, *[""] * 7]
    return names[5:6] if node.op_type == "GRU" else names[5:7]


def _gru(write: _Writer, x: str, h: str, state: tuple[str, str], size: int) -> tuple[str, str]:
    """Cho et al. 2014 with the reset gate behind the product, as PyTorch has it; gates in the order z, r, n."""
    split = write.constant([2 * size, size], np.int64)
    (x_zr, x_n), (h_zr, h_n) = (write.add("Split", v, split, outputs=2, axis=1) for v in (x, h))
    both = write.add("Sigmoid", write.add("Add", x_zr, h_zr))
    z, r = write.add("Split", both, write.constant([size, size], np.int64), outputs=2, axis=1)
    n = write.add("Tanh", write.add("Add", x_n, write.add("Mul", r, h_n)))
    return write.add("Add", n, write.add("Mul", z, write.add("Sub", state[0], n))), ""


def _lstm(write: _Writer, x: str, h: str, state: tuple[str, str], size: int) -> tuple[str, str]:
    """Hochreiter and Schmidhuber 1997; gates in the order i, o, f, c."""
    split = write.constant([3 * size, size], np.int64)
    gates, c = write.add("Split", write.add("Add", x, h), split, outputs=2, axis=1)
    i, o, f = write.add("Split", write.add("Sigmoid", gates), write.constant([size] * 3, np.int64), outputs=3, axis=1)
    cell = write.add("Add", write.add("Mul", f, state[1]), write.add("Mul", i, write.add("Tanh", c)))
    return write.add("Mul", o, write.add("Tanh", cell)), cell


def _outputs(write: _Writer, node: Any, made: list[tuple[list[str], str, str]]) -> None:
    """Y (steps, directions, n, h), and the last states (directions, n, h), where they are taken."""
    takers, names = _graph.takers(write.graph), [*node.output, "", ""]
    first = write.constant([0], np.int64)
    if names[0] and takers[names[0]]:
        axes = write.constant([0, 1], np.int64)
        of_all = [[write.add("Unsqueeze", state, axes) for state in states] for states, _, _ in made]
        _named(write, names[0], "Concat", [write.add("Concat", *parts, axis=0) for parts in of_all], axis=1)
    for name, states in zip(names[1:3], zip(*(m[1:] for m in made), strict=True), strict=True):
        if name and takers[name]:
            _named(write, name, "Concat", [write.add("Unsqueeze", state, first) for state in states], axis=0)


def _named(write: _Writer, name: str, op: str, inputs: list[str], **attributes: Any) -> None:
    write.add(op, *inputs, **attributes)
    write.nodes[-1].output[0] = name
