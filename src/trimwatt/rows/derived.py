"""Parts of dates, made again of a request as they were made of the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trimwatt.rows import dates, requests
from trimwatt.rows.view import Seen


class Derived:
    """Adds the parts of dates that an artifact takes to requests that hold the dates.

    described: what a manifest says of its input, where some columns were made of others.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        spec_of = {
            part: (label, {**spec, "part": kind})
            for label, spec in described["derive"].items()
            for part, kind in spec.get("parts", {}).items()
        }
        self._names = [column["name"] for column in described["columns"]]
        self._parts = [
            Seen(name, spec_of[name][0], "date", spec_of[name][1]) if name in spec_of else None for name in self._names
        ]
        sources = [name if s is None else s.column for name, s in zip(self._names, self._parts, strict=True)]
        self._dates = {seen.column for seen in self._parts if seen is not None}
        self._reader = requests.Reader(sources)

    def __call__(self, rows: Any) -> Any:
        """The request as named columns; as it came where it holds none of the dates, but may hold their parts.

        Raises InputError where a column is missing, or a date is none.
        """
        first = rows[0] if isinstance(rows, list | tuple) and rows else rows
        if not hasattr(first, "keys") or not any(label in first for label in self._dates):
            return rows
        found = self._reader.cells(rows)
        if found is not None:
            return {name: self._cell(place, found[place], rows) for place, name in enumerate(self._names)}
        columns = zip(self._names, self._parts, self._reader.columns(rows), strict=True)
        return {name: column if seen is None else seen.read(column) for name, seen, column in columns}

    def _cell(self, place: int, cell: Any, rows: Any) -> Any:
        seen = self._parts[place]
        if seen is None:
            return cell
        moment = _moment(cell, str(seen.spec["order"]))
        if moment is None:  # missing, or in a form that only its column tells
            return seen.read(self._reader.column(rows, place))[0].item()
        return dates.part_of(moment, seen.spec["part"])


def _moment(cell: Any, order: str) -> datetime | None:
    """The moment that a cell tells, None where it must be looked at more closely."""
    if isinstance(cell, datetime):
        return cell if cell.tzinfo is None and cell == cell else None
    if not isinstance(cell, str):
        return None
    try:
        return dates.moment(cell, order)
    except ValueError:
        return None
