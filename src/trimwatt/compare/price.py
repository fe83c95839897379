"""The price of a point: joules for each further point of quality along a family of models, and where it turns steep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from trimwatt.compare.statistics import Array, percentiles
from trimwatt.errors import InputError

_DRAWS = 4000
_Z = 1.959963984540054


@dataclass(frozen=True)
class Point:
    """A model: what it costs and how good it is, each with its 95 % interval.

    cost, low, high: joules, or what `unit` of the ladder says. quality in the metric's own unit.
    """

    name: str
    cost: float
    low: float
    high: float
    quality: float
    quality_low: float
    quality_high: float

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.cost <= self.high:
            raise InputError(f"{self.name}: a cost above zero inside its interval is wanted, got {self.cost:g}")
        if not self.quality_low <= self.quality <= self.quality_high:
            raise InputError(f"{self.name}: a quality inside its interval is wanted, got {self.quality:g}")


@dataclass(frozen=True)
class Rung:
    """A step up from `over`, the last step worth it. gain, extra: quality and cost added, `extra` without common error.

    worth: "yes" the gain's whole interval is above zero; "not worth it" it holds zero or lies below. price, low, high:
    cost for each point of quality; None where the gain holds zero or all but does, a price then having no upper end.
    on_hull: no mix of a cheaper and a dearer model would give as much for less.
    """

    name: str
    over: str
    gain: float
    gain_low: float
    gain_high: float
    extra: float
    worth: str
    price: float | None = None
    low: float | None = None
    high: float | None = None
    on_hull: bool = True


@dataclass(frozen=True)
class Ladder:
    """A family from cheap to dear. point: what one point of quality is, in the metric's own unit.

    knee: the model after which a point gets dear, None where there are fewer than three steps to choose from.
    knee_share: share of draws from the intervals in which it is the knee; below a half, do not lean on it.
    """

    first: str
    rungs: tuple[Rung, ...]
    point: float
    unit: str
    knee: str | None
    knee_share: float | None

    @property
    def worth(self) -> tuple[str, ...]:
        """The models worth their cost, from the cheapest."""
        return (self.first, *(rung.name for rung in self.rungs if rung.worth == "yes"))

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rungs": [asdict(rung) for rung in self.rungs], "worth": list(self.worth)}


def ladder(
    points: Sequence[Point | Mapping[str, Any]], *, greater_is_better: bool = True, point: float | None = None,
    unit: str = "J", scale: tuple[float, float] = (1.0, 1.0), seed: int = 0,
) -> Ladder:  # fmt: skip
    """Walk a family from its cheapest model up, and price each step.

    points: at least two, as `Point` or as dicts {"name", "cost", "low", "high", "quality", "quality_low",
    "quality_high"}; an interval left out is the value itself. point: the quality that counts as one, 0.01 unless given;
    for an error, a hundredth of the cheapest one's. scale: factors that all costs share (the doubt of an estimate).
    Each model is held against the last one worth it; gains are drawn from the intervals as if independent, which on
    shared rows is careful. The knee is Kneedle's (Satopaa et al. 2011, ICDCS Workshops) on the concave hull of those
    worth it: the farthest from the line between the cheapest and the best, in cost and quality scaled from 0 to 1.
    Raises InputError for fewer than two points.
    """
    family = sorted((p if isinstance(p, Point) else _point(p) for p in points), key=lambda p: (p.cost, -p.quality))
    if len(family) < 2:
        raise InputError(f"a ladder has at least two models, got {len(family)}; give a family of several sizes")
    sign = 1.0 if greater_is_better else -1.0
    one = point if point is not None else 0.01 if greater_is_better else 0.01 * abs(family[0].quality)
    if not one > 0:
        raise InputError(f"a point of quality is above zero, got {one:g}; give point=0.01")
    rng = np.random.default_rng(seed)
    cost, quality = _draws(family, sign, rng)
    rungs, kept = _walk(family, cost, quality, sign, one, scale)
    hull = _hull([family[i].cost for i in kept], [sign * family[i].quality for i in kept])
    on_hull = {family[kept[k]].name for k in hull}
    rungs = [replace(r, on_hull=r.name in on_hull) if r.worth == "yes" else r for r in rungs]
    knee, share = _knee(family, kept, sign, cost, quality)
    return Ladder(family[0].name, tuple(rungs), one, unit, knee, share)


def _point(given: Mapping[str, Any]) -> Point:
    try:
        cost, quality = float(given["cost"]), float(given["quality"])
        name = str(given["name"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"a point has name, cost and quality as numbers, got {dict(given)}") from error
    low, high = float(given.get("low", cost)), float(given.get("high", cost))
    return Point(name, cost, low, high, quality,
                 float(given.get("quality_low", quality)), float(given.get("quality_high", quality)))  # fmt: skip


def _draws(family: Sequence[Point], sign: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Costs (draws, n), log-normal within their intervals, and qualities (draws, n), normal on each side."""
    n = len(family)
    wide = np.array([math.log(p.high / p.low) / (2 * _Z) for p in family])
    cost = np.array([p.cost for p in family]) * np.exp(rng.standard_normal((_DRAWS, n)) * wide)
    z = rng.standard_normal((_DRAWS, n))
    below = np.array([(p.quality - p.quality_low) / _Z for p in family])
    above = np.array([(p.quality_high - p.quality) / _Z for p in family])
    return cost, sign * (np.array([p.quality for p in family]) + z * np.where(z < 0, below, above))


def _walk(
    family: Sequence[Point], cost: Array, quality: Array, sign: float, one: float, scale: tuple[float, float]
) -> tuple[list[Rung], list[int]]:
    rungs: list[Rung] = []
    kept = [0]
    for i in range(1, len(family)):
        last = kept[-1]
        gains, extras = quality[:, i] - quality[:, last], cost[:, i] - cost[:, last]
        rung = _rung(family[i], family[last], gains, extras, sign, one, scale)
        rungs.append(rung)
        if rung.worth == "yes":
            kept.append(i)
    return rungs, kept


def _rung(
    here: Point, over: Point, gains: Array, extras: Array, sign: float, one: float, scale: tuple[float, float]
) -> Rung:
    gain, extra = sign * (here.quality - over.quality), here.cost - over.cost
    low, high = percentiles(gains)
    found = Rung(here.name, over.name, gain, min(low, gain), max(high, gain), extra, "not worth it", on_hull=False)
    if low <= 0:
        return found
    prices = np.where(gains > 0, extras / np.maximum(gains, 1e-300), np.inf) * one
    bottom, top = (float(q) for q in np.quantile(prices, [0.025, 0.975]))
    price = extra / gain * one
    ends = [bottom * factor for factor in scale] + [top * factor for factor in scale] + [price]
    if not all(math.isfinite(end) for end in ends):
        return replace(found, worth="yes")
    return replace(found, worth="yes", price=price, low=min(ends), high=max(ends))


def _hull(cost: Sequence[float], quality: Sequence[float]) -> list[int]:
    """Indices of the upper concave hull of points sorted by cost, quality rising; Andrew 1979."""
    hull: list[int] = []
    for i in range(len(cost)):
        while len(hull) > 1 and _turns_up(cost, quality, hull[-2], hull[-1], i):
            hull.pop()
        hull.append(i)
    return hull


def _turns_up(cost: Sequence[float], quality: Sequence[float], a: int, b: int, c: int) -> bool:
    """Whether b lies on or below the line from a to c."""
    return (quality[b] - quality[a]) * (cost[c] - cost[a]) <= (quality[c] - quality[a]) * (cost[b] - cost[a])


def _kneedle(cost: Array, quality: Array) -> int | None:
    """Index of the knee of points sorted by cost, or None where no point is above the line between the ends."""
    if len(cost) < 3 or cost[-1] <= cost[0] or quality[-1] <= quality[0]:
        return None
    hull = _hull(cost.tolist(), quality.tolist())
    x, y = (cost - cost[0]) / (cost[-1] - cost[0]), (quality - quality[0]) / (quality[-1] - quality[0])
    height = (y - x)[hull]
    best = int(height.argmax())
    return hull[best] if 0 < best < len(hull) - 1 and height[best] > 0 else None


def _knee(
    family: Sequence[Point], kept: Sequence[int], sign: float, cost: Array, quality: Array
) -> tuple[str | None, float | None]:
    values = np.array([family[i].cost for i in kept]), np.array([sign * family[i].quality for i in kept])
    found = _kneedle(*values)
    if found is None:
        return None, None
    hits = 0
    for c, q in zip(cost[::10, kept], quality[::10, kept], strict=True):
        order = np.argsort(c, kind="stable")
        k = _kneedle(c[order], q[order])
        hits += k is not None and int(order[k]) == found
    return family[kept[found]].name, hits / len(cost[::10])


def from_study(study: Mapping[str, Any], *, families: Sequence[str] | None = None) -> dict[str, Ladder]:
    """The ladder of each family in a study.json with at least two measured candidates.

    A candidate costs its ratio to the baseline times the baseline's joules (CPU seconds where no joules are known), so
    that the doubt of an estimate, common to all, widens each price and not the difference between two models.
    """
    trials = [t for t in study.get("trials", ()) if t.get("status") == "done" and t.get("quality")]
    base = next((t for t in trials if t["id"] == study.get("baseline")), None)
    if base is None:
        return {}
    energy, unit = base.get("energy_per_prediction"), "J"
    if energy is None:
        seconds = base.get("cpu_s_per_prediction")
        energy, unit = seconds and {"joules": seconds, "low": seconds, "high": seconds}, "CPU s"
    if not energy:
        return {}
    scale = energy["low"] / energy["joules"], energy["high"] / energy["joules"]
    groups: dict[str, list[Point]] = {}
    for trial in trials:
        made = _of_trial(trial, base, float(energy["joules"]))
        if made is not None and (families is None or trial["family"] in families):
            groups.setdefault(str(trial["family"]), []).append(made)
    greater = bool(base["quality"].get("greater_is_better", True))
    return {
        name: ladder(points, greater_is_better=greater, unit=unit, scale=scale)
        for name, points in groups.items()
        if len(points) > 1
    }


def _of_trial(trial: Mapping[str, Any], base: Mapping[str, Any], joules: float) -> Point | None:
    ratio = {"value": 1.0, "low": 1.0, "high": 1.0} if trial is base else trial.get("ratio_to_baseline")
    quality = trial["quality"]
    known = [quality.get(k) for k in ("value", "low", "high")]
    if not ratio or ratio["low"] <= 0 or any(v is None or not math.isfinite(v) for v in known):
        return None
    return Point(
        str(trial["name"]), joules * ratio["value"], joules * ratio["low"], joules * ratio["high"],
        known[0], known[1], known[2],
    )  # fmt: skip


def sentence(found: Ladder) -> str:
    """One line for a report: the knee, its price and the next, and what is not worth it."""
    paid = [rung for rung in found.rungs if rung.worth == "yes"]
    if not paid:
        return f"nothing above {found.first} is worth it: no gain can be told from zero"
    parts = [f"{found.first} is the cheapest"]
    parts += [f"{r.name} adds {abs(r.gain) / found.point:.2g} points at {_price(r, found.unit)}" for r in paid]
    if found.knee:
        parts.append(f"a point gets dear after {found.knee}")
    if no := [rung.name for rung in found.rungs if rung.worth != "yes"]:
        parts.append(f"not worth it: {', '.join(no)}")
    return "; ".join(parts)


def _price(rung: Rung, unit: str) -> str:
    from trimwatt import units

    values = [v for v in (rung.price, rung.low, rung.high) if v is not None]
    if not values:
        return "more than can be told for so small a gain"
    if values[1] <= 0:
        return "no cost that can be told from zero"
    show = units.joules if unit == "J" else units.seconds
    return f"{show(values[0])} [{show(values[1])} to {show(values[2])}]" + (
        " a point" if unit == "J" else " of CPU a point"
    )
