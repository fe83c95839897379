"""When a test spent too much: limits, and increases over a baseline. No test runner here, only the judgement."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trimwatt import units
from trimwatt.energy import ORIGINS, Energy, Origin
from trimwatt.errors import InputError

SCHEMA = "trimwatt/pytest/1"
Verdict = Literal["kept", "exceeded", "inconclusive"]
_SURE = ("estimated", "mixed", "measured")
# one look at a test tells nothing of how much looks differ; they do by up to a quarter on a quiet machine
_ONE_LOOK = 1.25
_FEW_LOOKS = 3


@dataclass(frozen=True)
class Limit:
    """What one call may take: joules. repeat: calls a look. min_source: the least of estimated, mixed, measured."""

    joules: float
    repeat: int = 1
    min_source: Origin = "estimated"

    @classmethod
    def of(cls, args: tuple[Any, ...], options: dict[str, Any]) -> Limit:
        """From the arguments of `max_energy`; raises InputError that says which one is wrong."""
        example = 'write it like @pytest.mark.max_energy("5 J", repeat=5, min_source="measured")'
        if len(args) != 1 or not isinstance(args[0], str):
            raise InputError(f"max_energy takes one limit with its unit, got {args!r}; {example}")
        if unknown := set(options) - {"repeat", "min_source"}:
            raise InputError(f"max_energy does not know {', '.join(sorted(unknown))}; {example}")
        joules = units.parse_energy(args[0])
        if joules <= 0:
            raise InputError(f"max_energy: {args[0]} allows nothing; give energy above zero, like 5 J or 3 mWh")
        repeat, source = options.get("repeat", 1), options.get("min_source", "estimated")
        if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
            raise InputError(f"max_energy: repeat is a whole number of at least 1, got {repeat!r}")
        if source not in ORIGINS:
            raise InputError(f"max_energy: min_source is one of {', '.join(_SURE)}, got {source!r}")
        return cls(joules, repeat, source)

    def accepts(self, origin: str) -> bool:
        """Whether a reading of this origin is good enough to be judged."""
        return _SURE.index(origin) >= _SURE.index(self.min_source)

    def judge(self, energy: Energy) -> tuple[Verdict, str]:
        """Exceeded only where even the lower bound is above the limit."""
        said, limit = str(energy), units.joules(self.joules)
        if energy.low > self.joules:
            return "exceeded", f"energy {said} exceeds the limit of {limit}"
        if energy.high > self.joules:
            return "inconclusive", f"energy {said}: the limit of {limit} lies within its interval"
        return "kept", f"energy {said} keeps the limit of {limit}"


def share(text: str) -> float:
    """0.1 of "10%"; raises InputError for anything else."""
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*%\s*", text)
    if match is None:
        raise InputError(f"an increase is a percentage, got {text!r}; write it like 10%")
    return float(match[1]) / 100


def increase(looks: list[float], before: list[float], allowed: float) -> tuple[Verdict, str]:
    """Whether a call takes more than `1 + allowed` times what it took before.

    looks, before: joules a call that the work added, one for each look. A machine and a model that are the same on both
    sides cancel, so only how much looks differ is in doubt: the increase is sure where the lowest look now exceeds the
    highest before.
    """
    doubt = 1.0 if min(len(looks), len(before)) >= _FEW_LOOKS else _ONE_LOOK
    if min(before) <= 0:
        return "inconclusive", "the baseline's work was too little to be told"
    likely = _middle(looks) / _middle(before)
    least, most = min(looks) / max(before) / doubt, max(looks) / min(before) * doubt
    said = f"{likely:.3g} times the baseline [{least:.3g} to {most:.3g}], {1 + allowed:.3g} allowed"
    if least > 1 + allowed:
        return "exceeded", said
    if likely <= 1 + allowed:
        return "kept", said
    hint = "" if doubt == 1.0 else "; energy(fn) with repeat=5 or more would tell"
    return "inconclusive", said + hint


def _middle(values: list[float]) -> float:
    import statistics

    return statistics.median(values)


def place(folder: Path, name: str) -> Path:
    """Where the baseline of this name lies; raises InputError for a name that is no plain word."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"a baseline's name is letters, digits, dots and dashes, got {name!r}")
    return folder / ".trimwatt" / "energy" / f"{name.removesuffix('.json')}.json"


def load(path: Path) -> dict[str, Any]:
    """A saved baseline; raises InputError where it is none."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"there is no energy baseline {path.stem!r} ({error.strerror}: {path}); make it with"
            f" --energy-save {path.stem}"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is no energy baseline ({error}); make it anew with --energy-save") from error
    if not isinstance(saved, dict) or saved.get("schema") != SCHEMA or not isinstance(saved.get("tests"), dict):
        raise InputError(f"{path} is no energy baseline; make it anew with --energy-save {path.stem}")
    return saved


def save(path: Path, tests: dict[str, dict[str, Any]]) -> None:
    """Write a baseline whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps({"schema": SCHEMA, "host": host(), "tests": tests}, indent=2) + "\n", encoding="utf-8")
    beside.replace(path)


def host() -> dict[str, Any]:
    """What must be the same for two figures of one test to be compared."""
    from trimwatt.meter import cpu_model, session, usage

    sensor = session.meter().sensor
    return {
        "processor": cpu_model.processor().brand, "threads": usage.machine_threads(), "sensor": sensor.name,
        "origin": sensor.origin,
    }  # fmt: skip
