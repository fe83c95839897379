"""A reading for people, in 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from trimwatt import units
from trimwatt.energy import Energy, Reading

_WIDTH, _MARGIN = 80, 10
HINT = "`trimwatt doctor` tells what would make this a measurement"


def text(reading: Reading, carbon: dict[str, Any] | None = None, runs: dict[str, Any] | None = None) -> str:
    """Energy with interval and origin, time, memory, coverage, carbon, warnings: one line of a name and a value each.

    carbon: that of the JSON. runs: a `Spread` of the process's joules as a dict, with "warmup", of several runs.
    """
    lines = [_line("process", _energy(reading.process)), _line("machine", _energy(reading.energy))]
    if runs is not None:
        lines.append(_line("runs", _runs(runs)))
    lines.append(_line("time", _time(reading)))
    if reading.coverage < 1:
        lines.append(_line("coverage", f"{reading.coverage:.0%} of what draws power was measured; {HINT}"))
    if carbon and carbon["low"] is not None:
        lines.append(_line("carbon", _carbon(carbon)))
    return "\n".join(lines + [_line("note", warning) for warning in reading.warnings])


def _line(name: str, value: str) -> str:
    return textwrap.fill(
        value, _WIDTH, initial_indent=f"{name:<{_MARGIN}}", subsequent_indent=" " * _MARGIN,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _energy(energy: Energy | None) -> str:
    return "not known" if energy is None else str(energy)


def _time(reading: Reading) -> str:
    memory = reading.peak_rss_bytes
    said = f"{units.seconds(reading.duration_s)}, {units.seconds(reading.cpu_s)} of CPU"
    return f"{said}, {units.size(memory)} of memory" if memory is not None else said


def _runs(runs: dict[str, Any]) -> str:
    count, dropped = len(runs["values"]), runs["warmup"]
    low, high, least, most = (units.joules(runs[key]) for key in ("low", "high", "min", "max"))
    said = f"{count}, from {least} to {most}; all figures are medians"
    if count > 1:
        said += f", and that of the energy lies in {low} to {high} as far as these runs tell ({runs['level']:.0%})"
    return said + (f"; {dropped} to warm up not counted" if dropped else "")


def _carbon(carbon: dict[str, Any]) -> str:
    low, high = (units.grams(carbon[key]) for key in ("low", "high"))
    intensity = carbon["intensity"]
    span = f"{intensity['low']:g} to {intensity['high']:g} g a kWh, {intensity['year']}"
    if carbon["grams_co2e"] is None:
        return f"{low} to {high} of CO2e: the grid is not known, so the world's range ({span})"
    return f"{units.grams(carbon['grams_co2e'])} of CO2e [{low} to {high}] ({intensity['zone']}: {span})"


def exit_codes(codes: Sequence[int]) -> str | None:
    """A sentence where the runs of one command did not end alike, None where they did."""
    if len(set(codes)) < 2:
        return None
    return f"the exit code was not the same in every run: {', '.join(map(str, codes))}"
