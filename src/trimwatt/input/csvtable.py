"""CSV as people really have it: any common delimiter, encoding and newline, read into typed columns."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import textfile, typedcells
from trimwatt.input.checks import listed, shown
from trimwatt.input.raw import Raw, understand
from trimwatt.rows import cells, columns
from trimwatt.workload import Array

_CHUNK_ROWS = 20_000
_ADVICE = (
    "mend the row or quote fields that hold the delimiter",
    "remove what stands above the column names",
)


def read(path: Path, as_text: frozenset[str] = frozenset(), as_stored: bool = False) -> Raw:
    """The columns of `path`: float64 where plainly numbers, else text as written; `as_text` names columns kept text.

    as_stored: also as pandas would read them, which is what a given model was fitted on; of `as_text` the very cells.
    Raises InputError for empty, binary, damaged or ragged files.
    """
    prefer = "\t" if ".tsv" in path.name.lower() else ","
    dialect, text = textfile.sniff(textfile.read_text(path), prefer)
    return _as_pandas(text, dialect, path, as_text) if as_stored else _read(text, dialect, path, as_text)


def _as_pandas(text: str, dialect: textfile.Dialect, path: Path, as_text: frozenset[str]) -> Raw:
    """The columns of a file with those that pandas would read, called as pandas calls them."""
    exact = replace(dialect, skips_spaces=textfile.spaced(text, dialect))
    names = _pandas_names(next(_records(exact.records(text), path.name), []))
    labels, _, _ = _start(dialect.records(text), path.name)
    named = dict(zip(labels[len(labels) - len(names) :], names, strict=True))  # pandas takes names of rows as no column
    as_text = frozenset(label for label, name in named.items() if name in as_text)
    raw = _read(text, dialect, path, as_text)
    stored = _stored(text, exact, raw, as_text)
    return replace(
        raw,
        columns={name: raw.columns[label] for label, name in named.items()},
        stored={name: stored[label] for label, name in named.items()},
    )


def _pandas_names(header: list[str]) -> list[str]:
    """Unique names of columns as pandas.read_csv gives them: "Unnamed: 0" without one, "a.1" for the second "a"."""
    given = [label or f"Unnamed: {place}" for place, label in enumerate(header)]
    names, taken = list(given), set[str]()
    for place in sorted(range(len(header)), key=lambda place: not header[place]):
        if given[place] in taken:
            numbered = (f"{given[place]}.{number}" for number in itertools.count(1))
            names[place] = next(name for name in numbered if name not in taken and name not in given)
        taken.add(names[place])
    return names


def _stored(text: str, dialect: textfile.Dialect, raw: Raw, as_text: frozenset[str]) -> dict[str, Any]:
    """Columns as pandas would read them: whole numbers int64, text untouched; decimal commas are understood.

    Those called as in `as_text` are their cells, none missing.
    """
    found = _typed(text, dialect, raw, as_text)
    if mixed := frozenset(label for label, column in found.items() if column is None):
        whole = _typed(text, dialect, raw, mixed)
        found |= {label: typedcells.joined([typedcells.typed(whole[label].tolist())]) for label in mixed}
    if raw.decimal == "," != dialect.delimiter:
        texts = [label for label, c in found.items() if label not in as_text and columns.kind_of(c) == "text"]
        meant = {label: understand(raw, label) for label in texts}
        found |= {label: m.values for label, m in meant.items() if m.spec and m.spec.get("decimal") == ","}
    return found


def _typed(text: str, dialect: textfile.Dialect, raw: Raw, verbatim: frozenset[str]) -> dict[str, Any]:
    """Columns in the types of their cells, None for one whose chunks differ; those of `verbatim` as they stand."""
    header = list(raw.columns)
    _, chunks, _ = _start(dialect.records(text), raw.name)
    kept: list[list[Any]] = [[] for _ in header]
    for rows in chunks:
        for column, label, values in zip(kept, header, zip(*rows, strict=True), strict=True):
            column.append(list(values) if label in verbatim else typedcells.typed(values))
    return {
        label: cells.text(itertools.chain(*column)) if label in verbatim else typedcells.joined(column)
        for label, column in zip(header, kept, strict=True)
    }


def _read(text: str, dialect: textfile.Dialect, path: Path, as_text: frozenset[str]) -> Raw:
    columns, mixed, warnings = _columns(text, dialect, path.name, as_text)
    if mixed:
        columns, _, warnings = _columns(text, dialect, path.name, as_text | mixed)
    if not any(_has_decimal_comma(column, dialect.delimiter) for column in columns.values()):
        return Raw(columns, path.name, dialect.delimiter, warnings=tuple(warnings))
    written, _, _ = _columns(text, dialect, path.name, frozenset(columns))
    kept = {label: written[label] if _has_grouped(written[label]) else columns[label] for label in columns}
    return Raw(kept, path.name, dialect.delimiter, ",", tuple(warnings))


def _has_decimal_comma(column: Array, delimiter: str) -> bool:
    if column.dtype != object:
        return False
    style = cells.style_of(set(column.tolist()) - cells.MISSING_NUMBER, delimiter)
    return style is not None and style.decimal == ","


def _has_grouped(column: Array) -> bool:
    """Whether cells such as 1.234 stand in `column`: beside decimal commas the point cannot be the decimal mark."""
    style = cells.style_of({cell for cell in column.tolist() if "." in cell}, ";", ",")
    return style is not None and style.thousands == "."


def _columns(
    text: str, dialect: textfile.Dialect, name: str, as_text: frozenset[str]
) -> tuple[dict[str, Array], frozenset[str], list[str]]:
    """Columns by name, and the names of those that are numbers in some chunks and text in others."""
    header, chunks, warnings = _start(dialect.records(text), name)
    kept: list[list[Array]] = [[] for _ in header]
    for rows in chunks:
        for column, label, values in zip(kept, header, zip(*rows, strict=True), strict=True):
            numbers = None if label in as_text else cells.plain_numbers(values)
            column.append(_stripped(values) if numbers is None else numbers)
    kinds = {label: {part.dtype for part in column} for label, column in zip(header, kept, strict=True)}
    mixed = frozenset(label for label, kind in kinds.items() if len(kind) > 1)
    if not kept[0]:
        raise InputError(f"{name} has column names ({listed(header, 5)}) but no rows below them; give rows")
    return {label: np.concatenate(column) for label, column in zip(header, kept, strict=True)}, mixed, warnings


def _stripped(values: Sequence[str]) -> Array:
    known = {value: value.strip() for value in set(values)}
    return cells.text(map(known.__getitem__, values))


def _start(reader: Iterator[list[str]], name: str) -> tuple[list[str], Iterator[list[list[str]]], list[str]]:
    """Column names, chunks of rows as wide as them, and warnings."""
    records = _records(reader, name)
    names = next(records, [])
    first = next(records, None)
    names, warnings = _fitted(names, first)
    rows = records if first is None else itertools.chain([first], records)
    labels, doubled = _unique([label.strip() for label in names])
    if doubled:
        warnings.append(f"{name} names columns twice ({listed(doubled, 5)}); later ones got a number behind")
    return labels, _chunks(rows, len(labels), name), warnings


def _records(reader: Iterator[list[str]], name: str) -> Iterator[list[str]]:
    try:
        for record in reader:
            if any(record):
                yield record
    except csv.Error as error:
        raise InputError(f"{name} is not a readable CSV ({error}); look for a quote that is never closed") from error


def _fitted(names: list[str], first: list[str] | None) -> tuple[list[str], list[str]]:
    """R writes row names without a header; others end each row with a delimiter."""
    if first is None or len(names) < 2 or len(first) != len(names) + 1 or first[-1] == "":
        return names, []
    return ["row_name", *names], ["the first column has no name and was called row_name"]


def _unique(names: list[str]) -> tuple[list[str], list[str]]:
    seen: set[str] = set()
    labels, doubled = [], []
    for place, given in enumerate(names, 1):
        label = base = given or f"unnamed_{place}"
        for number in itertools.count(2):
            if label not in seen:
                break
            label = f"{base}_{number}"
        if label != base:
            doubled.append(base)
        seen.add(label)
        labels.append(label)
    return labels, doubled


def _chunks(rows: Iterator[list[str]], width: int, name: str) -> Iterator[list[list[str]]]:
    seen = 0
    while chunk := list(itertools.islice(rows, _CHUNK_ROWS)):
        if any(len(row) != width for row in chunk):
            chunk = [_trimmed(row, width, name, seen + number) for number, row in enumerate(chunk, 1)]
        seen += len(chunk)
        yield chunk


def _trimmed(row: list[str], width: int, name: str, number: int) -> list[str]:
    if len(row) > width and not any(row[width:]):
        return row[:width]
    if len(row) != width:
        raise InputError(
            f"{name}: row {number} has {len(row)} fields, its header {width} (it begins {shown(' | '.join(row[:3]))}); "
            f"{_ADVICE[width == 1]}"
        )
    return row
