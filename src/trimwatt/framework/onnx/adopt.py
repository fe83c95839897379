"""Taking in an ONNX model that the user gave: what it takes and answers, checked against the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.framework import _graph, classes, meaning
from trimwatt.framework.onnx import _batch, _edit, _labels, run
from trimwatt.framework.prepare import PackPrepare, StackPrepare
from trimwatt.rows import packing
from trimwatt.rows.columns import kind_of
from trimwatt.rows.fields import typed
from trimwatt.workload import Array, Data, Outputs, Prepare, Rows, Stored, Told, Workload, count, take

_ROWS, _PART = 64, 256
# what stands before the inner names of a model that was given
NAMES_OF_GIVEN = "given/"
_FLOATS = (np.float32, np.float64, np.float16)
# types of an input, by their number in ONNX, to which stored columns can be brought without loss
_WIDE = {11: "float64", 7: "int64"}


def adopt(workload: Workload, told: Told | None = None) -> Workload:
    """The workload with the user's ONNX bytes reduced to a core of one float output, its meaning found by running it.

    The rows reach it as stored, unless the workload has a `prepare`. Inner names are set apart from those that are
    added later. Raises InputError naming what the model takes and what the data are where they do not fit, or where no
    output can be the answer.
    """
    told = told or Told()
    model = _parsed(workload.model)
    fixed = _batch.free(model)
    zipped = _labels.unzip(model)
    prepare = workload.prepare or _matched(model, workload.rows)
    workload = replace(workload, form="onnx", prepare=prepare)
    ask = _asking(model, prepare, fixed)
    few = take(workload.rows.train.x, slice(0, _ROWS))
    ask(few)
    row_s = meaning.time_row(lambda: ask(few), count(few))
    workload = meaning.note_fewer(workload, row_s)
    rows, y = meaning.choose_rows(workload.rows, row_s)
    answers = _in_parts(ask, rows)
    if workload.task.target == "value":
        meaning.check_told(told, workload.task)
        return _regression(workload, model, answers, y)
    return _classifier(workload, model, _Asked(rows, y, answers, ask), zipped, told)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Rows with their class codes, what each output says for them, and a way to ask for more."""

    rows: Rows
    y: Array
    answers: dict[str, Array]
    ask: Callable[[Rows], dict[str, Array]]


def _classifier(workload: Workload, model: Any, asked: _Asked, zipped: tuple[Any, ...] | None, told: Told) -> Workload:
    named = workload.rows.classes or ()
    choice = _labels.choose(model, asked.answers, named, zipped, told.classes, asked.y)
    scores = asked.answers[choice.output] if choice.labels is None else choice.labels
    scores = scores.reshape(len(scores), -1)
    if not np.isfinite(scores).all():
        raise InputError(f"the model's output {choice.output!r} is NaN or infinite on the data's own rows")
    workload = classes.assign(workload, scores.shape[1], told, choice.known, lambda: classes.answered(scores, asked.y))
    if choice.labels is not None:
        return _core(workload, model, _labels.add_one_hot(model, choice.output, choice.known or named), "probabilities")

    def ask(rows: Rows) -> Array:
        return asked.ask(rows)[choice.output].reshape(count(rows), -1)

    return _core(workload, model, choice.output, meaning.find_outputs(workload, scores, asked.y, asked.rows, ask, told))


def _core(workload: Workload, model: Any, output: str, outputs: Outputs) -> Workload:
    _edit.keep_outputs(model, [output])
    _edit.set_names_apart(model, NAMES_OF_GIVEN)
    if not isinstance(workload.rows.train.x, dict):
        _edit.rename(model.graph, {_edit.free_inputs(model)[0].name: "x"})
    return replace(workload, model=bytes(model.SerializeToString()), outputs=outputs)


def _parsed(content: bytes) -> Any:
    import onnx

    try:
        model = _edit.load(content)
    except TrialFailed as error:
        raise InputError(f"{error}; is it an .onnx file?") from error
    if not model.graph.node or not model.graph.output:
        raise InputError("the model is not readable as ONNX: it has no graph; is it an .onnx file?")
    outside = [t.name for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        raise InputError(
            f"the ONNX model keeps {outside[0]!r} in a file beside it; save it as one file "
            "(onnx.save_model(onnx.load(path), path, save_as_external_data=False))"
        )
    return model


def _matched(model: Any, data: Data) -> StackPrepare | PackPrepare | None:
    """Inputs checked against the rows and named as they are; the stacking of columns for a model that wants it."""
    inputs, rows = _edit.free_inputs(model), data.train.x
    if isinstance(rows, dict):
        return _packed(model, inputs, rows) or _columns(model, inputs, rows)
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs)
        raise InputError(f"the model takes {len(inputs)} inputs ({names}), the rows are one array; give named columns")
    _check_array(inputs[0], rows)
    return None


def _packed(model: Any, inputs: list[Any], rows: dict[str, Array]) -> PackPrepare | None:
    """What packs the columns of a model that says itself which it takes, as those made here do."""
    said = {entry.key: entry.value for entry in model.metadata_props}.get(packing.KEY)
    if said is None or len(inputs) != 1:
        return None
    (tensor, *others) = packing.from_text(said)
    missing = [column.name for column in tensor.columns if column.name not in rows]
    if others or tensor.name != inputs[0].name or missing:
        return None
    return PackPrepare(tensor)


def _columns(model: Any, inputs: list[Any], rows: dict[str, Array]) -> StackPrepare | None:
    wide = len(inputs) == 1 and len(rows) > 1 and _edit.shape_of(inputs[0])[1:] == [len(rows)]
    # one input for all columns may happen to be called as one of them is
    if not wide and {entry.name for entry in inputs} <= set(rows):
        for entry in inputs:
            _check_column(model, entry, rows[entry.name], isinstance(rows, Stored))
        return None
    numbers = all(kind_of(column) == "number" for column in rows.values())
    shape = _edit.shape_of(inputs[0])
    if len(inputs) == 1 and numbers and len(shape) == 2 and shape[1] in (None, len(rows)):
        kind = np.dtype(np.float32)
        if isinstance(rows, Stored) and inputs[0].type.tensor_type.elem_type in _WIDE:
            kind = np.dtype(_WIDE[inputs[0].type.tensor_type.elem_type])
        _check_type(inputs[0], kind, "columns of numbers")
        for name, column in rows.items() if kind.kind == "i" else ():
            typed(column, kind, name)
        return StackPrepare(tuple(rows), kind.name, kind.name)
    wanted = "; ".join(_described(entry) for entry in inputs)
    have = ", ".join(list(rows)[:8]) + (" ..." if len(rows) > 8 else "")
    raise InputError(f"the model takes {wanted}, the data have columns {have}; name its inputs as the columns")


def _check_values(entry: Any, column: Any) -> None:
    """Raise InputError where a stored column holds what the type of its input cannot."""
    kind = run.numpy_type(_type_name(entry))
    if kind is not object:
        typed(column, kind, entry.name)


def _check_column(model: Any, entry: Any, column: Array, stored: bool) -> None:
    text = kind_of(column) == "text"
    wants_text = entry.type.tensor_type.elem_type == _graph.element_type(object)
    if text != wants_text:
        kinds = ("text", "numbers") if wants_text else ("numbers", "text")
        raise InputError(f"the model takes {kinds[0]} in {entry.name!r}, the column holds {kinds[1]}")
    if len(_edit.shape_of(entry)) != 2:
        raise InputError(f"the model takes {_described(entry)}; a column enters as (n, 1)")
    if stored:
        _check_values(entry, column)
    elif not text and entry.type.tensor_type.elem_type != _graph.element_type(np.float32):
        _cast_input(model, entry)


def _cast_input(model: Any, entry: Any) -> None:
    """A column is float32 by trimwatt's own choice, so turning it into the model's type is ours to do (in place)."""
    import onnx

    name, kind = entry.name, entry.type.tensor_type.elem_type
    typed = _edit.unused_name(model, f"{name}/typed")
    _edit.rename(model.graph, {name: typed})
    entry.name, entry.type.tensor_type.elem_type = name, onnx.TensorProto.FLOAT
    model.graph.node.insert(0, onnx.helper.make_node("Cast", [name], [typed], to=kind))


def _described(entry: Any) -> str:
    sizes = ["n" if size is None else str(size) for size in _edit.shape_of(entry)]
    return f"{entry.name} {_type_name(entry)} ({', '.join(sizes)})"


def _type_name(entry: Any) -> str:
    import onnx

    return str(onnx.TensorProto.DataType.Name(entry.type.tensor_type.elem_type)).lower()


def _check_type(entry: Any, dtype: np.dtype[Any], what: str) -> None:
    if entry.type.tensor_type.elem_type != _graph.element_type(dtype):
        wanted = {"float": "float32", "double": "float64"}.get(_type_name(entry), _type_name(entry))
        raise InputError(
            f"the model takes {_described(entry)}, {what} are {dtype}; store the rows as {wanted} "
            f"(x.astype({wanted!r})), scaled as the model was trained"
        )


def _check_array(entry: Any, rows: Array) -> None:
    stored = f"the rows are stored as {rows.dtype} (n, {', '.join(map(str, rows.shape[1:]))})"
    _check_type(entry, rows.dtype, "the rows")
    wanted = _edit.shape_of(entry)
    fits = not wanted or len(wanted) == rows.ndim
    if not fits or any(w is not None and w != s for w, s in zip(wanted[1:], rows.shape[1:], strict=False)):
        raise InputError(f"the model takes {_described(entry)}, {stored}; store the rows in that shape")


def _asking(model: Any, prepare: Prepare | None, fixed: int | None) -> Callable[[Rows], dict[str, Array]]:
    """What asks every output for rows as stored; raises InputError where the model cannot take them."""
    try:
        session = run.open_session(bytes(model.SerializeToString()))
    except TrialFailed as error:
        raise InputError(str(error)) from error
    names = [entry.name for entry in session.get_outputs()]

    def ask(rows: Rows) -> dict[str, Array]:
        given = prepare.transform(rows) if prepare else rows
        try:
            found = session.run(None, run.feed(session, given))
        except Exception as error:  # onnxruntime's errors share no base but Exception
            if fixed is not None:
                raise InputError(
                    f"the model is made for {fixed} row(s) at a time; export it with a dynamic batch axis"
                ) from error
            raise InputError(f"the model cannot run the data's rows: {first_line(error)}") from error
        pairs = zip(names, found, strict=True)
        return {name: np.asarray(array) for name, array in pairs if isinstance(array, np.ndarray)}

    return ask


def _in_parts(ask: Callable[[Rows], dict[str, Array]], rows: Rows) -> dict[str, Array]:
    """The answers to all rows, asked some at a time; an output that does not grow with the rows is left out."""
    starts = range(0, count(rows), _PART)
    sizes = [min(_PART, count(rows) - start) for start in starts]
    parts = [ask(take(rows, slice(start, start + _PART))) for start in starts]
    shapes = {name: (array.ndim > 0, array.shape[1:]) for name, array in parts[0].items()}
    grows = [
        name
        for name, (some, shape) in shapes.items()
        if some and all(p[name].shape == (n, *shape) for p, n in zip(parts, sizes, strict=True))
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in grows} or parts[0]


def _regression(workload: Workload, model: Any, answers: dict[str, Array], y: Array) -> Workload:
    """The workload of the output that holds the values; where several could, that is announced."""
    output, others = _value_output(answers, y, workload.task.name)
    if others:
        note = (
            f"several outputs of the model can be the value: {output!r} was taken, which fits the targets clearly "
            f"best; where it is not the answer, keep only the right one ({', '.join(map(repr, others))})"
        )
        workload = replace(workload, data=replace(workload.rows, warnings=(*workload.rows.warnings, note)))
    return _core(workload, model, output, "values")


def _value_output(answers: dict[str, Array], y: Array, task: str) -> tuple[str, list[str]]:
    """The output that can be the values of targets y (n,), and others that could be but fit clearly worse."""
    rows = len(y)
    fitting = {
        name: array.reshape(-1).astype(np.float64)
        for name, array in answers.items()
        if array.dtype in _FLOATS and array.size == rows and array.shape[0] == rows
    }
    if not fitting:
        shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in answers.items())
        raise InputError(
            f"the task is {task}, so an output must be float (n,) or (n, 1); for {rows} rows came {shapes}"
        )
    finite = {name: values for name, values in fitting.items() if np.isfinite(values).all()}
    if not finite:
        raise InputError(f"the model's output {next(iter(fitting))!r} is NaN or infinite on the data's own rows")
    errors = {name: np.abs(values - y) for name, values in finite.items()}
    best = min(errors, key=lambda name: float(errors[name].sum()))
    # outputs that are equal are the same answer
    rivals = [name for name in errors if not np.array_equal(finite[name], finite[best])]
    if not all(_clearly_less(errors[best], errors[name]) for name in rivals):
        raise InputError(
            f"the model has several outputs that can be the value ({', '.join(map(repr, fitting))}), and the targets "
            "do not tell which; keep only the one that is its answer (onnx.utils.extract_model)"
        )
    return best, [name for name in fitting if name != best]


def _clearly_less(errors: Array, others: Array) -> bool:
    """Whether rows have smaller errors by four standard errors of the difference."""
    gain = others - errors
    return bool(gain.sum() > 4 * np.sqrt((gain**2).sum()))
