"""Columns in the form in which rows are compared: numbers with a tolerance, or codes of folded text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trimwatt.independence._base import Table, places, ranked
from trimwatt.rows.columns import is_missing
from trimwatt.workload import Array

NEAR = 0.01
_SAMPLE = 20_000
_FEW = 256
_NAMES = 0.98
_DIGIT = re.compile(r"\d")
_IDENTIFIER = re.compile(r"(?:.*[_\s])?(?:id|uuid|guid|index|rownum|row_name|unnamed(?:_|: )\d+)", re.IGNORECASE)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Column:
    """Values `(n,)`: numbers with NaN for missing, or codes. Two that differ by `tolerance` or less are equal.

    entropy: bits that a cell of it tells. discrete: its values lie further apart than the tolerance.
    """

    name: str
    values: Array
    tolerance: float
    discrete: bool
    entropy: float

    def near(self, i: Array, j: Array) -> Array:
        """Whether rows `i` and `j` are equal here."""
        a, b = self.values[i], self.values[j]
        return np.asarray((np.abs(a - b) <= self.tolerance) | ((a != a) & (b != b)))

    def cells(self, offset: float) -> Array:
        """Coarse values as uint64: equal ones nearly always share a cell."""
        if self.discrete:
            return _bits(self.values)
        with np.errstate(invalid="ignore"):
            place = np.floor(self.values / (10 * self.tolerance) + offset)
        return _bits(place)


def comparable(table: Table) -> list[Column]:
    """The features of `table` to compare rows by, the most telling first; what numbers the rows is left out."""
    described = {name: key for name, key in table.keys.items() if key.dtype == object and _describes(key)}
    found = [_column(name, values) for name, values in {**described, **table.features}.items()]
    kept = [column for column in found if column is not None and column.entropy > 0]
    telling = [column for column in kept if not _numbers_rows(column)]
    return sorted(telling or kept, key=lambda column: -column.entropy)


def _describes(text: Array) -> bool:
    """Whether text that no model reads says something of its row, rather than being a name for it."""
    return len(np.unique(folded(text))) <= _NAMES * len(text)


def _column(name: str, values: Array) -> Column | None:
    numbers = as_numbers(values)
    if numbers is None:
        numbers, tolerance = folded(values).astype(np.float64), 0.0
    else:
        tolerance = NEAR * spread(numbers)
    sample = numbers[:: max(1, len(numbers) // _SAMPLE)]
    distinct = np.unique(sample[~np.isnan(sample)])
    gap = float(np.diff(distinct).min()) if len(distinct) > 1 else np.inf
    # few values may be followed by others in rows that were not drawn, but not nearer than their grid
    discrete = tolerance == 0 or (len(distinct) <= _FEW and gap > 2 * tolerance)
    column = Column(name, numbers, tolerance, discrete, 0.0)
    cells = Column(name, sample, tolerance, discrete, 0.0).cells(0.5)
    return Column(name, column.values, tolerance, discrete, _entropy(cells))


def as_numbers(values: Array) -> Array | None:
    """`values` as floats with NaN for missing, None where they are text or objects of another kind."""
    if values.dtype.kind in "mM":
        return np.where(np.isnat(values), np.nan, values.astype(np.int64).astype(np.float64))
    if values.dtype.kind in "biu":
        return values.astype(np.float64)
    if values.dtype.kind == "f":
        return values
    cells = values.tolist()
    if any(isinstance(cell, str | bytes) for cell in cells[:1000]):
        return None
    try:
        return np.array([np.nan if is_missing(cell) else cell for cell in cells], dtype=np.float64)
    except (TypeError, ValueError):
        return None


def spread(values: Array) -> float:
    """A standard deviation that neither outliers nor a heap at one value can stretch or flatten."""
    sample = values[:: max(1, len(values) // _SAMPLE)].astype(np.float64)
    present = sample[np.isfinite(sample)]
    if len(present) == 0:
        return 0.0
    low, middle, high = np.quantile(present, (0.1, 0.5, 0.9))
    if high == low:
        apart = present[present != middle]
        return float(np.std(np.append(apart, middle))) if len(apart) else 0.0
    return float(min(np.std(present), (high - low) / 2.56))


def folded(values: Array) -> Array:
    """Labels of text without differences of case, spaces and digits; digits stay where little else tells it apart."""
    place, distinct = places(values)
    texts = ["" if is_missing(cell) else "".join(str(cell).casefold().split()) for cell in distinct]
    with_digits, without = ranked(texts), ranked([_DIGIT.sub("0", text) for text in texts])
    return (without if without.max(initial=0) >= 0.1 * with_digits.max(initial=0) else with_digits)[place]


def _numbers_rows(column: Column) -> bool:
    """Whether it only numbers or names the rows, so that copies of a row differ there."""
    values = column.values
    if len(values) < 20 or bool(np.isnan(values).any()) or len(np.unique(values)) < len(values):
        return False
    whole = bool((values == np.round(values)).all())
    return whole and (bool(values.max() - values.min() + 1 == len(values)) or bool(_IDENTIFIER.fullmatch(column.name)))


def _entropy(cells: Array) -> float:
    counts = np.unique(cells, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(max(0.0, -(shares * np.log2(shares)).sum()))


def _bits(values: Array) -> Array:
    return np.nan_to_num(np.asarray(values, dtype=np.float64) + 0.0, nan=-1.2345e300).view(np.uint64)


def mixed(keys: Iterable[Array], rows: int) -> Array:
    """One 64-bit hash per row of all of `keys`, each uint64 `(n,)`."""
    total = np.zeros(rows, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            total = (total ^ key) * _MIX
            total ^= total >> np.uint64(29)
    return total


def exact(columns: Iterable[Column], rows: int) -> Array:
    """One hash per row of its exact values."""
    return mixed((_bits(column.values) for column in columns), rows)
