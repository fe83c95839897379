"""A quantized ONNX model as a PyTorch module that answers as it does, can be trained, and is written back into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from trimwatt.errors import TrialFailed
from trimwatt.framework.onnx import _edit
from trimwatt.framework.torch.fakequant import Grid
from trimwatt.framework.torch.fakequant_operators import MOVES, OPERATORS
from trimwatt.framework.torch.fakequant_weights import Bias, Learned, Rounded
from trimwatt.workload import Array

_ENDS = {"uint8": (0, 255), "int8": (-128, 127)}
_QUANTIZE, _READ = "QuantizeLinear", "DequantizeLinear"
_TRAINED = ("Conv", "Gemm", "MatMul", "LayerNormalization", "Add")
_TYPICAL = 64  # levels that an activation is from zero, roughly


@dataclass(frozen=True, eq=False)
class _Step:
    """A node. grid: the key of the grid that a QuantizeLinear or DequantizeLinear names. axis: of its channels."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    grid: str | None
    axis: int | None


class QuantizedGraph(nn.Module):
    """Computes what the ONNX `model` (QuantizeLinear and DequantizeLinear around its operators) computes.

    Weights are learned as float numbers and rounded to their grid at each pass; so are biases and the weights of layers
    left in float, unrounded. Where half of a weight's numbers are zero, zeros stay. ranges: of activations, see
    `fakequant.Grid`; scales of weights are learned. top: the largest level of a weight. Raises TrialFailed, naming
    them, for operators it does not know.
    """

    def __init__(self, model: bytes, ranges: str = "learned", top: int = 127) -> None:
        super().__init__()
        self.model = model
        graph = _edit.load(model).graph
        self.steps = tuple(_step(node) for node in graph.node)
        unknown = {step.kind for step in self.steps} - OPERATORS.keys() - {_QUANTIZE, _READ}
        if unknown:
            raise TrialFailed(f"there is no gradient here through {', '.join(sorted(unknown))}; use static-int8")
        self.input, self.output = graph.input[0].name, graph.output[0].name
        constants = _constants(graph)
        self.grids, self.learned = nn.ModuleDict(), nn.ModuleDict()
        self.keys: dict[str, str] = {}
        self._read_grids(constants, ranges)
        self._read_weights(constants, top)
        self._read_biases(constants)
        self._read_floats(constants)
        self.constants = {name: _fixed(array) for name, array in constants.items() if name not in self.keys}
        self.skipped = _skipped(self.steps)
        self.last = {name: k for k, step in enumerate(self.steps) for name in step.inputs}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the model answers (n, ...) to rows as it takes them."""
        known: dict[str, Any] = {self.input: x.float() if x.dtype in (torch.uint8, torch.int8) else x}
        for k, step in enumerate(self.steps):
            made = self._run(step, known)
            known.update(zip(step.outputs, made if isinstance(made, tuple) else (made,), strict=False))
            for name in step.inputs:
                if self.last[name] == k and name != self.output:
                    known.pop(name, None)
        answer: torch.Tensor = known[self.output]
        return answer

    def _run(self, step: _Step, known: dict[str, Any]) -> Any:
        if step.outputs[0] in self.skipped:
            return known[step.inputs[0]]
        inputs = [self._value(name, known) for name in step.inputs]
        if step.kind == _QUANTIZE:
            return self.grid(step).levels(inputs[0], step.axis)
        if step.kind == _READ:
            stored = step.inputs[0] in self.keys
            return inputs[0] if stored else self.grid(step).values(inputs[0], step.axis)
        return OPERATORS[step.kind](step.attributes, *inputs)

    def _value(self, name: str, known: dict[str, Any]) -> Any:
        if name in known:
            return known[name]
        return self.learned[self.keys[name]]() if name in self.keys else self.constants.get(name)

    def grid(self, step: _Step) -> Grid:
        """The grid that a QuantizeLinear or DequantizeLinear names."""
        return cast(Grid, self.grids[step.grid or ""])

    def _read_grids(self, constants: dict[str, Array], ranges: str) -> None:
        free = {step.grid for step in self.steps if step.kind == _QUANTIZE} - _entered(self.steps, self.input)
        for step in self.steps:
            if step.grid is not None and step.grid not in self.grids and step.inputs[0] not in constants:
                self.grids[step.grid] = _grid(step, constants, ranges if step.grid in free else "kept")

    def _read_weights(self, constants: dict[str, Array], top: int) -> None:
        for step in self.steps:
            name = step.inputs[0] if step.kind == _READ else ""
            if name not in constants or constants[name].dtype == np.int32 or name in self.keys:
                continue
            grid = _grid(step, constants, "learned")
            if grid.low < 0:
                grid.low, grid.high = -top, top
            self._learn(name, Rounded(constants[name], grid, step.axis))

    def _read_biases(self, constants: dict[str, Array]) -> None:
        makers = {name: step for step in self.steps for name in step.outputs}
        for step in self.steps:
            maker = makers.get(step.inputs[2]) if step.kind in ("Conv", "Gemm") and len(step.inputs) > 2 else None
            if maker is None or maker.kind != _READ or constants[maker.inputs[0]].dtype != np.int32:
                continue
            source = self.grid(makers[step.inputs[0]])
            weight = cast(Rounded, self.learned[self.keys[makers[step.inputs[1]].inputs[0]]])
            content = constants[maker.inputs[0]] * constants[maker.inputs[1]].astype(np.float64)
            self._learn(maker.inputs[0], Bias(content, _TYPICAL * float(source.scale.max()), source, weight))

    def _read_floats(self, constants: dict[str, Array]) -> None:
        for name in (name for step in self.steps if step.kind in _TRAINED for name in step.inputs):
            array = constants.get(name)
            if array is not None and array.dtype == np.float32 and array.size > 1 and name not in self.keys:
                self._learn(name, Learned(array, axis=array.ndim - 1 if array.ndim == 2 else 0))

    def _learn(self, name: str, part: Learned) -> None:
        self.keys[name] = f"{type(part).__name__.lower()}{len(self.learned)}"
        self.learned[self.keys[name]] = part

    def written(self) -> bytes:
        """The ONNX model with what was learned in the place of what it had."""
        from onnx import numpy_helper

        model = _edit.load(self.model)
        with torch.no_grad():
            content = self._content()
        for tensor in model.graph.initializer:
            if tensor.name in content:
                old = numpy_helper.to_array(tensor)
                new = content[tensor.name].reshape(old.shape).astype(old.dtype)
                tensor.CopyFrom(numpy_helper.from_array(new, tensor.name))
        return bytes(model.SerializeToString())

    def _content(self) -> dict[str, Array]:
        """Learned constants by name, as they are stored."""
        parts = ((name, cast(Learned, self.learned[key])) for name, key in self.keys.items())
        found: dict[str, Array] = {name: part().numpy() for name, part in parts if type(part) is Learned}
        for step in self.steps:
            part = self._part(step.inputs[0]) if step.grid is not None else None
            if isinstance(part, Rounded):
                found[step.inputs[0]], found[step.inputs[1]] = part.levels().numpy(), part.grid.distance().numpy()
            elif isinstance(part, Bias):
                found[step.inputs[0]], found[step.inputs[1]] = part.stored()
            elif step.grid is not None and step.grid in self.grids:
                found[step.inputs[1]] = self.grid(step).distance().numpy()
        return found

    def _part(self, name: str) -> Learned | None:
        return cast(Learned, self.learned[self.keys[name]]) if name in self.keys else None


def _step(node: Any) -> _Step:
    attributes = {a.name: _attribute(a) for a in node.attribute}
    if node.op_type == "Split":
        attributes.setdefault("outputs", len(node.output))
    inputs, grid, axis = tuple(node.input), None, None
    if node.op_type in (_QUANTIZE, _READ):
        # a module's parts cannot have a point in their names
        grid, axis = "|".join(inputs[1:]).replace(".", "_"), attributes.get("axis", 1)
    if node.domain not in ("", "ai.onnx"):
        raise TrialFailed(f"there is no gradient here through {node.domain}.{node.op_type}; use static-int8")
    return _Step(node.op_type, inputs, tuple(node.output), attributes, grid, axis)


def _attribute(attribute: Any) -> Any:
    from onnx import helper, numpy_helper

    content = helper.get_attribute_value(attribute)
    if attribute.HasField("t"):
        return torch.from_numpy(numpy_helper.to_array(content).copy())
    return list(content) if attribute.ints or attribute.floats else content


def _constants(graph: Any) -> dict[str, Array]:
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _fixed(array: Array) -> torch.Tensor:
    small = array.dtype.kind in "iu" and array.dtype != np.int64
    return torch.from_numpy(array.astype(np.int32) if small else array.copy())


def _grid(step: _Step, constants: dict[str, Array], ranges: str) -> Grid:
    scale, zero = constants[step.inputs[1]], constants[step.inputs[2]]
    low, high = _ENDS[zero.dtype.name]
    return Grid(torch.from_numpy(scale.copy()), torch.from_numpy(zero.astype(np.float32)), low, high, ranges)


def _entered(steps: Sequence[_Step], start: str) -> set[str | None]:
    """Grids on which the model's rows come as they are."""
    raw, found = {start}, set()
    for step in steps:
        if step.kind == _READ and step.inputs[0] in raw:
            found.add(step.grid)
        elif step.kind != _QUANTIZE and raw & set(step.inputs):
            raw |= set(step.outputs)
    return found


def _skipped(steps: Sequence[_Step]) -> frozenset[str]:
    """What is made by quantizing numbers that only moved since they were read from that very grid: a copy of them."""
    on: dict[str, str | None] = {}
    skipped: set[str] = set()
    readers: dict[str, list[str]] = {}
    for step in steps:
        for name in step.inputs:
            readers.setdefault(name, []).append(step.kind)
    for step in steps:
        first, made = step.inputs[0] if step.inputs else "", step.outputs[0]
        if step.kind == _READ:
            on[made] = step.grid
            skipped |= {made} if first in skipped else set()
        elif step.kind == _QUANTIZE and on.get(first) == step.grid and set(readers[made]) == {_READ}:
            skipped.add(made)
        elif (
            step.kind in MOVES and first in on and (step.kind != "Concat" or len({on.get(n) for n in step.inputs}) == 1)
        ):
            on.update(dict.fromkeys(step.outputs, on[first]))
    return frozenset(skipped)
