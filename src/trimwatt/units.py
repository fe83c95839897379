"""Units: parsed at the edge, SI inside, three significant digits outside."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from trimwatt.errors import InputError

_ENERGY = {"J": 1.0, "Wh": 3600.0}
_TIME = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_BYTES = {"B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_PREFIX = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµ]+)\s*")


def _table(kind: str) -> dict[str, float]:
    if kind == "energy":
        return {p + u: f * v for u, v in _ENERGY.items() for p, f in _PREFIX.items()}
    if kind == "time":
        return {**{p + "s": _PREFIX[p] for p in ("n", "u", "µ", "m")}, **_TIME}
    return {**_BYTES, **{p + "B": _PREFIX[p] for p in ("k", "M", "G")}, "KB": 1e3}


def _parse(text: str, kind: str, example: str) -> float:
    match = _NUMBER.fullmatch(text)
    factor = _table(kind).get(match[2]) if match else None
    if match is None or factor is None:
        raise InputError(f"{text!r} is not {kind} with a unit; write it like {example}")
    return float(match[1]) * factor


def parse_energy(text: str) -> float:
    """Joules from text such as "5 J", "10kJ", "3mWh"."""
    return _parse(text, "energy", "10kJ or 5Wh")


def parse_duration(text: str) -> float:
    """Seconds from text such as "5ms", "90s", "20min", "2h"."""
    return _parse(text, "time", "5ms, 90s or 20min")


def parse_bytes(text: str) -> float:
    """Bytes from text such as "1MB", "512kB", "64MiB"."""
    return _parse(text, "size", "1MB or 64MiB")


@dataclass(frozen=True)
class Budget:
    """What a study may spend: `amount` seconds of wall time, joules of the ledger's total, or trials."""

    amount: float
    kind: Literal["s", "J", "trials"]

    def __str__(self) -> str:
        return spent(self.amount, self.kind)


def spent(amount: float, kind: str) -> str:
    """An amount of what a budget counts, for people."""
    if kind == "trials":
        return f"{amount:,.0f} trial{'s' * (amount != 1)}"
    return seconds(amount) if kind == "s" else joules(amount)


_TRIALS = re.compile(r"([1-9][0-9]{0,5}) ?trials?")


def parse_budget(text: str) -> Budget:
    """A budget from "10kJ", "5Wh", "20min" or "40trials"; raises InputError for anything else or nothing at all."""
    if found := _TRIALS.fullmatch(text.strip()):
        return Budget(float(found[1]), "trials")
    for parse, kind in ((parse_duration, "s"), (parse_energy, "J")):
        try:
            amount = parse(text)
        except InputError:
            continue
        if amount <= 0:
            raise InputError(f"a budget of {text} pays for nothing; give time or energy above zero, like 10min or 10kJ")
        return Budget(amount, kind)  # type: ignore[arg-type]
    raise InputError(
        f"budget is time, energy or a number of trials, got {text!r}; write it like 20min, 10kJ, 5Wh or 40trials"
    )


def _scaled(value: float, unit: str) -> str:
    """`value` with an SI prefix and three significant digits."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = min(3, max(-3, math.floor(math.log10(abs(value) * (1 + 1e-12)) / 3)))
    prefix = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G"}[exponent]
    return f"{three(value / 1000.0**exponent)} {prefix}{unit}"


def three(value: float) -> str:
    """Three significant digits, never in scientific notation."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 12)}f}"


def joules(value: float) -> str:
    """Energy for people: "148 mJ"."""
    return _scaled(value, "J")


def seconds(value: float) -> str:
    """A duration for people: "7.10 ms", "4 min 12 s"."""
    if value < 120:
        return _scaled(value, "s")
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(value: float) -> str:
    """A size for people, in decimal bytes: "1.14 MB"."""
    return _scaled(value, "B") if value >= 1000 else f"{value:.0f} B"


def grams(value: float) -> str:
    """A mass for people: "1.42 mg", "3.10 kg"."""
    return _scaled(value, "g")
