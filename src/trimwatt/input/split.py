"""Training, validation and test rows where the data do not say: stratified, by group or by time, seeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input._base import Part
from trimwatt.input.checks import listed
from trimwatt.parting import indices
from trimwatt.workload import Array, Split

NAMES = ("train", "val", "test")
SHARES = (0.6, 0.2, 0.2)
# of many rows these resolve what a confirmation, or a proof, must tell: about half a point, and a third of one
_CONFIRMS, _CONFIRMS_SHARE, _MOST_TEST, _MOST_VAL = 400, 0.1, 10_000, 20_000
_SEEN = 3
LEAST_ROWS = 50
LEAST_JUDGED = 10
_VAL_OF_TRAIN = 0.2
# of each split the part that its rows came from, and their numbers there (None: all, in order)
Places = dict[str, tuple[str, Array | None]]
# of a target the codes (n,) whose shares every split keeps, None for one that has none
Strata = Callable[[Array], Array | None]


def complete(
    parts: Mapping[str, Part], targets: Mapping[str, Array], strata: Strata, seed: int, val_from: str
) -> tuple[dict[str, Split], list[str], Places]:
    """Train, val and test by name, warnings, and where their rows came from. `targets`: encoded, of each part.

    Rows that came as one are parted 60/20/20, with fewer test rows where there are many; where only train and test
    came, val is a fifth of train, or half of test with val_from="test". Raises InputError where rows are too few, or
    none are there to train on.
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
        cut, places = _cut(parts[name], targets[name], NAMES, shares_of(targets[name], strata), strata, seed)
        return cut, [], {split: (name, rows) for split, rows in places.items()}
    return _mended(parts, targets, strata, seed, val_from)


def shares_of(y: Array, strata: Strata) -> tuple[float, float, float]:
    """How rows with these targets are parted: no more for validation and test than proof and confirmation need.

    Of a class that is rare enough rows stay in each part to see it missed.
    """
    rows, codes = len(y), strata(y)
    rare = np.empty(0) if codes is None else np.bincount(codes)
    least = min(rare[rare >= _SEEN / SHARES[2]], default=np.inf)
    test = min(SHARES[2], max(_CONFIRMS / rows, _CONFIRMS_SHARE, _SEEN / least), max(_MOST_TEST / rows, _SEEN / least))
    val = min(SHARES[1], max(_MOST_VAL / rows, _SEEN / least))
    return 1 - val - test, val, test


def _mended(
    parts: Mapping[str, Part], targets: Mapping[str, Array], strata: Strata, seed: int, val_from: str
) -> tuple[dict[str, Split], list[str], Places]:
    whole = {name: _split(part, targets[name]) for name, part in parts.items()}
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
    cut, index = _cut(parts[home], whole[source].y, into, shares, strata, seed)
    places: Places = {name: (part, None) for name, part in homes.items()}
    places |= {name: (home, rows) for name, rows in index.items()}
    return {name: {**whole, **cut}[name] for name in NAMES}, warnings, places


def _cut(
    part: Part, y: Array, names: Sequence[str], shares: Sequence[float], strata: Strata, seed: int
) -> tuple[dict[str, Split], dict[str, Array]]:
    codes = strata(y)
    codes = np.zeros(len(y), np.int64) if codes is None else codes
    found = indices(codes, shares, seed, part.group, part.time, part.twins)
    index = dict(zip(names, found, strict=True))
    whole = _split(part, y)
    return {name: whole.take(rows) for name, rows in index.items()}, index


def _split(part: Part, y: Array) -> Split:
    return Split(part.x, y, part.group, part.time, part.twins)
