"""Named columns: which is the target, which part the rows, and what the others mean as features."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input._base import Options, Part, Source
from trimwatt.input.checks import listed, near, shown
from trimwatt.input.original import Given
from trimwatt.input.raw import Raw, identities, refuse_unreadable, target_values, understand
from trimwatt.rows import cells, columns, dates
from trimwatt.rows.meaning import Meaning
from trimwatt.rows.view import Seen, View
from trimwatt.workload import Array, Stored, take

_MOST_CATEGORIES = 1000
_FREE_TEXT_SHARE = 0.5
_IDENTIFIER = re.compile(r"(?:.*[_\s])?(?:id|uuid|guid|index|rownum|row_name|unnamed(?:_|: )\d+)", re.IGNORECASE)
_ENOUGH_ROWS = 20


@dataclass
class _Features:
    """Features found so far, what to remember of them, and what to tell."""

    as_stored: bool = False
    columns: dict[str, Array] = field(default_factory=dict)
    derive: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    keys: dict[str, Array] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)


def source(
    raw: Raw, options: Options, name: str, assigned: Array | None = None, given: Mapping[str, Given] | None = None,
    stored: Mapping[str, Mapping[str, Any]] | None = None,
) -> Source:  # fmt: skip
    """The parts of a table. `assigned` `(n,)`: the split of each row, where the caller knows it.

    given: the user's own objects that hold the rows, "all" or by the names in `assigned`; None for a file. stored: the
    columns of each split as they were given, where that is assigned.

    Raises InputError where the target or another named column is absent, or no usable feature is left.
    """
    options = _spelled(raw, options)
    labels = _target_columns(raw, options.target)
    target = labels[0]
    options, note = _with_split(raw, options, labels, assigned)
    special: dict[str | None, str] = {**dict.fromkeys(labels, "target"), options.split: "split", options.group: "group"}
    apart = [label for label in special if label is not None and (label in labels or label not in options.needs)]
    for label in (options.split, options.group, options.time):
        if label is not None and _existing(raw, label, "named", "a name that is there") in labels:
            raise InputError(f"{raw.name}: column {label!r} is the target and cannot part the rows too; name another")
    refuse_unreadable(raw, [label for label in (*special, options.time) if label is not None])
    features = _features(raw, [label for label in raw.columns if label not in special], apart, options)
    which = assigned if assigned is not None else _split_of_rows(raw, options.split)
    values = [target_values(raw, label) for label in labels]
    y = values[0] if len(labels) == 1 else np.stack(values, axis=1)
    notes = [*raw.warnings, *note, *features.warnings]
    parts = _parts(features, y, which, _key(raw, options.group), _moments(raw, options.time))
    return Source(
        parts=_stored_parts(parts, features, raw, stored) if options.as_stored else parts,
        kind="table",
        name=name,
        target=f"target {target!r}" if len(labels) == 1 else f"target {','.join(labels)!r}",
        labels=labels if len(labels) > 1 else None,
        warnings=tuple(notes),
        derive={} if options.as_stored else features.derive,
        view=View(tuple(features.seen)) if options.as_stored else None,
        given=None if given is None else _given(given, apart, which),
    )


def _spelled(raw: Raw, options: Options) -> Options:
    """`options` with the names of columns as the source has them, perhaps with spaces around."""
    spaced = {label.strip(): label for label in raw.columns}
    asked = {role: getattr(options, role) for role in ("target", "split", "group", "time")}
    meant = {role: spaced[name] for role, name in asked.items() if name not in raw.columns and name in spaced}
    return Options(**{**vars(options), **meant})


def _existing(raw: Raw, label: str | None, role: str, option: str) -> str:
    if label is None:
        raise InputError(
            f"{raw.name}: which column is the target? its columns are {listed(raw.columns)}; name one with {option}"
        )
    if label not in raw.columns:
        data_like = all(_is_number(name) for name in list(raw.columns)[:3])
        hint = "; its first line looks like data: put column names there" if data_like else near(label, raw.columns)
        raise InputError(f"{raw.name} has no {role} column {label!r}; its columns are {listed(raw.columns)}{hint}")
    return label


def _target_columns(raw: Raw, named: str | None) -> tuple[str, ...]:
    """The column called `named`, or the several that it names between commas."""
    parts = [] if named is None or named in raw.columns else [part.strip() for part in named.split(",")]
    if len(parts) > 1:
        several = dict.fromkeys(_existing(raw, part, "target", "--target COLUMN") for part in parts)
        return tuple(several)
    return (_existing(raw, named, "target", "--target COLUMN"),)


def _is_number(name: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?(_\d+)?", name) is not None


def _with_split(
    raw: Raw, options: Options, targets: tuple[str, ...], assigned: Array | None
) -> tuple[Options, list[str]]:
    """`options` naming the split column, found by its name where none was asked."""
    if options.split or assigned is not None:
        return options, []
    found = next((label for label in raw.columns if label.casefold() == "split" and label not in targets), None)
    if found is None:
        return options, []
    known = [_split_name(value) is not None for value in set(_texts(raw.columns[found]))]
    if not any(known):
        return options, [f"column {found!r} does not name train, val and test rows, so it was taken as a feature"]
    return replace(options, split=found), []


def _split_name(value: str) -> str | None:
    low = value.strip().casefold()
    return next((name for name in ("train", "val", "test") if low.startswith(name)), "val" if low == "dev" else None)


def _texts(column: Array) -> list[str]:
    return [str(value) for value in columns.words(column).tolist()]


def _split_of_rows(raw: Raw, label: str | None) -> Array | None:
    if label is None:
        return None
    values = _texts(raw.columns[label])
    known = {value: _split_name(value) for value in set(values)}
    strange = sorted(value for value, name in known.items() if name is None)
    if strange:
        raise InputError(
            f"{raw.name}: column {label!r} holds {listed([shown(v) or '(nothing)' for v in strange], 5)}; "
            "train, val and test (or names that begin so) are allowed; rename them or name another with --split"
        )
    return cells.text(str(known[value]) for value in values)


def _parts(
    features: _Features, y: Array, which: Array | None, group: Array | None, time: Array | None
) -> dict[str, Part]:
    whole = Part(features.columns, y, group, time, keys=features.keys)
    if which is None:
        return {"all": whole}
    names = [name for name in ("train", "val", "test") if (which == name).any()]
    return {name: _rows(whole, np.flatnonzero(which == name)) for name in names}


def _given(given: Mapping[str, Given], special: list[str], which: Array | None) -> dict[str, Given]:
    """For each part what holds its rows, and which of them."""
    bare = {name: replace(own, without=_labels(own.rows, special)) for name, own in given.items()}
    if which is None or "all" not in bare:
        return bare
    return {str(name): replace(bare["all"], index=np.flatnonzero(which == name)) for name in set(which.tolist())}


def _labels(rows: Any, names: list[str]) -> tuple[Any, ...]:
    """The labels of columns as the user's object has them, which need not be text."""
    labels = rows if isinstance(rows, Mapping) else getattr(rows, "columns", ())
    return tuple(label for label in labels if str(label) in names)


def _rows(part: Part, index: Array) -> Part:
    group = None if part.group is None else part.group[index]
    time, keys = None if part.time is None else part.time[index], {k: v[index] for k, v in part.keys.items()}
    return Part(take(part.x, index), part.y[index], group, time, keys=keys)


def _stored_parts(
    parts: dict[str, Part], features: _Features, raw: Raw, stored: Mapping[str, Mapping[str, Any]] | None
) -> dict[str, Part]:
    """The parts, their columns as the user has them: those of each split where it was given apart."""
    if stored is None:
        return parts
    labels = list(features.columns)
    return {
        name: replace(part, x=Stored({label: stored[name][label] for label in labels}, raw.labels, raw.library))
        for name, part in parts.items()
    }


def _key(raw: Raw, label: str | None) -> Array | None:
    return None if label is None else identities(raw.exact(label))


def _moments(raw: Raw, label: str | None) -> Array | None:
    """The time column as something that sorts."""
    if label is None:
        return None
    exact = raw.exact(label)
    if isinstance(exact, np.ndarray) and exact.dtype.kind in "iuM" and not isinstance(exact, np.ma.MaskedArray):
        values = exact  # nanoseconds since 1970 are no float64
    else:
        values = understand(raw, label).values
    if values.dtype == object:
        example = next((value for value in values.tolist() if value), "nothing")
        raise InputError(f"{raw.name}: time column {label!r} holds {shown(example)}; dates or numbers are allowed")
    missing = np.isnat(values) if values.dtype.kind == "M" else values != values
    if missing.any():
        raise InputError(
            f"{raw.name}: time column {label!r} is missing in {int(missing.sum())} rows; fill or remove them"
        )
    return values


def _features(raw: Raw, labels: list[str], apart: list[str], options: Options) -> _Features:
    """Features called as in `labels`; stored ones are all columns but those `apart`, also what cannot be read here."""
    found = _Features(options.as_stored)
    if not options.as_stored:
        refuse_unreadable(raw, labels)
    for label in labels:
        if label in raw.unreadable:
            found.warnings.append(f"models made here leave out: {raw.unreadable[label]}")
            continue
        meaning = understand(raw, label)
        reason = None if options.as_stored else _useless(meaning, label)
        if reason or meaning.values.dtype.kind == "M":
            found.keys[label] = meaning.values
        if reason:
            found.dropped.append(f"{label!r} is {reason}")
        else:
            _add(found, raw, label, meaning)
    if options.as_stored:
        kept = {label: raw.exact(label) for label in raw.columns if label not in apart}
        found.columns = Stored(kept, raw.labels, raw.library)
    elif found.dropped:
        found.warnings.append(f"columns dropped: {'; '.join(found.dropped)}")
    if not found.columns:
        reasons = f" ({shown('; '.join(found.dropped), 160)})" if found.dropped else ""
        raise InputError(
            f"{raw.name} has no usable feature column{reasons}; numbers, categories and dates are allowed; "
            "turn free text into numbers first, sentence embeddings in an .npz, say"
        )
    return found


def _useless(meaning: Meaning, label: str) -> str | None:
    """Why a column tells nothing that holds for new rows, or None."""
    values = meaning.values
    if values.dtype == object:
        return _useless_text(values)
    if values.dtype.kind == "M" or len(values) < _ENOUGH_ROWS:
        return None
    if np.isnan(values).any() or not np.array_equal(values, np.round(values)):
        return None
    if bool((np.diff(values) == 1).all()):
        return "the number of the row"
    if _IDENTIFIER.fullmatch(label) and len(np.unique(values)) == len(values):
        return "an identifier"
    return None


def _useless_text(values: Array) -> str | None:
    present = [value for value in values.tolist() if value]
    distinct = len(set(present))
    if len(present) < _ENOUGH_ROWS:
        return None
    if distinct == len(present):
        return "an identifier or free text (every value is different)"
    if distinct > _FREE_TEXT_SHARE * len(present):
        return f"free text ({distinct} distinct values in {len(present)} rows)"
    return f"a name with {distinct} values (at most {_MOST_CATEGORIES})" if distinct > _MOST_CATEGORIES else None


def _add(found: _Features, raw: Raw, label: str, meaning: Meaning) -> None:
    if meaning.warning:
        found.warnings.append(meaning.warning)
    if meaning.values.dtype.kind == "M":
        _add_dates(found, raw, label, meaning)
        return
    spec = meaning.spec if meaning.spec and meaning.spec != cells.Style().spec() else {}
    if spec:
        found.derive[label] = spec
    values, lost = columns.single(meaning.values)
    found.warnings += _rounded(meaning.values, values, label)
    if lost:
        where = " for models made here; the given one gets them as stored" if found.as_stored else ""
        found.warnings.append(f"column {label!r}: {lost} infinite or too large values were taken as missing{where}")
    found.columns[label] = values
    found.seen.append(Seen(label, label, "text" if values.dtype == object else "number", spec))


def _rounded(before: Array, after: Array, label: str) -> list[str]:
    """A warning where numbers such as seconds since 1970 are not what they were in float32."""
    changed = 0 if before.dtype == object else columns.moved(before)
    if not changed:
        return []
    distinct, left = len(np.unique(before)), len(np.unique(after))
    fewer = f", {distinct} distinct ones become {left}" if left < distinct else ""
    return [
        f"column {label!r}: {changed} of {len(before)} values change in float32, in which models made here read it"
        f"{fewer}; subtract a common offset or give it in two columns"
    ]


def _add_dates(found: _Features, raw: Raw, label: str, meaning: Meaning) -> None:
    parts: dict[str, str] = {}
    spec = meaning.spec or {}
    for part in dates.CLOCK_PARTS if spec.get("order") == "clock" else dates.PARTS:
        numbers = dates.part(meaning.values, part).astype(np.float32)
        if len(np.unique(numbers[~np.isnan(numbers)])) > 1:
            name = _free_name(f"{label}_{part}", {*raw.columns, *found.columns})
            parts[name] = part
            found.columns[name] = numbers
            found.seen.append(Seen(name, label, "date", {**spec, "part": part}))
    if parts:
        found.derive[label] = {**spec, "parts": parts}
    else:
        found.dropped.append(f"{label!r} is one date only")


def _free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
