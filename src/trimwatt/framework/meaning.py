"""What the columns a given model answers with mean, by evidence on rows; names of operators and layers play no part."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from trimwatt import tasks
from trimwatt.errors import InputError
from trimwatt.framework import classes
from trimwatt.tasks import Task
from trimwatt.workload import Array, Data, Outputs, Rows, Told, Workload, take

_EDGE = 1e-6
# float16 rounds each of a thousand probabilities
_SUM = 1e-2
_NEAR = 0.05
# standard errors by which one reading must fit the labels better than the other
_SURE = 4.0
_ROWS, _FEWER, _STRETCHED_ROWS = 2000, 512, 64
_MOST_SECONDS = 30.0
_SAY = "say --outputs logits or --outputs probabilities (outputs= in Python)"
_FACTORS = (-1000.0, -30.0, -3.0, 3.0, 30.0, 1000.0)


def choose_rows(data: Data, row_s: float = 0.0) -> tuple[Rows, Array]:
    """Up to 2,000 rows of training and validation with their targets; fewer where a row takes `row_s` seconds and that
    makes more than half a minute."""
    each = _how_many(row_s) // 2
    parts = [split.sample(each, seed=0) for split in (data.train, data.val)]
    return join_rows([part.x for part in parts]), np.concatenate([part.y for part in parts])


def time_row(ask: Callable[[], object], rows: int) -> float:
    """Seconds for each of `rows` rows that ask() asks; it has been called before, so that nothing is loaded now."""
    started = time.perf_counter()
    ask()
    return (time.perf_counter() - started) / rows


def note_fewer(workload: Workload, row_s: float) -> Workload:
    """The workload with a warning where the model is so slow that `choose_rows` took fewer rows."""
    rows = _how_many(row_s)
    if rows == _ROWS:
        return workload
    note = (
        f"the model takes {row_s:.2g} s per row: what its answers mean was judged on up to {rows} rows rather than "
        f"{_ROWS:,}; where that is wrong, say --outputs and --classes (outputs=, classes= in Python)"
    )
    return replace(workload, data=replace(workload.rows, warnings=(*workload.rows.warnings, note)))


def _how_many(row_s: float) -> int:
    """A count of few steps, so that the load of the host does not change it."""
    return next((rows for rows in (_ROWS, _FEWER) if rows * row_s <= _MOST_SECONDS), _STRETCHED_ROWS)


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Rows of the same form, one after the other."""
    first = parts[0]
    if isinstance(first, dict):
        return {name: np.concatenate([part[name] for part in parts]) for name in first}  # type: ignore[call-overload]
    return np.concatenate([np.asarray(part) for part in parts])


def check_told(told: Told, task: Task) -> None:
    """Raise InputError where what is said of the outputs is for another task."""
    if told.outputs is not None and told.outputs not in task.outputs:
        other = tasks.for_outputs(told.outputs).name
        raise InputError(
            f"outputs {told.outputs!r} is for {other}, and the task is {task.name}; say {' or '.join(task.outputs)}, "
            f"or --task {other}"
        )
    if task.target == "value" and told.classes is not None:
        raise InputError(f"classes names the outputs of a classifier, and the task is {task.name}; leave it out")


def find_outputs(
    workload: Workload, raw: Array, y: Array, rows: Rows, ask: Callable[[Rows], Array], told: Told
) -> Outputs:
    """What the columns raw (n, columns), answered to `rows` of classes y (n,), hold: as told, else by evidence.

    ask: what the model gives for any rows as stored, (n, columns); raises InputError where it cannot take them. The
    workload must name the classes of the columns. Raises InputError where neither can be.
    """
    check_told(told, workload.task)
    said = told.outputs or ("probabilities" if workload.outputs == "probabilities" else None)
    if said == "probabilities" and not _inside(raw):
        raise InputError(
            f"outputs are said to be probabilities, and on the data's rows they lie between {raw.min():.3g} and "
            f"{raw.max():.3g}; say --outputs logits, or let the model end in what makes them probabilities"
        )
    if said is not None:
        return said
    refuse_softmax_over_rows(lambda n: ask(take(rows, slice(0, n))))
    codes = classes.column_of_code(workload)[y]
    if workload.trainer is not None:
        # an untrained model's answers have nothing to do with the labels
        codes = np.full_like(codes, -1)
    return read_columns(raw, codes, lambda: _ask_stretched(rows, ask, raw.shape[1]))


def _ask_stretched(rows: Rows, ask: Callable[[Rows], Array], columns: int) -> Array:
    found = [np.empty((0, columns), dtype=np.float32)]
    for part in stretch_rows(rows):
        try:
            found.append(ask(part))
        except InputError:  # a model need not take rows that the data do not hold
            continue
    return np.concatenate(found)


def read_columns(scores: Array, codes: Array, ask_stretched: Callable[[], Array]) -> Outputs:
    """Whether `scores` (n, columns) are logits or probabilities.

    codes: for each row the column of its class, -1 where the model has none; for one column, which scores the second
    of two classes, 0 or 1. ask_stretched: the scores (m, columns) of rows far from the data's own, (0, columns) where
    the model takes none: a logit leaves 0 to 1 there, a probability cannot. Raises InputError, with what to say
    instead, where the readings cannot be told apart.
    """
    several = scores.shape[1] > 1
    if several and _inside(scores) and np.allclose(scores.sum(axis=1), 1, atol=_SUM):
        return "probabilities"
    if several and not _inside(scores):
        return "logits"
    far = ask_stretched()
    far = far[np.isfinite(far).all(axis=1)]
    if not _inside(scores):
        return _unbounded_column(scores[:, 0], codes, far)
    if not _inside(far):
        return "logits" if several else _unbounded_column(scores[:, 0], codes, far)
    return _bounded(scores, codes, np.concatenate([scores, far]))


def refuse_softmax_over_rows(ask: Callable[[int], Array]) -> None:
    """Refuse a model whose scores of each class add up to 1 over the rows of a batch; ask(n): scores of n rows."""
    for rows in (ask(16), ask(7)):
        over_rows = _inside(rows) and np.allclose(rows.sum(axis=0), 1, atol=_SUM)
        if rows.shape[1] < 2 or not over_rows or np.allclose(rows.sum(axis=1), 1, atol=_SUM):
            return
    raise InputError(
        "the model's scores of each class add up to 1 over the rows of a batch, so that each answer depends on the "
        "rows beside it; take its softmax over the classes (dim=1)"
    )


def stretch_rows(rows: Rows) -> list[Rows]:
    """Rows far from the data's own: numbers many times as large, whole numbers anywhere in the range they have here."""
    few = take(rows, slice(0, _STRETCHED_ROWS))
    if isinstance(few, dict):
        parts = {name: _stretch(column, rows[name]) for name, column in few.items()}  # type: ignore[call-overload]
        return [{name: part[i] for name, part in parts.items()} for i in range(len(_FACTORS))]
    return list(_stretch(few, rows))  # type: ignore[arg-type]


def _stretch(few: Array, rows: Array) -> list[Array]:
    if few.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            return [(few * factor).astype(few.dtype) for factor in _FACTORS]
    if few.dtype.kind not in "iu":
        return [few] * len(_FACTORS)
    # whole numbers may be codes of a table of embeddings: none beyond those the data hold
    low, high = rows.min(axis=0), rows.max(axis=0)
    rng = np.random.default_rng(0)
    drawn = [np.where(rng.random(few.shape) < share, low, high) for share in (0.1, 0.5, 0.9)]
    edges = [np.broadcast_to(end, few.shape) for end in (low, high)]
    return [np.ascontiguousarray(part, dtype=few.dtype) for part in (*drawn, *edges, few[::-1])]


def _inside(scores: Array) -> bool:
    return bool((scores >= -_EDGE).all() and (scores <= 1 + _EDGE).all())


def _unbounded_column(column: Array, codes: Array, far: Array) -> Outputs:
    """One column that leaves 0 to 1, on the data's rows or far from them: a logit.

    Unless it never goes below 0, or is fitted to the labels 0 and 1.
    """
    everything = np.concatenate([column, far[:, 0]])
    if everything.min() >= -_EDGE:
        low, high = (float(f"{edge:.3g}") for edge in (everything.min(), everything.max()))
        raise InputError(
            f"the model's one column lies between {low:g} and {high:g} and is never negative: read as a logit it would "
            f"name one class for every row, and it is no probability; let the model end in one of the two, or say "
            "--outputs logits"
        )
    if _inside(column):
        return "logits"
    low, high = (float(f"{edge:.3g}") for edge in (column.min(), column.max()))
    within = float(np.mean((column > -0.5) & (column < 1.5)))
    fits = (_better_labels(column[:, None], codes), _fit(column[:, None].clip(0, 1), column[:, None], codes))
    if within > 0.95 and fits == ("probabilities", "probabilities"):
        raise InputError(
            f"the model's one column lies between {low:g} and {high:g} and fits the labels from 0.5 on rather than "
            "from 0 on, so it is no logit, and it leaves 0 to 1, so it is no probability; clamp it to 0 to 1 inside "
            "the model, or say --outputs logits"
        )
    return "logits"


def _bounded(scores: Array, codes: Array, everything: Array) -> Outputs:
    """Columns that stay in 0 to 1 whatever is asked."""
    if everything.min() < _NEAR and everything.max() > 1 - _NEAR:
        return "probabilities"
    found = _better_labels(scores, codes) or _fit(scores, scores, codes)
    reason = "the labels do not tell them apart"
    if found == "logits" and scores.shape[1] == 1:
        # a column that ranks the classes the other way round fits the labels badly in both readings
        found, reason = None, "as logits, which fit the labels better, they would name one class for every row"
    if found is None:
        low, high = scores.min(), scores.max()
        columns = "one column lies" if scores.shape[1] == 1 else "columns lie"
        raise InputError(
            f"what the model answers with cannot be told: its {columns} between {low:.3g} and {high:.3g} on the data's "
            f"rows, which logits and probabilities may both do, and {reason}; {_SAY}"
        )
    return found


def _better_labels(scores: Array, codes: Array) -> Outputs | None:
    """The reading of one column whose labels are right on clearly more rows; several columns have one labelling."""
    if scores.shape[1] > 1:
        return None
    scores, truth = scores[codes >= 0], codes[codes >= 0] == 1
    gain = ((scores[:, 0] > 0.5) == truth).astype(float) - ((scores[:, 0] > 0) == truth)
    return _decide(gain)


def _fit(probabilities: Array, logits: Array, codes: Array) -> Outputs | None:
    """The reading whose probabilities are clearly closer to the labels, by Brier's score."""
    known = codes >= 0
    probabilities, logits = probabilities[known], logits[known].astype(np.float64)
    if probabilities.shape[1] == 1:
        truth = (codes[known] == 1).astype(float)
        read = 1 / (1 + np.exp(-logits[:, 0]))
        return _decide((read - truth) ** 2 - (probabilities[:, 0] - truth) ** 2)
    truth = np.eye(probabilities.shape[1])[codes[known]]
    shares = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    soft = np.exp(logits)
    soft /= soft.sum(axis=1, keepdims=True)
    return _decide(((soft - truth) ** 2).sum(axis=1) - ((shares - truth) ** 2).sum(axis=1))


def _decide(gain: Array) -> Outputs | None:
    """Which reading rows favour: gain (n,) is what a row gains by reading probabilities."""
    spread = float(np.sqrt((gain**2).sum()))
    if len(gain) == 0 or spread == 0:
        return None
    sure = float(gain.sum()) / spread
    return "probabilities" if sure > _SURE else "logits" if sure < -_SURE else None
