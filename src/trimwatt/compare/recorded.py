"""Runs recorded elsewhere, compared again: unpaired, skewed, sometimes broken, and not always enough of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trimwatt.compare import logfile, unpaired
from trimwatt.compare.result import SCHEMA, verdict
from trimwatt.compare.statistics import Array, Interval
from trimwatt.errors import InputError

Method = Literal["yuen", "bootstrap"]
Log = Mapping[str, Sequence[object]]
_DRIFT = 0.3


@dataclass(frozen=True)
class Runs:
    """The readings of one arm. values (n,) in `unit`, all above zero; every row left out is counted and named here.

    missing: empty cells. unreadable: cells that are no number. zero_or_less: readings of a sensor or clock that failed.
    """

    name: str
    unit: str
    values: Array = field(repr=False)
    rows: int
    missing: int = 0
    unreadable: int = 0
    zero_or_less: int = 0

    @property
    def logs(self) -> Array:
        return np.log(self.values)

    @property
    def enough(self) -> bool:
        return len(self.values) >= unpaired.LEAST_RUNS

    def to_dict(self) -> dict[str, Any]:
        known = len(self.values) > 0
        return {
            "name": self.name, "unit": self.unit, "rows": self.rows, "runs": len(self.values),
            "left_out": {n: getattr(self, n) for n in ("missing", "unreadable", "zero_or_less")},
            "median": float(np.median(self.values)) if known else None,
            "geometric_trimmed_mean": math.exp(unpaired.trimmed(self.logs).mean) if len(self.values) > 2 else None,
            "coefficient_of_variation": float(np.std(self.values, ddof=1) / np.mean(self.values))
            if len(self.values) > 1 else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """a over b from recorded runs. verdict: less | more | tied | inconclusive, and `reason` where nothing is claimed.

    ratio, low, high: of geometric trimmed means, 95 %; None where there are too few runs even to compute them.
    delta: Cliff's. needed: runs an arm for "the difference seen", "the difference claimed" and "within 5 %".
    claim: {"ratio", "verdict"}: holds | short | not settled (or
    "differs by group", with counts). quality: difference a - b by column, in its own unit.
    groups: the same within each group; heterogeneity: how far groups differ beyond chance, I2 in [0, 1].
    """

    a: Runs
    b: Runs
    column: str
    method: Method
    ratio: float | None
    low: float | None
    high: float | None
    verdict: str
    reason: str = ""
    delta: unpaired.Delta | None = None
    needed: dict[str, int | None] = field(default_factory=dict)
    claim: dict[str, Any] | None = None
    quality: dict[str, dict[str, float]] = field(default_factory=dict)
    groups: dict[str, Recorded] = field(default_factory=dict)
    heterogeneity: float | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON of schema trimwatt/comparison/1, kind "recorded": there are no pairs, and no self-test was made."""
        names = ("ratio", "low", "high", "verdict", "reason", "method", "needed", "claim", "quality", "heterogeneity")
        return {
            "schema": SCHEMA, "kind": "recorded", "pairs": None, "self_test": None,
            "basis": f"recorded {self.column}", "origin": "as recorded",
            **{name: getattr(self, name) for name in names},
            "effect_size": self.delta and self.delta.to_dict(), "a": self.a.to_dict(), "b": self.b.to_dict(),
            "groups": {name: group.to_dict() for name, group in self.groups.items()},
            "warnings": list(self.warnings),
        }  # fmt: skip

    def __str__(self) -> str:
        counts = f"{len(self.a.values)} and {len(self.b.values)} runs, unpaired"
        if self.ratio is None or self.low is None or self.high is None:
            return f"{self.a.name} against {self.b.name}: {self.verdict}, {self.reason} ({counts})"
        bounds = f"[{self.low:.3g}, {self.high:.3g}], {counts}"
        text = f"{self.a.name} takes {self.ratio:.3g} times the {self.column} of {self.b.name} {bounds}: {self.verdict}"
        return text + (f" ({self.reason})" if self.reason else "")


def analyse(
    log: Log | Path, *, arm: str, a: object, b: object, value: str, group: str | None = None,
    quality: Sequence[str] = (), where: Mapping[str, object] | None = None, claim: float | None = None,
    method: Method = "yuen", minimum_effect: float = 0.02, level: float = 0.95, seed: int = 0,
) -> Recorded:  # fmt: skip
    """Compare the runs of two arms in a log: `a` over `b` of the column `arm`.

    log: a CSV, or columns by name. value: the column compared, as `COLUMN`, or `COLUMN:unit` where its name does not
    end in its unit. group: a column; groups with both arms are compared within, those with one arm count as one run
    each. quality: columns whose loss is told beside it. where: only rows with these values. claim: a ratio that was
    claimed, such as 0.08 for "92 % less". method: "yuen" (Yuen-Welch on logarithms) or "bootstrap".
    minimum_effect: a share below which a difference does not matter. level: coverage of every interval; for m
    comparisons that must hold together, 1 - 0.05 / m.
    Raises InputError for a column, value or unit that is not there.
    """
    columns = _where(logfile.read(log) if isinstance(log, Path) else log, where or {})
    name, unit = logfile.value_column(value, columns)
    if claim is not None and not (claim > 0 and math.isfinite(claim) and claim != 1):
        raise InputError(f"a claim is a ratio of a over b other than 1, got {claim:g}; 92 % less is 0.08")
    if method not in ("yuen", "bootstrap"):
        raise InputError(f"method is yuen or bootstrap, got {method!r}")
    asked = _Asked(name, unit, tuple(quality), claim, method, minimum_effect, level, seed)
    index = {arm_value: _rows(columns, arm, arm_value) for arm_value in (a, b)}
    if logfile.same(a, b):
        raise InputError(f"--a and --b are both {a!r}; name two values of {arm}")
    rows = index[a], index[b]
    names = str(a), str(b)
    if group is None:
        return _compare(columns, names, rows, asked)
    return _grouped(columns, names, rows, asked, group)


@dataclass(frozen=True)
class _Asked:
    column: str
    unit: logfile.Unit
    quality: tuple[str, ...]
    claim: float | None
    method: Method
    minimum_effect: float
    level: float
    seed: int


def _where(columns: Log, wanted: Mapping[str, object]) -> Log:
    lengths = {len(cells) for cells in columns.values()}
    if len(lengths) != 1:
        raise InputError(f"columns of a log are as long as each other, got {sorted(lengths)}")
    keep = np.ones(lengths.pop(), dtype=bool)
    for name, value in wanted.items():
        cells = logfile.column(columns, name, "the filter's")
        keep &= np.array([logfile.same(cell, value) for cell in cells], dtype=bool)
    if not keep.any():
        raise InputError(f"no row has {', '.join(f'{k}={v}' for k, v in wanted.items())}; nothing is left to compare")
    return {name: [cells[int(i)] for i in np.flatnonzero(keep)] for name, cells in columns.items()}


def _rows(columns: Log, arm: str, value: object) -> list[int]:
    cells = logfile.column(columns, arm, "the arm's")
    found = [i for i, cell in enumerate(cells) if logfile.same(cell, value)]
    if not found:
        known = sorted({str(cell) for cell in cells})
        listed = ", ".join(known[:8]) + (f" and {len(known) - 8} more" if len(known) > 8 else "")
        raise InputError(f"no row has {value!r} in {arm}; it has {listed}")
    return found


def _runs(columns: Log, name: str, rows: Sequence[int], asked: _Asked) -> Runs:
    read = [logfile.number(columns[asked.column][i]) for i in rows]
    known = [v for v in read if v is not None and not math.isnan(v)]
    kept = np.array([v for v in known if v > 0]) * asked.unit.factor
    missing = sum(v is not None and math.isnan(v) for v in read)
    return Runs(name, asked.unit.si, kept, len(rows), missing, read.count(None), len(known) - len(kept))


def _compare(
    columns: Log, names: tuple[str, str], rows: tuple[Sequence[int], Sequence[int]], asked: _Asked
) -> Recorded:
    a, b = (_runs(columns, name, which, asked) for name, which in zip(names, rows, strict=True))
    notes = _warnings(a, b)
    if logfile.is_codecarbon(columns):
        notes += ("CodeCarbon logs do not say what was measured and what was estimated: read these as estimates",)
    result = _judged(a, b, asked)
    loss = {name: _quality(columns, name, rows, asked) for name in asked.quality}
    notes += tuple(
        f"{name} is the same in every run: its interval says nothing of other rows or seeds"
        for name, found in loss.items()
        if found and found["low"] == found["high"]
    )
    return replace(result, warnings=notes, quality={name: found for name, found in loss.items() if found})


def _interval(a: Array, b: Array, asked: _Asked) -> Interval:
    if asked.method == "bootstrap":
        return unpaired.bootstrap(a, b, asked.level, seed=asked.seed)
    return unpaired.yuen_welch(a, b, asked.level)


def _judged(a: Runs, b: Runs, asked: _Asked) -> Recorded:
    if not (a.enough and b.enough):
        few = a if not a.enough else b
        reason = f"{len(few.values)} usable runs of {few.name}, and a claim needs at least {unpaired.LEAST_RUNS} an arm"
        return Recorded(a, b, asked.column, asked.method, None, None, None, "inconclusive", reason)
    logs = _with_failed(a, b, asked)
    if logs is None:
        reason = "more readings of zero or less than trimming removes: the sensor or clock failed too often"
        return Recorded(a, b, asked.column, asked.method, None, None, None, "inconclusive", reason)
    found, ratio = verdict(logs, asked.minimum_effect, 0.0), logs.exp()
    needed = _needed(a, b, logs.value, asked)
    reason = _doubt(found, needed["difference_seen"], min(len(a.values), len(b.values)), logs)
    return Recorded(
        a, b, asked.column, asked.method, ratio.value, ratio.low, ratio.high,
        "inconclusive" if reason and found in ("less", "more") else found, reason,
        unpaired.cliffs_delta(a.values, b.values, asked.level), needed, _claim(ratio, asked.claim),
    )  # fmt: skip


def _with_failed(a: Runs, b: Runs, asked: _Asked) -> Interval | None:
    """The interval without readings of zero or less, and with them as the least of their arm: what holds both.

    Whether such a reading was a small one or a broken one is not known. As the least value it is trimmed away, whatever
    it was; None where there are more of them than that.
    """
    result = _interval(a.logs, b.logs, asked)
    if not a.zero_or_less and not b.zero_or_less:
        return result
    sides = []
    for side in (a, b):
        total = len(side.values) + side.zero_or_less
        if side.zero_or_less > math.floor(unpaired.TRIM * total):
            return None
        sides.append(np.append(np.full(side.zero_or_less, side.logs.min()), side.logs))
    return result.hull(_interval(sides[0], sides[1], asked))


def _needed(a: Runs, b: Runs, seen: float, asked: _Asked) -> dict[str, int | None]:
    """Runs an arm; a difference is found in 80 of 100 such studies, a precision is reached in half of them."""
    needed = {
        "difference_seen": unpaired.runs_needed(a.logs, b.logs, seen),
        "within_5_percent": unpaired.runs_needed(a.logs, b.logs, math.log(1.05), power=0.5),
        "within_10_percent": unpaired.runs_needed(a.logs, b.logs, math.log(1.10), power=0.5),
    }
    if asked.claim is not None:
        needed["difference_claimed"] = unpaired.runs_needed(a.logs, b.logs, math.log(asked.claim))
    return needed


def _doubt(found: str, needed: int | None, runs: int, logs: Interval) -> str:
    """Why less or more is not claimed, or what an inconclusive one would have needed."""
    if found == "inconclusive":
        inside = "the interval holds 1" if logs.low <= 0 <= logs.high else "the difference is smaller than matters"
        return inside + (f"; a true difference of this size needs about {needed} runs an arm" if needed else "")
    if found in ("less", "more") and needed is not None and runs < needed:
        return f"a difference of this size needs about {needed} runs an arm, and there are {runs}"
    return ""


def _claim(ratio: Interval, claim: float | None) -> dict[str, Any] | None:
    """holds: the whole interval lies at or beyond the claimed ratio; short: the whole of it falls short of that."""
    if claim is None:
        return None
    saving = claim < 1
    beyond = ratio.high <= claim if saving else ratio.low >= claim
    short = ratio.low > claim if saving else ratio.high < claim
    return {"ratio": claim, "verdict": "holds" if beyond else "short" if short else "not settled"}


def _quality(
    columns: Log, name: str, rows: tuple[Sequence[int], Sequence[int]], asked: _Asked
) -> dict[str, float]:  # fmt: skip
    """Means and their difference a - b with its interval; empty where fewer than two runs of an arm have a value."""
    cells = logfile.column(columns, name, "the quality's")
    read = [[logfile.number(cells[i]) for i in which] for which in rows]
    sides = [np.array([v for v in side if v is not None and not math.isnan(v)]) for side in read]
    if any(len(side) < 2 for side in sides):
        return {}
    found = unpaired.mean_difference(sides[0], sides[1], asked.level, seed=asked.seed)
    means = {"a": float(sides[0].mean()), "b": float(sides[1].mean())}
    return means | {"difference": found.value, "low": found.low, "high": found.high}


def _warnings(a: Runs, b: Runs) -> tuple[str, ...]:
    warnings = ["unpaired runs: whatever else changed between the runs of the two is in this ratio"]
    words = {"missing": "have no value", "unreadable": "are no number", "zero_or_less": "read zero or less"}
    for side in (a, b):
        counts = [(getattr(side, kind), text) for kind, text in words.items()]
        warnings += [f"{side.name}: {n} of {side.rows} runs {text} and were left out" for n, text in counts if n]
        if len(side.values) >= 10 and unpaired.lag_one(side.logs) > max(_DRIFT, 2 / math.sqrt(len(side.values))):
            warnings.append(f"{side.name}: neighbouring runs resemble each other (the host drifted?), so less is known")
    return tuple(warnings)


def _grouped(
    columns: Log, names: tuple[str, str], rows: tuple[Sequence[int], Sequence[int]], asked: _Asked, group: str
) -> Recorded:
    from trimwatt.compare import recorded_groups

    cells = [str(cell).strip() for cell in logfile.column(columns, group, "the group's")]
    members: dict[str, tuple[list[int], list[int]]] = {}
    for side, which in enumerate(rows):
        for i in which:
            members.setdefault(cells[i], ([], []))[side].append(i)
    whole = _compare(columns, names, rows, asked)
    both = {name: pair for name, pair in members.items() if all(pair)}
    if not both:
        nested = [[_runs(columns, name, part, asked) for name, pair in members.items() if (part := pair[side])]
                  for side in (0, 1)]  # fmt: skip
        clusters = [
            recorded_groups.as_runs(side, parts) for side, parts in zip((whole.a, whole.b), nested, strict=True)
        ]
        note = f"each {group} has runs of one arm alone, so a {group} counts as one run"
        return replace(
            _judged(clusters[0], clusters[1], asked), quality=whole.quality, warnings=(*whole.warnings, note)
        )
    parts = {name: _compare(columns, names, pair, asked) for name, pair in sorted(both.items())}
    alone = sorted(set(members) - set(both))
    return recorded_groups.combine(whole, parts, alone, group, asked.minimum_effect)
