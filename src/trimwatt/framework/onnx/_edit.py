"""Changes to ONNX models that keep what they compute."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trimwatt.errors import TrialFailed
from trimwatt.framework import _graph

# these mean the same in every opset from 13 on, so a graph of them needs no conversion to a newer one
_STABLE = frozenset(
    {
        *("Add", "And", "ArgMax", "Cast", "Concat", "Div", "Equal", "Exp", "Flatten", "Gather", "Gemm"),
        *("GreaterOrEqual", "Identity", "IsNaN", "Less", "MatMul", "Mul", "Neg", "Not", "OneHot", "Pow", "Relu"),
        *("Reshape", "Sigmoid", "Slice", "Softmax", "Sqrt", "Squeeze", "Sub", "Tanh", "TopK", "Transpose"),
        *("Unsqueeze", "Where"),
    }
)


def load(model: bytes) -> Any:
    """The parsed model; raises TrialFailed where the bytes are no ONNX."""
    import onnx

    try:
        return onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's own errors have no public base
        raise TrialFailed(f"the model is not readable as ONNX: {error}") from error


def opset(model: Any, domain: str = "") -> int:
    """The version of `domain` that the model uses, 0 for none."""
    names = ("", "ai.onnx") if domain == "" else (domain,)
    return max((int(entry.version) for entry in model.opset_import if entry.domain in names), default=0)


def set_opset(model: Any, domain: str, version: int) -> None:
    """Name `version` as the model's opset of `domain` (in place)."""
    kept = [e for e in model.opset_import if (e.domain or "") not in ({"", "ai.onnx"} if domain == "" else {domain})]
    kept = [(e.domain, e.version) for e in kept] + [(domain, version)]
    del model.opset_import[:]
    for name, number in kept:
        model.opset_import.add(domain=name, version=number)


def at_opset(model: Any, version: int) -> Any:
    """The model at an opset of at least `version`; raises TrialFailed where it cannot be converted."""
    import onnx

    current = opset(model)
    if current >= version:
        return model
    used = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")}
    if current == 0 or (current >= 13 and used <= _STABLE):
        set_opset(model, "", version)
        return model
    try:
        return onnx.version_converter.convert_version(model, version)
    except Exception as error:  # the converter raises RuntimeError, ConvertError and bare C++ errors
        raise TrialFailed(f"the model's opset {current} cannot be raised to {version}: {error}") from error


def constants(model: Any) -> dict[str, Any]:
    """Initializers by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def free_inputs(model: Any) -> list[Any]:
    """Inputs that a caller must give: old files list initializers among them."""
    given = {*constants(model), *(sparse.values.name for sparse in model.graph.sparse_initializer)}
    return [entry for entry in model.graph.input if entry.name not in given]


def graphs_of(node: Any) -> Iterator[Any]:
    """Graphs inside a node (branches, loop bodies)."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def rename(graph: Any, names: dict[str, str]) -> None:
    """Rename values throughout `graph` and the graphs inside it (in place)."""
    for node in graph.node:
        for part in (node.input, node.output):
            part[:] = [names.get(name, name) for name in part]
        for inner in graphs_of(node):
            rename(inner, names)
    sparse = [tensor.values for tensor in graph.sparse_initializer]
    for entries in (graph.input, graph.output, graph.initializer, graph.value_info, sparse):
        for entry in entries:
            entry.name = names.get(entry.name, entry.name)
    for note in graph.quantization_annotation:
        note.tensor_name = names.get(note.tensor_name, note.tensor_name)
        for pair in note.quant_parameter_tensor_names:
            pair.value = names.get(pair.value, pair.value)


def names_of(graph: Any) -> set[str]:
    """Names of all values in `graph` and the graphs inside it."""
    names = {name for node in graph.node for part in (node.input, node.output) for name in part if name}
    names |= {tensor.name for tensor in graph.initializer} | {entry.name for entry in [*graph.input, *graph.output]}
    names |= {tensor.values.name for tensor in graph.sparse_initializer} | {entry.name for entry in graph.value_info}
    return names | {name for node in graph.node for inner in graphs_of(node) for name in names_of(inner)}


def unused_name(model: Any, word: str) -> str:
    """`word`, or with underscores behind it where a value of the model is called so."""
    taken = names_of(model.graph)
    while word in taken:
        word += "_"
    return word


def set_names_apart(model: Any, prefix: str) -> None:
    """Begin the names of all inner values and varying sizes with `prefix`, or one like it (in place).

    Names that are added later then clash with none; the inputs keep theirs.
    """
    inputs = {entry.name for entry in free_inputs(model)}
    prefix = _graph.unused_prefix(prefix, inputs)
    inner = names_of(model.graph) - inputs
    if all(name.startswith(prefix) for name in inner):
        return
    rename(model.graph, {name: prefix + name for name in inner})
    for entry in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for size in entry.type.tensor_type.shape.dim:
            if size.HasField("dim_param"):
                size.dim_param = prefix + size.dim_param


def used(node: Any) -> set[str]:
    """Names that a node reads, those inside its graphs too."""
    names = set(node.input)
    for inner in graphs_of(node):
        for child in inner.node:
            names |= used(child)
        names |= {entry.name for entry in inner.output}
    return names


def keep_outputs(model: Any, names: list[str]) -> None:
    """Keep only outputs `names` and what they need (in place)."""
    graph = model.graph
    outputs = {entry.name: entry for entry in graph.output}
    known = {entry.name: entry for entry in graph.value_info}
    needed, kept = set(names), []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= used(node)
    entries = [outputs.get(name) or known.get(name) or _untyped(name) for name in names]
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed]
    infos = [entry for entry in graph.value_info if entry.name in needed and entry.name not in names]
    for field, content in (("node", kept[::-1]), ("output", entries), ("initializer", tensors), ("value_info", infos)):
        copies = [type(item).FromString(item.SerializeToString()) for item in content]
        del getattr(graph, field)[:]
        getattr(graph, field).extend(copies)


def _untyped(name: str) -> Any:
    import onnx

    return onnx.helper.make_empty_tensor_value_info(name)


def shape_of(entry: Any) -> list[int | None]:
    """Sizes of a described value, None where one varies or is not said."""
    if not entry.type.tensor_type.HasField("shape"):
        return []
    return [d.dim_value if d.HasField("dim_value") else None for d in entry.type.tensor_type.shape.dim]


def raise_to_common(models: list[Any]) -> list[Any]:
    """The models at one opset and operator-set for machine learning, so that they can share a graph."""
    version = max(_graph.OPSET, *(opset(model) for model in models))
    models = [at_opset(model, version) for model in models]
    for domain in {e.domain for model in models for e in model.opset_import} - {"", "ai.onnx"}:
        highest = max(opset(model, domain) for model in models)
        for model in models:
            if opset(model, domain):
                set_opset(model, domain, highest)
    return models
