"""A small builder of ONNX graphs: nodes are added in order, values are named once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trimwatt.rows import packing
from trimwatt.rows.packing import Tensor
from trimwatt.workload import Array

OPSET = 17
ML_OPSET = 3
IR_VERSION = 8


def element_type(dtype: Any) -> int:
    """The ONNX element type of stored values; object and str arrays are strings."""
    import onnx

    kind = np.dtype(dtype)
    if kind.kind in "OUST":
        return int(onnx.TensorProto.STRING)
    return int(onnx.helper.np_dtype_to_tensor_dtype(kind))


def value(name: str, dtype: Any, shape: Sequence[int | str | None]) -> Any:
    """Describe a value `name`; None in `shape` is a size that varies."""
    import onnx

    return onnx.helper.make_tensor_value_info(name, element_type(dtype), list(shape))


def unused_prefix(word: str, taken: Iterable[str]) -> str:
    """`word`, or with underscores before it where a name in `taken` begins so."""
    taken = list(taken)
    while any(name.startswith(word) for name in taken):
        word = f"_{word}"
    return word


@dataclass
class Graph:
    """Nodes and constants of a graph under construction; `prefix` keeps its names apart from others."""

    prefix: str
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def _name(self, word: str) -> str:
        return f"{self.prefix}/{word}{len(self.nodes) + len(self.constants)}"

    def constant(self, content: Any, dtype: Any = None) -> str:
        """Add an initializer; returns its name."""
        import onnx

        array = np.asarray(content, dtype=dtype)
        if array.dtype.kind == "U":
            array = array.astype(object)
        name = self._name("constant")
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output; returns the output's name."""
        import onnx

        name = output or self._name(op)
        node = onnx.helper.make_node(op, list(inputs), [name], name=self._name("node"), domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def rename_last(self, name: str) -> None:
        """Call the output of the last node `name`: saves an Identity where a graph's output must have its name."""
        self.nodes[-1].output[0] = name

    def model(self, inputs: Sequence[Any], outputs: Sequence[Any], packed: Sequence[Tensor] = ()) -> Any:
        """The finished model, checked. packed: which columns stand in its inputs, for its metadata."""
        import onnx

        graph = onnx.helper.make_graph(self.nodes, self.prefix, list(inputs), list(outputs), self.constants)
        opsets = [onnx.helper.make_opsetid("", OPSET), onnx.helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
        model = onnx.helper.make_model(graph, opset_imports=opsets, producer_name="trimwatt", ir_version=IR_VERSION)
        if packed:
            onnx.helper.set_model_props(model, {packing.KEY: packing.to_text(packed)})
        onnx.checker.check_model(model)
        return model


def as_float(graph: Graph, name: str, dtype: Any) -> str:
    """`name` as float32, without a node where it is that already."""
    return name if np.dtype(dtype) == np.float32 else graph.add("Cast", name, to=1)


def standardized(graph: Graph, name: str, mean: Array | None, inverse: Array | None) -> str:
    """`(name - mean) * inverse`, each left out where None."""
    if mean is not None:
        name = graph.add("Sub", name, graph.constant(mean, np.float32))
    if inverse is not None:
        name = graph.add("Mul", name, graph.constant(inverse, np.float32))
    return name


def imputed(graph: Graph, name: str, fill: Array) -> str:
    """`name` with `fill` (features,) where it is NaN; itself where NaN is what stays there."""
    if np.isnan(fill).all():
        return name
    return graph.add("Where", graph.add("IsNaN", name), graph.constant(fill, np.float32), name)
