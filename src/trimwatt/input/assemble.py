"""From parts of rows to checked `Data`: one path for every kind of input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import findings, independent, leaks, split, target
from trimwatt.input._base import Options, Part, Source
from trimwatt.input.checks import check_sides, listed
from trimwatt.input.original import Original
from trimwatt.input.target import Encoded
from trimwatt.workload import Array, Data, Split, count

_NAMED_IN_WARNINGS = 8


def assemble(source: Source, options: Options) -> Data:
    """The three splits of `source`, checked, for the task asked or the one that the target looks like.

    Raises InputError for whatever could not give a trustworthy study; oddities become `Data.warnings`.
    """
    for name, part in source.parts.items():
        _check_part(part, source.target, "" if name == "all" else f"{name} ")
    _check_alike(source.parts)
    raw = {name: part.y for name, part in source.parts.items()}
    encoded = target.encode(raw, options.task, source.target, source.labels)
    source = replace(source, warnings=(*source.warnings, *encoded.notes))
    table = independent.stack(source, encoded.parts, encoded.task)
    ties = independent.find_ties(table, source.parts, options)
    data, places = _split(source, independent.keep_together(source.parts, ties), encoded, options)
    data = independent.judged(data, table, ties, source.parts, places)
    plain = _plain(data)
    notes = [*data.task.find_oddities(plain), *leaks.leaking_columns(plain)]
    data = replace(data, warnings=(*data.warnings, *notes))
    return _without_constants(data, leaks.constant_columns(plain), options.as_stored)


def _split(source: Source, parts: dict[str, Part], encoded: Encoded, options: Options) -> tuple[Data, split.Places]:
    """The splits, checked; where keeping rows together leaves nothing to judge by, as if none belonged together."""
    try:
        return _parted(source, parts, encoded, options)
    except InputError:
        if all(parts[name] is part for name, part in source.parts.items()):
            raise
        return _parted(source, dict(source.parts), encoded, options)


def _parted(source: Source, parts: dict[str, Part], encoded: Encoded, options: Options) -> tuple[Data, split.Places]:
    task = encoded.task
    splits, notes, places = split.complete(parts, encoded.parts, task.strata, options.seed, options.val_from)
    data = Data(
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        kind=source.kind,
        classes=encoded.classes,
        task=task,
        name=source.name,
        warnings=(*source.warnings, *notes),
        derive=source.derive,
        view=source.view,
        unlabelled=source.unlabelled,
        original=_original(source, places),
        split_by="us" if len(parts) == 1 else "source",
        val_by="us" if places["val"][0] == places["train"][0] else "source",
        # what was turned has its channels last, whatever its shape
        channels_first=False if "layout" in source.derive else None,
    )
    findings.check_judgeable(data)
    return data, places


def _original(source: Source, places: split.Places) -> Original | None:
    if source.given is None:
        return None
    return Original({name: (source.given[part], rows) for name, (part, rows) in places.items()})


def _check_part(part: Part, target_name: str, name: str) -> None:
    rows = count(part.x)
    if rows != len(part.y):
        raise InputError(f"{name}x has {rows} rows and {target_name} {len(part.y)}; give one target a row")
    if rows == 0:
        raise InputError(f"{name}rows are empty; give at least some")
    if not isinstance(part.x, dict):
        _check_array(part.x, name)


def _check_array(x: Array, name: str) -> None:
    if x.dtype.kind not in "biuf":
        raise InputError(
            f"{name}x has type {x.dtype}; integers, floats and booleans are allowed; give text and dates as a named "
            "column (CSV, Parquet or a DataFrame)"
        )
    if x.ndim < 2 or x.ndim > 4 or 0 in x.shape:
        raise InputError(
            f"{name}x has shape {x.shape}; (n, features), (n, h, w) or (n, h, w, channels) are allowed; reshape it"
        )
    if x.dtype.kind == "f" and bool(np.isinf(x).any()):
        raise InputError(f"{name}x holds {int(np.isinf(x).sum())} infinite values; replace them (NaN means missing)")
    if x.ndim > 2:
        for side in x.shape[1:3]:
            check_sides(side, 1, f"an image of {name}x, {x.shape[1:]},")


def _check_alike(parts: Mapping[str, Part]) -> None:
    (first_name, first), *others = parts.items()
    for name, part in others:
        if isinstance(first.x, dict) != isinstance(part.x, dict):
            raise InputError(f"{first_name} and {name} rows differ in kind (named columns, array); give one kind")
        if isinstance(first.x, dict) or isinstance(part.x, dict):
            continue
        if first.x.shape[1:] != part.x.shape[1:] or first.x.dtype != part.x.dtype:
            raise InputError(
                f"{first_name} rows are {first.x.dtype} {first.x.shape[1:]} and {name} rows {part.x.dtype} "
                f"{part.x.shape[1:]}; all splits need the same shape and type"
            )


def _plain(data: Data) -> Data:
    """The data as models made here see them."""
    splits = {name: replace(getattr(data, name), x=data.plain(getattr(data, name).x)) for name in split.NAMES}
    return replace(data, **splits, view=None)


def _without_constants(data: Data, constant: list[str], as_stored: bool) -> Data:
    if not constant:
        return data
    what = f"{len(constant)} constant in the training rows ({listed(constant, _NAMED_IN_WARNINGS)})"
    if as_stored or not data.named:
        note = f"columns that tell nothing: {what}; they were kept as stored"
        return replace(data, warnings=(*data.warnings, note))
    note = f"columns dropped: {what}"
    if set(constant) == set(data.train.x):
        raise InputError(f"no feature is left: {what}; give columns that differ from row to row")
    return replace(
        data,
        train=_dropped(data.train, constant),
        val=_dropped(data.val, constant),
        test=_dropped(data.test, constant),
        warnings=(*data.warnings, note),
        derive=_pruned(data.derive, set(constant)),
    )


def _dropped(part: Split, names: list[str]) -> Split:
    if not isinstance(part.x, dict):
        return part
    return replace(part, x={name: column for name, column in part.x.items() if name not in names})


def _pruned(derive: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """`derive` without what belongs to dropped columns."""
    result = {}
    for source, spec in derive.items():
        parts = {column: part for column, part in spec.get("parts", {}).items() if column not in names}
        if source not in names and ("parts" not in spec or parts):
            result[source] = {**spec, "parts": parts} if "parts" in spec else spec
    return result
