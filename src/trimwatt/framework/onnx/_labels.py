"""Which output of an ONNX classifier is its answer, and which class each column stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework import classes as known_classes
from trimwatt.framework.onnx import _edit
from trimwatt.workload import Array

_METADATA = frozenset({"names", "classes", "class_names", "class_labels", "labels", "categories", "id2label"})
# what the names of values begin with that are made out of a model's labels
OF_LABELS = "label/"
_KINDS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")


@dataclass(frozen=True, eq=False)
class Choice:
    """output: its name. known: the class of each column as the model says it, None where it does not. labels: where
    the output holds labels and no scores, these as 0 and 1 in a column for each of `known`.
    """

    output: str
    known: tuple[Any, ...] | None
    labels: Array | None = None


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


def choose(
    model: Any, answers: dict[str, Array], classes: tuple[Any, ...], zipped: tuple[Any, ...] | None,
    told: tuple[Any, ...] | None = None, codes: Array | None = None,
) -> Choice:  # fmt: skip
    """The output that can be the scores of a classifier; raises InputError where there is none.

    answers: each output for the same rows. classes: of the data. zipped: labels that the model gave its columns. told:
    as the user gave them. codes: the class codes of the rows.
    """
    own = told or zipped or next((found for node in model.graph.node if (found := _attribute_labels(node))), None)
    own = own or _from_metadata(model, answers)
    named = next((array for array in answers.values() if array.dtype.kind in "iOU" and array.ndim <= 2), None)
    width = len(own) if own and len(own) > 1 else len(classes)
    fitting = {name: array for name, array in answers.items() if _fits(array, width)}
    if not fitting and own is None:
        fitting = _wider(answers, width, named)
    if not fitting:
        return _labels_alone(answers, classes, own, codes)
    # of logits and probabilities of the same classes the probabilities are what the model means to answer
    best = next((name for name, array in fitting.items() if _adds_up(array)), next(iter(fitting)))
    if named is not None:
        seen = _clearly_named(fitting[best], named)
        if seen is None:
            return _labels_alone(answers, classes, own, codes)
        if own is not None and len(own) == width and any(own[column] != label for column, label in seen.items()):
            # the labels are what the model answers; its columns may stand in another order than its class list says
            if set(seen.values()) != set(own):
                return _labels_alone(answers, classes, own, codes)
            own = tuple(seen[column] for column in range(width))
    if own is None and named is not None:
        own = _seen(fitting[best], named, classes)
    return Choice(best, own if own and len(own) > 1 else None)


def _fits(array: Array, width: int) -> bool:
    if array.dtype.kind != "f" or array.ndim == 0:
        return False
    columns = array.size // max(1, len(array))
    return columns == width or (columns == 1 and width == 2)


def _wider(answers: dict[str, Array], width: int, named: Array | None) -> dict[str, Array]:
    """Outputs of one number of columns, more than there are classes in the data; features beside labels are none."""
    found = {name: a for name, a in answers.items() if a.dtype.kind == "f" and a.ndim == 2 and a.shape[1] > width}
    if named is not None:
        found = {name: array for name, array in found.items() if _named_by(array, named) is not None}
    if len({array.shape[1] for array in found.values()}) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in found.items())
        raise InputError(f"more than one output can be the scores of the classes: {shapes}; keep one of them")
    return found


def _adds_up(array: Array) -> bool:
    """Whether values lie in 0 to 1, those of several columns with a sum of 1."""
    scores = array.reshape(len(array), -1)
    inside = bool((scores >= -1e-6).all() and (scores <= 1 + 1e-6).all())
    return inside and (scores.shape[1] == 1 or bool(np.allclose(scores.sum(axis=1), 1, atol=1e-2)))


def _from_metadata(model: Any, answers: dict[str, Array]) -> tuple[Any, ...] | None:
    """The class list that exporters leave in the model's metadata, where one fits the width of an output."""
    widths = {array.shape[1] for array in answers.values() if array.dtype.kind == "f" and array.ndim == 2}
    found = {
        labels
        for entry in model.metadata_props
        if entry.key.lower() in _METADATA
        for width in widths
        if (labels := known_classes.from_names(known_classes.parse_names(entry.value), width)) is not None
    }
    return found.pop() if len(found) == 1 else None


def _few(labels: tuple[Any, ...]) -> str:
    return ", ".join(repr(label) for label in labels[:5]) + (" ..." if len(labels) > 5 else "")


def _plain(labels: Array) -> list[Any]:
    return [item.item() if isinstance(item, np.generic) else item for item in labels.reshape(-1)]


def _named_by(scores: Array, named: Array) -> dict[int, Any] | None:
    """The label beside each column where it is the largest, None where one column goes with several labels."""
    best = scores.reshape(len(scores), -1).argmax(axis=1).tolist()
    found: dict[int, Any] = {}
    for column, label in zip(best, _plain(named), strict=False):
        if found.setdefault(column, label) != label:
            return None
    return found


def _clearly_named(scores: Array, named: Array) -> dict[int, Any] | None:
    """The label beside each column where it is clearly the largest; None where labels follow another rule than that,
    a threshold say. Of one column nothing is known.
    """
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    if flat.shape[1] < 2 or not np.isfinite(flat).all():
        return {}
    top = np.sort(flat, axis=1)
    clear = top[:, -1] - top[:, -2] > 1e-4 * max(float(np.ptp(flat)), 1e-12)
    return _named_by(flat[clear], named.reshape(-1)[clear])


def _seen(scores: Array, named: Array, classes: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The label of each column as seen beside the scores, None where it is the sorted order or nothing says."""
    width = scores.size // len(scores)
    found = _named_by(scores, named) if width > 1 else None
    if found is None:
        return None
    if len(found) == width:
        return tuple(found[column] for column in range(width))
    if all(label == column for column, label in found.items()):
        return tuple(range(width))
    if width == len(classes) and all(label == classes[column] for column, label in found.items()):
        return None
    raise InputError(
        f"the order of the model's classes cannot be told from its answers ({_few(tuple(found.values()))}); say it by "
        "--classes FILE, one name per line (classes= in Python)"
    )


def _labels_alone(
    answers: dict[str, Array], classes: tuple[Any, ...], own: tuple[Any, ...] | None, codes: Array | None
) -> Choice:
    """Labels alone, as probabilities of 0 and 1."""
    n = max((len(array) for array in answers.values() if array.ndim), default=0)
    for name, array in answers.items():
        if array.dtype.kind not in "iOU" or array.size != n:
            continue
        said = _plain(array)
        by_label = bool(set(said) & set(classes)) or bool(own and set(own) & set(classes))
        if not by_label and not set(said) <= set(range(len(classes))):
            raise InputError(f"the model answers {_few(tuple(dict.fromkeys(said)))}, the data have {_few(classes)}")
        if by_label and _are_codes(said, classes, own, codes):
            by_label = False
        beyond = sorted({*said, *(own or ())} - set(classes), key=str) if by_label else []
        known = (*classes, *beyond) if by_label else tuple(range(len(classes)))
        place = {label: column for column, label in enumerate(known)}
        return Choice(name, known, np.eye(len(known), dtype=np.float32)[[place[label] for label in said]])
    shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in answers.items())
    k = len(classes)
    wanted = f"float (n, {k})" + (" or (n, 1)" if k == 2 else "")
    raise InputError(
        f"no output of the model can be the scores of {k} classes: for {n} rows came {shapes}; wanted {wanted}, "
        "or more columns with --classes FILE"
    )


def _are_codes(said: list[Any], classes: tuple[Any, ...], own: tuple[Any, ...] | None, codes: Array | None) -> bool:
    """Whether the class codes of the rows agree clearly better with labels as codes than with them as labels."""
    numbers = tuple(range(len(classes)))
    if codes is None or not {*said, *(own or ())} <= set(numbers) or set(numbers) == set(classes):
        return False
    return known_classes.favour_numbers(numbers, numbers, classes, lambda: (np.asarray(said, dtype=np.int64), codes))


def add_one_hot(model: Any, name: str, known: tuple[Any, ...]) -> str:
    """Compare each label of the output `name` with all of `known` (in place); the name of what comes out."""
    from onnx import helper, numpy_helper

    words = isinstance(known[0], str)
    codes = np.arange(len(known), dtype=np.int64) if words else np.asarray(known, dtype=np.int64)
    code, column, flat, table, same, hot = (
        _edit.unused_name(model, f"{OF_LABELS}{word}")
        for word in ("code", "column", "flat", "known", "same", "one_hot")
    )
    nodes = []
    if words:
        nodes.append(
            helper.make_node(
                "LabelEncoder", [name], [code], domain="ai.onnx.ml", keys_strings=list(known),
                values_int64s=codes.tolist(), default_int64=-1,
            )
        )  # fmt: skip
        if not any(entry.domain == "ai.onnx.ml" for entry in model.opset_import):
            model.opset_import.add(domain="ai.onnx.ml", version=3)
    nodes += [
        helper.make_node("Reshape", [code if words else name, column], [flat]),
        helper.make_node("Equal", [flat, table], [same]),
        helper.make_node("Cast", [same], [hot], to=1),
    ]
    model.graph.node.extend(nodes)
    pattern = numpy_helper.from_array(np.asarray([-1, 1], dtype=np.int64), column)
    model.graph.initializer.extend([pattern, numpy_helper.from_array(codes[None], table)])
    model.graph.output.append(helper.make_tensor_value_info(hot, 1, [None, len(known)]))
    return hot
