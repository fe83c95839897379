"""Figures as people read them: one prefix for a value and its interval, three digits, unknown said as such."""

from __future__ import annotations

import math
from typing import Any

from trimwatt import units
from trimwatt._printable import one_line

UNKNOWN = "–"
plain = one_line
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def known(value: Any) -> bool:
    """Whether `value` is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def scaled(value: float, low: float, high: float, unit: str) -> tuple[str, str]:
    """A value and its interval under the prefix of the value: ("148 mJ", "139 to 157")."""
    factor, prefix = next(((f, p) for f, p in _PREFIXES if abs(value) >= f * (1 - 1e-12)), _PREFIXES[-1])
    first = value / factor
    decimals = max(0, 2 - math.floor(math.log10(abs(first)))) if first else 0
    text = f"{low / factor:,.{decimals}f} to {high / factor:,.{decimals}f}"
    return f"{first:,.{decimals}f} {prefix}{unit}", text


def energy(value: dict[str, Any] | None) -> tuple[str, str]:
    """Joules and their interval, ("148 mJ", "139 to 157"); a dash and nothing where unknown."""
    return scaled(value["joules"], value["low"], value["high"], "J") if value else (UNKNOWN, "")


def energy_line(value: dict[str, Any] | None) -> str:
    """`148 mJ [139 to 157] estimated`, on one line."""
    text, interval = energy(value)
    return f"{text} [{interval}] {value['origin']}" if value else "unknown"


def figure(value: float) -> str:
    """A quality: three decimals below 10, three digits above."""
    return f"{value:.3f}" if abs(value) < 10 else units.three(value)


def quality(value: dict[str, Any] | None) -> tuple[str, str]:
    """A metric's value and its interval, ("0.909", "0.906 to 0.912")."""
    if not value or not known(value["value"]):
        return UNKNOWN, ""
    if not (known(value.get("low")) and known(value.get("high"))):
        return figure(value["value"]), ""
    return figure(value["value"]), f"{figure(value['low'])} to {figure(value['high'])}"


def half_width(value: dict[str, Any] | None) -> str:
    """`±0.003` for a quality, with the decimals of its value; empty where its interval is unknown."""
    if not value or not (known(value.get("low")) and known(value.get("high"))):
        return ""
    decimals = len(figure(value["value"]).partition(".")[2])
    return f"±{(value['high'] - value['low']) / 2:.{decimals}f}"


def times(value: float) -> str:
    """A factor with the digits that matter: 1.92x, 6.5x, 153x, 1,210x."""
    if value >= 10:
        return f"{_rounded(value):,}x"
    return f"{value:.2f}x" if value < 2 else f"{value:.1f}x"


def _rounded(value: float) -> int:
    """A whole number with three digits that are not 0."""
    step = int(10 ** max(0, math.floor(math.log10(value)) - 2))
    return round(value / step) * step


def ratio(value: dict[str, Any] | None) -> tuple[str, str]:
    """Against the baseline: ("6.5x less", "6.3x to 6.7x"); tied and inconclusive keep the plain ratio."""
    if not value:
        return UNKNOWN, ""
    number, low, high = value["value"], value["low"], value["high"]
    if value["verdict"] == "less" and low > 0:
        return f"{times(1 / number)} less", f"{times(1 / high)} to {times(1 / low)}"
    if value["verdict"] == "more":
        return f"{times(number)} more", f"{times(low)} to {times(high)}"
    return str(value["verdict"]), f"{times(low)} to {times(high)}"


def seconds(value: float | None) -> str:
    return units.seconds(value) if value is not None and known(value) else UNKNOWN


def size(value: float | None) -> str:
    return units.size(value) if value is not None and known(value) else UNKNOWN


def number(value: float | None) -> str:
    """A count for people: 152, 27,200, 12.3 million; never in scientific notation."""
    if value is None or not known(value):
        return UNKNOWN
    for factor, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if value >= factor:
            return f"{units.three(value / factor)} {word}"
    return f"{_rounded(value):,}" if value >= 1000 else f"{math.ceil(value):,}"


def recipe(steps: list[dict[str, Any]]) -> str:
    """The names of the steps, in order."""
    return " → ".join(str(step.get("technique", "?")) for step in steps) or "as given"


def parameters(step: dict[str, Any]) -> str:
    """The parameters of a step that say something: `share=0.5, rounds=3`."""
    shown = {k: v for k, v in step.items() if k != "technique" and v not in (None, [], {}, "")}
    return ", ".join(f"{name}={value}" for name, value in shown.items())


GRADES = {"proven": "proven", "not_disproven": "not disproven", "failed": "misses floor"}


def grade(trial: dict[str, Any]) -> str:
    """How surely a trial keeps the floor; empty where it was not judged."""
    if not trial.get("quality"):
        return ""
    if trial.get("floor_test") is None:
        return "meets floor" if trial.get("meets_floor") else "misses floor"
    # the estimate itself may miss the floor without being disproven
    if not trial.get("meets_floor"):
        return "misses floor"
    return GRADES.get(trial["floor_test"], str(trial["floor_test"]))
