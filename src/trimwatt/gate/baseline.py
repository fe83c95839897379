"""A baseline saved to a file: what each check took, and the host it holds for."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt.compare import unpaired
from trimwatt.compare.statistics import Interval, grouped
from trimwatt.errors import InputError
from trimwatt.gate.config import Check
from trimwatt.gate.measure import SITTING, Sample
from trimwatt.gate.target import Answers, Target

SCHEMA = "trimwatt/baseline/1"
LABEL = "unpaired: what changed on this host since the baseline was saved is in this ratio; --against pairs"
_SAME = ("cpu", "cores", "flags", "machine", "os", "python")


def fingerprint(facts: Mapping[str, Any], sensor: str) -> dict[str, Any]:
    """What must be the same for joules and seconds to be comparable; nothing that names the machine."""
    kept = {name: facts.get(name) for name in ("cpu", "cores", "flags", "machine")}
    return {
        **kept, "os": facts.get("os"), "python": ".".join(str(facts["versions"]["python"]).split(".")[:2]),
        "sensor": sensor,
    }  # fmt: skip


def entry(check: Check, sample: Sample, target: Target) -> dict[str, Any]:
    """What is kept of one check."""
    quality = target.quality
    return {
        "defined": defined(check), "basis": sample.basis, "spent": list(sample.spent), "wall_s": list(sample.walls),
        "size_bytes": target.size_bytes, "uncounted": list(sample.uncounted),
        "quality": quality and {"value": quality.value, "low": quality.low, "high": quality.high},
    }  # fmt: skip


def defined(check: Check) -> str:
    """A digest of what is run; limits and tolerances may change, work may not."""
    work = ("command", "callable", "artifact", "data", "batch_size", "threads")
    kept = {name: value for name, value in asdict(check).items() if name in work}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def read(path: Path) -> dict[str, Any]:
    """A saved baseline; raises InputError for anything else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); save one with `trimwatt check --save FILE`"
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is no baseline ({error}); save one with `trimwatt check --save FILE`") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or not _whole(found):
        raise InputError(
            f"{path} is no baseline of this version, or a cut one; save one with `trimwatt check --save FILE`"
        )
    return found


def _whole(found: Mapping[str, Any]) -> bool:
    """Whether all is there that a comparison reads: a file that was cut or edited may lack it."""
    host, checks = found.get("host"), found.get("checks")
    if not isinstance(host, dict) or not isinstance(checks, dict):
        return False
    return all(
        isinstance(one, dict) and {"defined", "basis"} <= set(one) and _amounts(one.get("spent"))
        and _amounts(one.get("wall_s")) for one in checks.values()
    )  # fmt: skip


def _amounts(values: Any) -> bool:
    """Whether these are numbers above zero."""
    return isinstance(values, list) and all(isinstance(v, float | int) and 0 < v < math.inf for v in values)


def same_host(saved: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Raise InputError that names what differs: a ratio across hosts says nothing of the code."""
    names = (*_SAME, "sensor")
    differ = [
        f"{name} was {saved.get(name)!r}, is {here.get(name)!r}" for name in names if saved.get(name) != here.get(name)
    ]
    if differ:
        raise InputError(
            f"the baseline was saved on another host ({'; '.join(differ)}); save one here, or use --against REV, "
            "which measures both on this host"
        )


def of_check(saved: Mapping[str, Any], check: Check, basis: str) -> Mapping[str, Any]:
    """What the baseline holds of `check`; raises InputError where it holds nothing that compares."""
    found: Mapping[str, Any] | None = saved.get("checks", {}).get(check.name)
    if found is None:
        raise InputError(f"the baseline knows no check {check.name!r}; save it again")
    if found["defined"] != defined(check):
        raise InputError(f"the baseline of {check.name!r} ran something else; save it again")
    if found["basis"] != basis:
        raise InputError(f"the baseline of {check.name!r} counts {found['basis']}, this run {basis}; save it again")
    if found.get("uncounted"):
        raise InputError(f"the baseline of {check.name!r} missed processes ({found['uncounted'][0]}); save it again")
    return found


def ratio(now: tuple[float, ...], then: list[float]) -> Interval:
    """Now over then, of unpaired blocks at the level of the paired rule, as wide at least as sittings differ."""
    if min(len(now), len(then)) < unpaired.LEAST_RUNS:
        raise InputError(f"a baseline needs at least {unpaired.LEAST_RUNS} blocks, got {len(then)}; save it again")
    sides = [np.log(now), np.log(then)]
    reaches = [grouped(side, np.arange(len(side)) // SITTING, 0.98) for side in sides]
    found = unpaired.yuen_welch(sides[0], sides[1], 0.98)
    return found.at_least(math.hypot(*(reach or 0.0 for reach in reaches))).exp()


def answers(found: Mapping[str, Any]) -> Answers | None:
    """The quality that was saved."""
    kept = found.get("quality")
    return None if kept is None else Answers(kept["value"], kept.get("low"), kept.get("high"))
