"""Training, validation and test rows where the data do not say: stratified, by group or by time, seeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input._base import Part
from trimwatt.input.checks import listed
from trimwatt.workload import Array, Split, take

NAMES = ("train", "val", "test")
SHARES = (0.6, 0.2, 0.2)
LEAST_ROWS = 50
LEAST_JUDGED = 10
_VAL_OF_TRAIN = 0.2
# of each split the part that its rows came from, and their numbers there (None: all, in order)
Places = dict[str, tuple[str, Array | None]]


def complete(
    parts: Mapping[str, Part], targets: Mapping[str, Array], stratified: bool, seed: int, val_from: str
) -> tuple[dict[str, Split], list[str], Places]:
    """Train, val and test by name, warnings, and where their rows came from. `targets`: codes or values of each part.

    Rows that came as one are parted 60/20/20; where only train and test came, val is a fifth of train, or half of
    test with val_from="test". Raises InputError where rows are too few, or none are there to train on.
    """
    rows = sum(len(y) for y in targets.values())
    if rows < LEAST_ROWS:
        raise InputError(
            f"{rows} rows are too few for a trustworthy split: {LEAST_ROWS} are the least, so that validation and test "
            f"hold {LEAST_JUDGED} each; give more rows"
        )
    names = set(parts)
    if names in ({"all"}, {"train"}):
        name = names.pop()
        cut, places = _cut(parts[name], targets[name], NAMES, SHARES, stratified, seed)
        return cut, [], {split: (name, rows) for split, rows in places.items()}
    return _mended(parts, targets, stratified, seed, val_from)


def _mended(
    parts: Mapping[str, Part], targets: Mapping[str, Array], stratified: bool, seed: int, val_from: str
) -> tuple[dict[str, Split], list[str], Places]:
    whole = {name: Split(part.x, targets[name]) for name, part in parts.items()}
    if "train" not in parts or len(parts) < 2:
        raise InputError(f"there are rows for {listed(sorted(parts))} but none for train; give rows to train on")
    if len(parts) == 3:
        if val_from == "test":
            raise InputError(
                "validation from half of test was asked, but the data bring their own validation; drop one"
            )
        return {name: whole[name] for name in NAMES}, [], {name: (name, None) for name in NAMES}
    warnings = []
    homes = {name: name for name in whole}
    if "test" not in parts:
        warnings.append("there is no test split: the validation rows serve as test, and new ones are taken from train")
        whole["test"], homes["test"] = whole.pop("val"), homes.pop("val")
    source = "test" if val_from == "test" else "train"
    shares = (0.5, 0.5) if source == "test" else (1 - _VAL_OF_TRAIN, _VAL_OF_TRAIN)
    into = ("val", "test") if source == "test" else ("train", "val")
    home = homes[source]
    cut, index = _cut(parts[home], whole[source].y, into, shares, stratified, seed)
    places: Places = {name: (part, None) for name, part in homes.items()}
    places |= {name: (home, rows) for name, rows in index.items()}
    return {name: {**whole, **cut}[name] for name in NAMES}, warnings, places


def _cut(
    part: Part, y: Array, names: Sequence[str], shares: Sequence[float], stratified: bool, seed: int
) -> tuple[dict[str, Split], dict[str, Array]]:
    found = indices(y if stratified else np.zeros(len(y), np.int64), shares, seed, part.group, part.time, part.twins)
    index = dict(zip(names, found, strict=True))
    return {name: Split(take(part.x, rows), y[rows]) for name, rows in index.items()}, index


def indices(
    codes: Array, shares: Sequence[float], seed: int,
    group: Array | None = None, time: Array | None = None, twins: Array | None = None,
) -> list[Array]:  # fmt: skip
    """Row numbers (ascending) of each share; `codes` are the strata.

    group: no group falls into two shares. time: the earliest rows come first, rows of one moment stay together.
    twins: like group, for many small ones; where neither group nor time is given.
    """
    if time is not None:
        where = _by_time(time, shares)
    elif group is not None:
        where = _by_group(codes, group, shares, seed)
    elif twins is not None:
        where = _by_twins(codes, twins, shares, seed)
    else:
        where = _by_stratum(codes, shares, seed)
    return [np.flatnonzero(where == number) for number in range(len(shares))]


def _by_stratum(codes: Array, shares: Sequence[float], seed: int) -> Array:
    rng = np.random.default_rng(seed)
    place = np.empty(len(codes))
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        place[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    where = np.empty(len(codes), dtype=np.int64)
    bounds = np.round(np.cumsum(shares) * len(codes)).astype(np.int64)
    where[np.argsort(place, kind="stable")] = np.searchsorted(bounds, np.arange(len(codes)), side="right")
    return where


def _by_twins(codes: Array, twins: Array, shares: Sequence[float], seed: int) -> Array:
    """As by stratum, with the first row of each label to stand for all."""
    _, first, label_of_row, size = np.unique(twins, return_index=True, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    place = np.empty(len(first))
    for code in np.unique(codes[first]):
        own = rng.permutation(np.flatnonzero(codes[first] == code))
        place[own] = (np.cumsum(size[own]) - rng.random() * size[own]) / size[own].sum()
    order = np.argsort(place, kind="stable")
    done = np.cumsum(size[order]) - 0.5 * size[order]
    where = np.empty(len(first), dtype=np.int64)
    where[order] = np.searchsorted(np.cumsum(shares)[:-1] * len(codes), done, side="right")
    return np.asarray(where[label_of_row.reshape(-1)])


def _by_time(time: Array, shares: Sequence[float]) -> Array:
    moments, moment_of_row = np.unique(time, return_inverse=True)
    if len(moments) < len(shares):
        raise InputError(
            f"the time column has {len(moments)} distinct values; {len(shares)} or more make a split by time"
        )
    done = np.cumsum(np.bincount(moment_of_row)) / len(time)
    where = np.searchsorted(np.cumsum(shares)[:-1], done - 1e-9, side="right")
    return np.asarray(where[moment_of_row])


def _by_group(codes: Array, group: Array, shares: Sequence[float], seed: int) -> Array:
    """Large groups first, each to the share that it brings nearest to the class counts wanted."""
    names, group_of_row = np.unique(group, return_inverse=True)
    if len(names) < len(shares):
        raise InputError(f"the group column has {len(names)} groups; {len(shares)} or more make a split by group")
    strata = np.unique(codes, return_inverse=True)[1]
    counts = np.zeros((len(names), strata.max() + 1))
    np.add.at(counts, (group_of_row, strata), 1)
    wanted = np.outer(shares, counts.sum(axis=0))
    missing = wanted.copy()
    shuffled = np.random.default_rng(seed).permutation(len(names))
    home = np.empty(len(names), dtype=np.int64)
    for number in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        gain = (missing * counts[number] / wanted.clip(min=1)).sum(axis=1)
        home[number] = int(np.argmax(gain))
        missing[home[number]] -= counts[number]
    return np.asarray(home[group_of_row])
