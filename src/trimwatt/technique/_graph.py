"""Reading and editing ONNX graphs: what the techniques that work on any ONNX file share."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import TrialFailed, first_line
from trimwatt.framework.onnx import _edit
from trimwatt.workload import Array, Rows, Workload

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def tidy(model: bytes) -> Any:
    """The parsed model with constants folded, batch normalisation merged and at opset 17 or later.

    Done by ONNX Runtime's basic optimisation, which keeps to standard operators. Raises TrialFailed where it cannot.
    """
    ort = require("onnxruntime", "onnx", "Compressing ONNX models")
    parsed = _edit.at_opset(_edit.load(model), 17)
    del parsed.graph.value_info[:]  # sizes said by exporters are at times wrong, and then refuse every change
    with tempfile.TemporaryDirectory(prefix="trimwatt-") as folder:
        path = Path(folder) / "tidy.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            ort.InferenceSession(parsed.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base but Exception
            raise TrialFailed(f"ONNX Runtime refuses the model: {first_line(error)}") from error
        tidied = _edit.load(path.read_bytes())
    _name(tidied.graph)
    _keep_domains(tidied)
    return described(tidied)


def _keep_domains(model: Any) -> None:
    """Import only the operator sets that are used (in place): ONNX Runtime writes down all it knows."""
    used = {node.domain for node in model.graph.node if node.domain != "ai.onnx"}
    for domain in {entry.domain for entry in model.opset_import} - used - {"", "ai.onnx"}:
        for entry in [e for e in model.opset_import if e.domain == domain]:
            model.opset_import.remove(entry)


def _name(graph: Any) -> None:
    """Give every node a name of its own (in place): techniques point at nodes by name."""
    seen: set[str] = set()
    for i, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}/{i}"
        seen.add(node.name)


def merged(first: bytes, second: bytes) -> bytes:
    """One model of two: the first's one output is the second's one input."""
    import onnx

    models = _edit.raise_to_common([_edit.load(first), _edit.load(second)])
    version = max(model.ir_version for model in models)
    for model in models:
        model.ir_version = version
        del model.graph.value_info[:]
    inputs = {f"before/{entry.name}": entry.name for entry in models[0].graph.input}
    onnx.compose.add_prefix(models[0], "before/", inplace=True)
    given = [(models[0].graph.output[0].name, models[1].graph.input[0].name)]
    whole = onnx.compose.merge_models(models[0], models[1], io_map=given)
    taken = set(makers(whole.graph)) | {tensor.name for tensor in whole.graph.initializer}
    _edit.rename(whole.graph, {old: new for old, new in inputs.items() if new not in taken})
    _edit.set_opset(whole, "", _edit.opset(whole))
    return bytes(whole.SerializeToString())


def described(model: Any) -> Any:
    """The model with the sizes of its values inferred anew, as far as they can be."""
    import onnx

    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def finished(model: Any) -> bytes:
    """The model without what nothing uses, checked and serialized; raises TrialFailed where it is not valid.

    Values inside get short names: exporters' names are at times a tenth of a small model's bytes.
    """
    import onnx

    drop_unused(model.graph)
    model = described(model)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise TrialFailed(f"the changed model is not valid ONNX: {first_line(error)}") from error
    del model.graph.value_info[:]
    _shorten(model.graph)
    return bytes(model.SerializeToString())


def _shorten(graph: Any) -> None:
    """Number the values between input and output (in place), unless graphs inside nodes share them."""
    outside = {entry.name for entry in [*graph.input, *graph.output]}
    if any(True for node in graph.node for _ in _edit.graphs_of(node)):
        return
    inside = [*(tensor.name for tensor in graph.initializer), *makers(graph)]
    names, number = {}, 0
    for old in inside:
        while (new := f"v{number}") in outside:
            number += 1
        if old and old not in outside:
            names[old], number = new, number + 1
    _edit.rename(graph, names)


def arrays(graph: Any) -> dict[str, Array]:
    """Constants by name: initializers and Constant nodes."""
    from onnx import numpy_helper

    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.name == "value":
                found[node.output[0]] = numpy_helper.to_array(attribute.t)
    return found


def makers(graph: Any) -> dict[str, Any]:
    """The node that makes each value."""
    return {name: node for node in graph.node for name in node.output}


def takers(graph: Any) -> dict[str, list[Any]]:
    """The nodes that take each value; None stands for the graph's own output."""
    found: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            found[name].append(node)
    for entry in graph.output:
        found[entry.name].append(None)
    return found


def sizes(model: Any) -> dict[str, list[int | None]]:
    """Sizes of the values that are described, None where one varies."""
    entries = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    return {entry.name: _edit.shape_of(entry) for entry in entries}


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """An attribute's content."""
    from onnx import helper

    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def constant(graph: Any, name: str, content: Any, dtype: Any) -> str:
    """Add an initializer under a name that is still free; returns it."""
    from onnx import numpy_helper

    taken = {tensor.name for tensor in graph.initializer} | set(makers(graph))
    while name in taken:
        name += "_"
    graph.initializer.append(numpy_helper.from_array(np.asarray(content, dtype=dtype), name))
    return name


def node(op: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    """A node of one output, named after it."""
    from onnx import helper

    return helper.make_node(op, list(inputs), [output], name=f"{output}/{op}", **attributes)


def put(graph: Any, place: int, nodes: Sequence[Any]) -> None:
    """Insert `nodes`, in order, before the node that is at `place` (in place)."""
    for k, new in enumerate(nodes):
        graph.node.insert(place + k, new)


def index(graph: Any, wanted: Any) -> int:
    """Where a node stands; nodes are told apart by the values they make."""
    return next(i for i, other in enumerate(graph.node) if list(other.output) == list(wanted.output))


def needs(node: Any) -> set[str]:
    """Values a node takes, those that graphs inside it take from outside among them."""
    inner = [child for graph in _edit.graphs_of(node) for child in graph.node]
    return {*node.input, *(name for child in inner for name in needs(child))}


def drop_unused(graph: Any) -> None:
    """Remove nodes and constants that no output needs (in place)."""
    needed = {entry.name for entry in graph.output}
    for i in reversed(range(len(graph.node))):
        if needed & set(graph.node[i].output):
            needed |= needs(graph.node[i])
        else:
            del graph.node[i]
    for i in reversed(range(len(graph.initializer))):
        if graph.initializer[i].name not in needed:
            del graph.initializer[i]


def layers(graph: Any) -> list[Any]:
    """Nodes that multiply by a constant matrix or kernel, in order."""
    known = arrays(graph)
    return [n for n in graph.node if n.op_type in LAYERS and len(n.input) > 1 and n.input[1] in known]


def kinds(graph: Any) -> str:
    """Which operators there are, the most frequent first: "Conv 19, Relu 19, ..."."""
    return ", ".join(f"{kind} {n}" for kind, n in Counter(node.op_type for node in graph.node).most_common())


def feeds(workload: Workload, rows: Rows, inputs: Sequence[str]) -> dict[str, Array]:
    """What the core model is given for rows as stored, by input name."""
    given = workload.prepare.transform(rows) if workload.prepare is not None else rows
    if isinstance(given, dict):
        return {name: given[name].reshape(-1, 1) for name in inputs}
    return {inputs[0]: given}


def sample(workload: Workload, most: int) -> Rows:
    """Up to `most` training rows, the classes in their shares, drawn by the workload's seed."""
    data = replace(workload.rows, train=workload.fit_rows)
    return data.sampled(workload.seed + 1, most).x


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep libraries from logging and printing: they warn of what has been seen to, and stdout is the caller's."""
    import onnxruntime as ort

    root, before = logging.getLogger(), logging.root.manager.disable
    handlers = list(root.handlers)
    logging.disable(logging.CRITICAL)
    ort.set_default_logger_severity(3)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        ort.set_default_logger_severity(2)
        logging.disable(before)
        # logging.warning() installs a handler where there is none
        root.handlers[:] = handlers
