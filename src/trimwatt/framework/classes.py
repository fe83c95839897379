"""Which class each output column of a given model stands for, where it may know others than the data hold."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.spelling import in_form_of
from trimwatt.workload import Array, Decide, Told, Workload

Labels = tuple[Any, ...]
# for labelled rows the output column that the model answers and the code of the true class, (n,) each
Evidence = Callable[[], tuple[Array, Array] | None]
_SAY = "say which class each output stands for: --classes FILE, one name per line (classes= in Python)"
# standard errors by which labelled rows must favour numbers of outputs over labels that are equal
_SURE = 4.0


@dataclass(frozen=True)
class Matched:
    """answers: every label the model can give, those of the data first. columns: for each output column its place in
    `answers`, None for 0..k-1 in order. numbered: the model's own names, where the data's labels were taken as numbers
    of its outputs instead, or these names as numbers of the data's classes. shared: the model's own names, where only
    some of them are labels of the data and they were taken by name although they may be such numbers.
    """

    answers: Labels
    columns: tuple[int, ...] | None
    numbered: Labels | None = None
    shared: Labels | None = None


def match(
    width: int,
    classes: Labels,
    told: Labels | None = None,
    own: Labels | None = None,
    evidence: Evidence | None = None,
) -> Matched:
    """The classes of a model of `width` output columns on data of `classes`.

    told: the class of each column as the user says it, own: as the model says it. Without either, as many columns as
    classes are the classes in order, and of more columns whole-number labels are the indices. Own labels that are
    labels of the data are these; they are numbers of classes only where none is, or where labelled rows (`evidence`)
    clearly say so. Raises InputError where the columns cannot be told.
    """
    if told is not None and len(told) != width:
        raise InputError(f"classes names {len(told)} outputs, the model has {width} output columns; give one name each")
    known = told if told is not None else own
    if known is not None and len(known) == width:
        found = _by_name(known, classes)
        numbers = [classes[code] for code in known] if _in_range(known, range(len(classes))) else None
        if found is None and numbers is None and not _are_indices(known):
            numbers = _by_index(width, classes)
        if numbers is not None and told is None and _shares_some(found, classes):
            if favour_numbers(known, found or [], classes, evidence):
                found = None
            else:
                return replace(_matched(found or [], classes), shared=known)
        if found is not None:
            return _matched(found, classes)
        if numbers is not None:
            return replace(_matched(numbers, classes), numbered=known)
        if told is not None or width != len(classes) or own is not None:
            whose = "classes names" if told is not None else "the model knows classes"
            raise InputError(
                f"{whose} {_few(known)}, the data have {_few(classes)}; use the labels it was trained on, or {_SAY}"
            )
    if width == len(classes):
        return Matched(classes, None)
    found = _by_index(width, classes) if width > len(classes) else None
    if found is None:
        raise InputError(f"the model gives {width} columns, data have {len(classes)} classes ({_few(classes)}); {_SAY}")
    return _matched(found, classes)


def _by_name(known: Labels, classes: Labels) -> list[Any] | None:
    """The label of each column in the data's own form, None where no column has a class of the data."""
    # two classes of a long list may share a name, which matters only where the data hold it
    names = list(dict.fromkeys(known))
    found = in_form_of(names, classes)
    if found is None:
        return None
    own = dict(zip(names, found, strict=True))
    return [own[label] for label in known]


def _shares_some(found: Sequence[Any] | None, classes: Labels) -> bool:
    """Whether model and data share labels, and each has others of its own."""
    return found is not None and not (set(found) <= set(classes) or set(classes) <= set(found))


def favour_numbers(known: Labels, found: Sequence[Any], classes: Labels, evidence: Evidence | None) -> bool:
    """Whether labelled rows agree clearly better with `known` as codes of the classes than with them as labels."""
    seen = evidence() if evidence is not None else None
    if seen is None:
        return False
    columns, truth = seen
    code_of = {label: code for code, label in enumerate(classes)}
    by_name = np.array([code_of.get(label, -1) for label in found])[columns]
    by_number = np.array(known, dtype=np.int64)[columns]
    gain = (by_number == truth).astype(float) - (by_name == truth)
    return bool(gain.sum() > _SURE * np.sqrt((gain**2).sum()))


def _by_index(width: int, classes: Labels) -> list[Any] | None:
    """Labels that are whole numbers, or their digits, as indices of the columns; None where one is not."""
    numbers = [_whole(label) for label in classes]
    if any(number is None or not 0 <= number < width for number in numbers) or len(set(numbers)) < len(classes):
        return None
    of = dict(zip(numbers, classes, strict=True))
    text = isinstance(classes[0], str)
    return [of.get(column, str(column) if text else column) for column in range(width)]


def _whole(label: Any) -> int | None:
    if isinstance(label, str):
        return int(label) if label.isascii() and label.isdigit() else None
    return int(label) if isinstance(label, int) else None


def _in_range(known: Labels, codes: range) -> bool:
    return all(isinstance(label, int) and label in codes for label in known)


def _are_indices(known: Labels) -> bool:
    return all(isinstance(label, int) for label in known)


def _matched(found: Sequence[Any], classes: Labels) -> Matched:
    twice = [label for label in classes if list(found).count(label) > 1]
    if twice:
        places = [str(i) for i, label in enumerate(found) if label == twice[0]]
        raise InputError(f"class {twice[0]!r} stands for outputs {', '.join(places[:4])}; name each output once")
    beyond = [place for place, label in enumerate(found) if label not in set(classes)]
    code_of = {label: code for code, label in enumerate(classes)}
    after = {place: len(classes) + i for i, place in enumerate(beyond)}
    columns = tuple(after.get(place, code_of.get(label, -1)) for place, label in enumerate(found))
    answers = (*classes, *_alike([found[place] for place in beyond], classes))
    return Matched(answers, None if columns == tuple(range(len(answers))) else columns)


def _alike(others: Iterable[Any], classes: Labels) -> list[Any]:
    """Labels of one type: text beside text, whole numbers beside whole numbers."""
    return [str(label) for label in others] if isinstance(classes[0], str) else list(others)


def assign(
    workload: Workload, width: int, told: Told, own: Labels | None = None, evidence: Evidence | None = None
) -> Workload:
    """The workload with the class of each of `width` output columns; own: as the model itself lists them.

    evidence: what it answers to labelled rows, asked for only where its own labels can be read in two ways. One column
    is the score of the second of two classes. Raises InputError where the classes cannot be told.
    """
    named = workload.rows.classes or ()
    if workload.class_columns is not None and told.classes is None:
        if width != len(workload.class_columns) and not (width == 1 and len(named) == 2):
            raise InputError(f"the model gives {width} columns, class_columns names {len(workload.class_columns)}")
        return replace(workload, decide=workload.decide or Decide(named))
    found = match(2 if width == 1 and len(named) == 2 else width, named, told.classes, own, evidence)
    decide = replace(workload.decide or Decide(named), classes=found.answers)
    notes = describe_missing(found, named)
    data = replace(workload.rows, warnings=(*workload.rows.warnings, *notes))
    return replace(workload, data=data, class_columns=found.columns, decide=decide)


def column_of_code(workload: Workload) -> Array:
    """For each class code of the data the output column that stands for it, -1 where the model has none."""
    places = workload.class_columns or range(len(workload.answers))
    of = {code: column for column, code in enumerate(places)}
    return np.array([of.get(code, -1) for code in range(len(workload.rows.classes or ()))])


def answered(scores: Array, codes: Array) -> tuple[Array, Array] | None:
    """The column of the highest score of each row, and its class code; None for one column, which needs a limit."""
    return (scores.argmax(axis=1), codes) if scores.ndim == 2 and scores.shape[1] > 1 else None


def describe_missing(found: Matched, classes: Labels) -> tuple[str, ...]:
    """What a reader must know where model and data do not have the same classes."""
    notes = []
    if found.numbered is not None:
        own, theirs = _few(found.numbered), f"the data's {_few(classes)}"
        codes = _are_indices(found.numbered)
        taken = f"these were taken as the numbers of {theirs}" if codes else f"{theirs} were taken as the numbers of"
        notes.append(
            f"the model knows its classes as {own}: {taken}{'' if codes else ' its outputs'}, from 0; where they are "
            "not, name them with --classes FILE (classes= in Python)"
        )
    if found.shared is not None:
        notes.append(
            f"the model knows its classes as {_few(found.shared)}, the data have {_few(classes)}: labels of both were "
            "taken as the same class; where the model's are the numbers of the data's classes, from 0, name them with "
            "--classes FILE (classes= in Python)"
        )
    beyond = found.answers[len(classes) :]
    if beyond:
        notes.append(
            f"the model answers {len(found.answers)} classes, of which the data hold {len(classes)} ({_few(classes)}): "
            f"an answer such as {beyond[0]!r} counts as wrong, and candidates trained here learn only the classes of "
            "the data"
        )
    known = set(range(len(classes))) if found.columns is None else set(found.columns)
    unknown = [label for code, label in enumerate(classes) if code not in known]
    if unknown:
        notes.append(f"the model has no output for {_few(unknown)}: it is wrong on each of their rows")
    return tuple(notes)


def from_names(names: Any, width: int) -> Labels | None:
    """The label of each of `width` columns from a list, {index: label} or {label: index}; None for all else."""
    if isinstance(names, Mapping):
        names = _in_order(names)
    if not isinstance(names, list | tuple) or len(names) != width or width < 2:
        return None
    plain = [item.item() if hasattr(item, "item") else item for item in names]
    usable = all(isinstance(item, str | int) and not isinstance(item, bool) for item in plain)
    return tuple(plain) if usable and len({type(item) for item in plain}) == 1 else None


def parse_names(text: str) -> Any:
    """A class list out of one string: JSON, a Python literal, or names one per line or between commas."""
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list | tuple | dict):
            return found
    lines = text.strip().splitlines()
    return [line.strip() for line in (lines if len(lines) > 1 else text.split(","))]


def _in_order(names: Mapping[Any, Any]) -> list[Any] | None:
    by_key = {_whole(key): label for key, label in names.items()}
    if set(by_key) == set(range(len(names))):
        return [by_key[i] for i in range(len(names))]
    by_value = {_whole(index): label for label, index in names.items() if isinstance(index, int | str)}
    return [by_value[i] for i in range(len(names))] if set(by_value) == set(range(len(names))) else None


def _few(labels: Sequence[Any]) -> str:
    return ", ".join(repr(label) for label in labels[:5]) + (" ..." if len(labels) > 5 else "")
