"""Rows that tell most about how a model reads its input: those with a missing, rare or extreme cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from trimwatt.rows.columns import is_missing
from trimwatt.workload import Array, Data, Rows

# validation rows that come before the odd ones
FIRST = 64
# columns of one array that are looked at one by one
_MOST_COLUMNS = 4096
# cells that are looked at at once, so that a large array is not copied whole
_CELLS = 4_000_000


def rows_to_ask(data: Data, most: int, seed: int, odd: dict[str, Array]) -> dict[str, Array]:
    """Row numbers by split: a sample of up to `most` validation rows in random order, and the odd rows of each split.

    The odd validation rows come after the first `FIRST`, so that whoever asks fewer rows asks them all the same.
    """
    rng = np.random.default_rng(seed)
    sample = rng.permutation(len(data.val))[:most]
    order = np.concatenate([sample[:FIRST], rng.permutation(odd.get("val", sample[:0])), sample[FIRST:]])
    chosen = {"val": order[np.sort(np.unique(order, return_index=True)[1])]}
    chosen |= {split: rng.permutation(index) for split, index in odd.items() if split != "val"}
    return {split: index for split, index in chosen.items() if len(index)}


def odd_rows(data: Data, most: int) -> dict[str, Array]:
    """Up to `most` row numbers by split: of each column and kind of cell one from every split, while there is room.

    Kinds: missing, infinite, zero, negative, smallest, largest; of text missing, rarest, shortest, longest.
    """
    found: dict[str, dict[int, None]] = {name: {} for name in ("train", "test", "val")}
    left = most
    for split, seen in found.items():
        for row in _odd(getattr(data, split).x):
            if left and row not in seen:
                seen[row] = None
                left -= 1
    return {split: np.fromiter(seen, dtype=np.int64, count=len(seen)) for split, seen in found.items()}


def _odd(rows: Rows) -> Iterator[int]:
    if isinstance(rows, dict):
        for column in rows.values():
            yield from _of_column(np.asarray(column))
    elif len(rows) and rows.ndim == 2:
        width = max(1, _CELLS // len(rows))
        for first in range(0, min(rows.shape[1], _MOST_COLUMNS), width):
            yield from _of_numbers(rows[:, first : first + width])
    elif len(rows):
        yield from _of_pictures(rows.reshape(len(rows), -1))


def _of_column(column: Array) -> Iterator[int]:
    if len(column) == 0:
        return
    if column.dtype.kind in "biuf":
        yield from _of_numbers(column[:, None])
    elif column.dtype.kind in "mM":
        yield from _of_numbers(np.where(np.isnat(column), np.nan, column.astype(np.int64).astype(np.float64))[:, None])
    else:
        yield from _of_words(["" if is_missing(cell) else str(cell) for cell in column.tolist()])


def _of_words(words: list[str]) -> Iterator[int]:
    counts = Counter(words)
    present = [word for word in counts if word]
    rarest = min(present, key=lambda word: counts[word], default="")
    for word in dict.fromkeys(("", rarest, min(present, key=len, default=""), max(present, key=len, default=""))):
        if word in counts:
            yield words.index(word)


def _of_numbers(values: Array) -> Iterator[int]:
    """Of each column (n, columns) the first row of each kind."""
    numbers = values.astype(np.float64)
    known = np.isfinite(numbers)
    masks = [~known & np.isnan(numbers), np.isinf(numbers), numbers == 0, known & (numbers < 0)]
    places = [np.where(mask.any(axis=0), mask.argmax(axis=0), -1) for mask in masks]
    places.append(np.where(known, numbers, np.inf).argmin(axis=0))
    places.append(np.where(known, numbers, -np.inf).argmax(axis=0))
    for column in range(numbers.shape[1]):
        yield from (int(place[column]) for place in places if place[column] >= 0)


def _of_pictures(values: Array) -> Iterator[int]:
    """The darkest and the brightest, the flattest and the one of most contrast, those with a missing pixel."""
    mean, spread = values.mean(axis=1, dtype=np.float64), np.ptp(values, axis=1)
    missing = np.flatnonzero(np.isnan(mean))
    yield from (int(row) for row in missing[:1])
    present = np.nan_to_num(mean, nan=float(np.nanmean(mean)) if len(missing) < len(mean) else 0.0)
    for measure in (present, np.nan_to_num(spread.astype(np.float64))):
        yield from (int(measure.argmin()), int(measure.argmax()))
