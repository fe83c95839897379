"""Tables that leak across a random split, each by one way, and how a program would recognise none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from trimwatt.workload import Array

Made = tuple[dict[str, Any], Array]
ROWS = 1200


def text(values: Any) -> Array:
    found = np.empty(len(values), dtype=object)
    found[:] = list(values)
    return found


def _noise(rows: int, columns: int, seed: int = 0) -> dict[str, Array]:
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    return {f"v{place}": x[:, place] for place in range(columns)}


def copies(noise: float = 0.0, scale: float = 1.0) -> Made:
    """Labels by lot, each row four times."""
    rng = np.random.default_rng(1)
    index = rng.permutation(np.repeat(np.arange(ROWS // 4), 4))
    x = {name: scale * (c[index] + noise * rng.normal(size=ROWS)) for name, c in _noise(ROWS // 4, 5).items()}
    return x, rng.integers(0, 2, ROWS // 4)[index]


def numbered_copies() -> Made:
    """The number of the row differs from copy to copy."""
    x, y = copies()
    return {"row_id": np.random.default_rng(2).permutation(ROWS), **x}, y


def reworded_copies() -> Made:
    """Text that differs in case, spaces and digits only."""
    rng = np.random.default_rng(3)
    words = [" ".join(rng.choice(["red", "blue", "door", "lamp", "tree", "moon"], 6)) for _ in range(ROWS // 4)]
    index = rng.permutation(np.repeat(np.arange(ROWS // 4), 4))
    styles = (str.upper, str.title, lambda w: w.replace(" ", "  "), lambda w: f"{w}")
    told = text([styles[rng.integers(4)](words[k]) + f" {rng.integers(10, 99)}" for k in index])
    size = rng.normal(size=ROWS // 4).round(2)
    return {"told": told, "size": size[index]}, rng.integers(0, 2, ROWS // 4)[index]


def _groups(spread: float = 0.1) -> tuple[Array, Made]:
    rng = np.random.default_rng(4)
    owner = rng.permutation(np.repeat(np.arange(60), ROWS // 60))
    sign = rng.normal(size=(60, 5))[owner] + spread * rng.normal(size=(ROWS, 5))
    return owner, ({f"v{place}": sign[:, place] for place in range(5)}, rng.integers(0, 2, 60)[owner])


def groups(name: Callable[[int], Any] | None, column: str = "who") -> Made:
    """Owners with a signature and a label each; `name`: how an owner is written, None: nowhere."""
    owner, (x, y) = _groups()
    if name is None:
        return x, y
    named = [name(int(k)) for k in owner]
    return {column: text(named) if isinstance(named[0], str) else np.array(named), **x}, y


def owners_of_noise() -> Made:
    """Nothing but the owner tells the label."""
    owner, (_, y) = _groups()
    return {"shop": text([f"shop {k}" for k in owner]), **_noise(ROWS, 3)}, y


def owners_of_values() -> Made:
    """A value for each owner."""
    owner, (x, _) = _groups()
    return {"site": owner + 1000, **x}, np.random.default_rng(5).normal(size=60)[owner]


def owners(count: int = 60, rows: int = ROWS, agree: float = 1.0, of_values: bool = False, named: bool = True) -> Made:
    """Owners that tell a share of the labels, or of the variance of a value; unnamed ones with a signature."""
    rng = np.random.default_rng(4)
    owner = rng.permutation(np.repeat(np.arange(count), rows // count))
    y = rng.permutation(np.arange(count) % 2)[owner]
    y = np.where(rng.random(rows) < agree, y, 1 - y)
    if of_values:
        y = rng.normal(size=count)[owner] + np.sqrt((1 - agree) / agree) * rng.normal(size=rows)
    if named:
        return {"shop": text([f"shop {k}" for k in owner]), **_noise(rows, 3)}, y
    sign = rng.normal(size=(count, 5))[owner] + 0.1 * rng.normal(size=(rows, 5))
    return {f"v{place}": sign[:, place] for place in range(5)}, y


def visits() -> Made:
    """The owner is a part of a name."""
    owner, (x, y) = _groups()
    return {"record": text([f"p{k}-visit{n}" for n, k in enumerate(owner)]), **x}, y


def regimes(when: Callable[[Array], Any], shuffled: bool) -> Made:
    """Labels that hold for twenty moments each, told by nothing but the time."""
    rng = np.random.default_rng(6)
    moment, y = np.arange(ROWS), np.repeat(rng.integers(0, 2, ROWS // 20), 20)
    order = rng.permutation(ROWS) if shuffled else moment
    return {"when": when(moment)[order], **_noise(ROWS, 2)}, y[order]


def unknown_at(values: Array, cell: Any, places: Iterable[int] = (77,)) -> Array:
    """The values with a cell that tells nothing at these places."""
    values = values.astype(float) if cell is np.nan else values.copy()
    values[list(places)] = cell
    return values


def visits_with_an_odd_cell() -> Made:
    x, y = visits()
    return {**x, "record": unknown_at(x["record"], "walk-in, no record")}, y


def irregular(moment: Array) -> Array:
    """Times of events without a rate, in float32 as models read them."""
    return np.cumsum(np.random.default_rng(8).exponential(3.7, len(moment)))[moment]


def weekly(moment: Array) -> Array:
    """20210301 and so on."""
    days_ = np.datetime64("2000-01-03") + 7 * moment
    return np.array([int(str(day).replace("-", "")) for day in days_])


def calendar(within: str, days_each: int) -> Made:
    """A year and the number of a week or day in it."""
    x, y = regimes(lambda n: n, shuffled=True)
    moment = x.pop("when")
    each = 364 // days_each
    return {"year": 2000 + moment // each, within: 1 + moment % each, **x}, y


def walks() -> Made:
    """No column of time: readings that drift through the file, as the label does."""
    rng = np.random.default_rng(7)
    x = np.cumsum(rng.normal(size=(ROWS, 4)), axis=0)
    return {f"v{place}": x[:, place] for place in range(4)}, np.repeat(rng.integers(0, 2, ROWS // 20), 20)


def drifts(when: Callable[[Array], Any]) -> Made:
    """The same, with the time of each reading, in random order."""
    x, y = walks()
    order = np.random.default_rng(6).permutation(ROWS)
    return {"when": when(np.arange(ROWS))[order], **{name: column[order] for name, column in x.items()}}, y[order]


def days(moment: Array) -> Array:
    return text([str(np.datetime64("2021-03-01") + int(n)) for n in moment])


LEAKY: dict[str, tuple[Callable[[], Made], str]] = {
    "copies": (copies, "twins"),
    "copies with a hair of noise": (lambda: copies(1e-3), "twins"),
    "copies in millions with noise": (lambda: copies(1e-3, 1e6), "twins"),
    "copies with a number each": (numbered_copies, "twins"),
    "copies in other words": (reworded_copies, "twins"),
    "patients by text": (lambda: groups("p{}".format, "patient"), "group"),
    "patients by number": (lambda: groups(lambda k: 20_240_000 + 7919 * k % 60_000), "group"),
    "patients by a float": (lambda: groups(lambda k: (k * 0.61803) % 1), "group"),
    "patients nowhere named": (lambda: groups(None), "group"),
    "shops that tell most labels": (lambda: owners(agree=0.92), "group"),
    "shops that tell most of a value": (lambda: owners(agree=0.92, of_values=True), "group"),
    "visits of patients": (visits, "group"),
    "shops with noise": (owners_of_noise, "group"),
    "sites with a value": (owners_of_values, "group"),
    "regimes by day": (lambda: regimes(days, shuffled=False), "time"),
    "regimes by day in random order": (lambda: regimes(days, shuffled=True), "time"),
    "regimes by unix seconds": (lambda: regimes(lambda n: 1_600_000_000 + 3600 * n, shuffled=True), "time"),
    "regimes by a counter": (lambda: regimes(lambda n: n, shuffled=True), "time"),
    "readings by day, one unknown": (lambda: drifts(lambda n: unknown_at(days(n), "unknown")), "time"),
    "readings by day, one impossible": (
        lambda: drifts(lambda n: unknown_at(days(n), "2021-13-45")),
        "time",
    ),
    "readings by day, many missing": (
        lambda: drifts(lambda n: unknown_at(days(n), "", range(0, ROWS, 8))),
        "time",
    ),
    "regimes by unix seconds, one missing": (
        lambda: regimes(lambda n: unknown_at(1_600_000_000 + 3600 * n, np.nan), shuffled=True),
        "time",
    ),
    "regimes by an irregular clock": (lambda: regimes(irregular, shuffled=True), "time"),
    "regimes by an irregular counter": (lambda: regimes(lambda n: (7 * irregular(n)).astype(int), True), "time"),
    "regimes by weeks in eight digits": (lambda: regimes(weekly, shuffled=True), "time"),
    "regimes by year and week": (lambda: calendar("week", 7), "time"),
    "regimes by year and day of the year": (lambda: calendar("day_of_year", 1), "time"),
    "visits of patients, one odd": (visits_with_an_odd_cell, "group"),
    "readings in the order of the file": (walks, "time"),
}
