"""Which output of an ONNX classifier is its answer, and which class each column stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.workload import Array, Outputs

_KINDS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")


@dataclass(frozen=True)
class Choice:
    """output: its name. kind: what it holds. columns: class code of each of its columns, None for 0..k-1."""

    output: str
    kind: Outputs
    columns: tuple[int, ...] | None


def unzip(model: Any) -> tuple[Any, ...] | None:
    """Replace an output made of dictionaries by the array it was made from (in place); its labels if there was one."""
    import onnx

    made = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap"}
    labels = None
    for i, entry in enumerate(model.graph.output):
        if entry.name in made:
            node = made[entry.name]
            labels = _attribute_labels(node)
            array = onnx.helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, None)
            model.graph.output[i].CopyFrom(array)
            model.graph.node.remove(node)
    return labels


def _attribute_labels(node: Any) -> tuple[Any, ...] | None:
    for attribute in node.attribute:
        if attribute.name in _KINDS and (attribute.strings or attribute.ints):
            return tuple(word.decode() for word in attribute.strings) or tuple(attribute.ints)
    return None


def choose(model: Any, answers: dict[str, Array], classes: tuple[Any, ...], zipped: tuple[Any, ...] | None) -> Choice:
    """The output that can be the scores of `classes`; raises InputError where there is none.

    answers: each output for a few rows. zipped: labels that the model itself gave its columns.
    """
    labels = zipped or next((found for node in model.graph.node if (found := _attribute_labels(node))), None)
    named = next((array for array in answers.values() if array.dtype.kind in "iOU" and array.ndim <= 2), None)
    width = len(labels) if labels and len(labels) > 1 else len(classes)
    fitting = {name: array for name, array in answers.items() if _fits(array, width)}
    if not fitting:
        return _one_hot(model, answers, classes)
    kinds = {name: _kind(array.reshape(len(array), -1)) for name, array in fitting.items()}
    best = next((name for name, kind in kinds.items() if kind == "probabilities"), next(iter(fitting)))
    if not np.isfinite(fitting[best]).all():
        raise InputError(f"the model's output {best!r} is NaN or infinite on the data's own rows")
    if labels is None or len(labels) != width:
        labels = _seen(fitting[best], named, classes)
    return Choice(best, kinds[best], _columns(labels, classes) if labels else None)


def _fits(array: Array, width: int) -> bool:
    if array.dtype.kind != "f" or array.ndim == 0:
        return False
    columns = array.size // max(1, len(array))
    return columns == width or (columns == 1 and width == 2)


def _kind(scores: Array) -> Outputs:
    """Probabilities lie in 0 to 1 and add up to 1 (or are one column)."""
    inside = bool((scores >= -1e-6).all() and (scores <= 1 + 1e-6).all())
    whole = scores.shape[1] == 1 or bool(np.allclose(scores.sum(axis=1), 1, atol=1e-3))
    return "probabilities" if inside and whole else "logits"


def _columns(labels: tuple[Any, ...], classes: tuple[Any, ...]) -> tuple[int, ...] | None:
    if set(labels) <= set(classes):
        codes = tuple(classes.index(label) for label in labels)
    elif all(isinstance(label, int) and 0 <= label < len(classes) for label in labels):
        codes = tuple(int(label) for label in labels)
    else:
        raise InputError(
            f"the model knows classes {_few(labels)}, the data have {_few(classes)}; use the labels it was trained on"
        )
    return None if codes == tuple(range(len(classes))) else codes


def _few(labels: tuple[Any, ...]) -> str:
    return ", ".join(repr(label) for label in labels[:5]) + (" ..." if len(labels) > 5 else "")


def _seen(scores: Array, named: Array | None, classes: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The label of each column as seen beside the scores, None where it is the sorted order or nothing says."""
    if named is None or scores.size == len(scores):
        return None
    best = scores.reshape(len(scores), -1).argmax(axis=1)
    said = [item.item() if isinstance(item, np.generic) else item for item in named.reshape(-1)]
    found = dict(zip(best.tolist(), said, strict=False))
    if len(found) == len(classes):
        return tuple(found[column] for column in range(len(classes)))
    in_order = all(label in (classes[column], column) for column, label in found.items())
    if in_order:
        return None
    raise InputError(
        f"the order of the model's classes cannot be told from its answers ({_few(tuple(found.values()))})"
    )


def _one_hot(model: Any, answers: dict[str, Array], classes: tuple[Any, ...]) -> Choice:
    """Labels alone, as probabilities of 0 and 1."""
    n = max((len(array) for array in answers.values() if array.ndim), default=0)
    for name, array in answers.items():
        if array.dtype.kind in "iOU" and array.size == n:
            said = {item.item() if isinstance(item, np.generic) else item for item in array.reshape(-1)}
            by_label = said <= set(classes)
            if not by_label and not said <= set(range(len(classes))):
                raise InputError(f"the model answers {_few(tuple(said))}, the data have {_few(classes)}")
            _add_one_hot(model, name, classes if by_label else tuple(range(len(classes))))
            return Choice("label/one_hot", "probabilities", None)
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in answers.items())
    k = len(classes)
    wanted = f"float (n, {k})" + (" or (n, 1)" if k == 2 else "")
    raise InputError(
        f"no output of the model can be the scores of {k} classes: for {n} rows came {shapes}; wanted {wanted}"
    )


def _add_one_hot(model: Any, name: str, known: tuple[Any, ...]) -> None:
    """Compare each label with all that are known (in place)."""
    from onnx import helper, numpy_helper

    codes = np.arange(len(known), dtype=np.int64) if isinstance(known[0], str) else np.asarray(known, dtype=np.int64)
    nodes, source = [], name
    if isinstance(known[0], str):
        source = "label/code"
        nodes.append(
            helper.make_node(
                "LabelEncoder", [name], [source], domain="ai.onnx.ml", keys_strings=list(known),
                values_int64s=codes.tolist(), default_int64=-1,
            )
        )  # fmt: skip
        if not any(entry.domain == "ai.onnx.ml" for entry in model.opset_import):
            model.opset_import.add(domain="ai.onnx.ml", version=3)
    nodes += [
        helper.make_node("Reshape", [source, "label/column"], ["label/flat"]),
        helper.make_node("Equal", ["label/flat", "label/known"], ["label/same"]),
        helper.make_node("Cast", ["label/same"], ["label/one_hot"], to=1),
    ]
    model.graph.node.extend(nodes)
    column = numpy_helper.from_array(np.asarray([-1, 1], dtype=np.int64), "label/column")
    model.graph.initializer.extend([column, numpy_helper.from_array(codes[None], "label/known")])
    model.graph.output.append(helper.make_tensor_value_info("label/one_hot", 1, [None, len(known)]))
