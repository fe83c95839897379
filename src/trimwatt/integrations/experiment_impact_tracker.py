"""Logs of Experiment Impact Tracker, as a reading."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from trimwatt.energy import Energy, Reading, total
from trimwatt.errors import InputError
from trimwatt.integrations._logs import LoggedRun, text

_KIND = "the folder that was given to ImpactTracker, or its impacttracker/data.json"
# watts of the whole machine and of the process tree, by the domain they are of
_MACHINE = {"cpu": "rapl_power_draw_absolute", "gpu": "nvidia_draw_absolute"}
_PROCESS = ("rapl_estimated_attributable_power_draw", "nvidia_estimated_attributable_power_draw")

# more watts, or seconds of a process, than there are; sums of such numbers stay finite
_MOST = 1e30
_YEAR_9999_S, _DAY_S = 253_370_764_800.0, 86_400.0

Sample = dict[str, Any]


def read(path: str | Path) -> list[Reading]:
    """The reading of one log folder, as a list of one; see `run`."""
    return [run(path).reading]


def run(path: str | Path) -> LoggedRun:
    """One run out of its log folder: samples of power, integrated over time.

    Only `data.json` is read (a line of JSON a sample); `info.pkl` beside it is a pickle and is left alone, so that the
    time before the first and after the last sample is missing. The estimate joins the samples by straight lines, its
    interval takes the lower or the higher of each two neighbours. A line that was cut off is left out and said.
    Raises InputError where there are fewer than two samples with power.
    """
    file = _file(Path(path))
    samples, lost = _samples(text(file, _KIND))
    domains = {d: e for d, e in ((d, _integral(samples, key)) for d, key in _MACHINE.items()) if e is not None}
    machine = total(list(domains.values()))
    process = total([e for e in (_integral(samples, key) for key in _PROCESS) if e is not None])
    if machine is None and process is None:
        raise InputError(f"{file} holds {len(samples)} samples and no two with power; name {_KIND}")
    times = [s["timestamp"] for s in samples]
    reading = Reading(
        energy=machine, process=process, domains=domains, duration_s=times[-1] - times[0],
        cpu_s=_cpu_s(samples), warnings=tuple(_warnings(samples, lost)),
    )  # fmt: skip
    return LoggedRun(reading, file.parent.parent.name, datetime.fromtimestamp(times[0], UTC).isoformat())


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    places = [path / "impacttracker" / "data.json", path / "data.json"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(f"{path} holds no impacttracker/data.json; name {_KIND}")
    return found


def _samples(content: str) -> tuple[list[Sample], int]:
    """Samples in the order of their time, and how many lines were no samples."""
    found, lost = [], 0
    for line in filter(str.strip, content.splitlines()):
        try:
            sample = json.loads(line)
        except (ValueError, RecursionError):
            sample = None
        if isinstance(sample, dict) and (_watts(sample, "timestamp") or _MOST) < _YEAR_9999_S:
            found.append(sample)
        else:
            lost += 1
    return sorted(found, key=lambda sample: float(sample["timestamp"])), lost


def _watts(sample: Sample, key: str) -> float | None:
    """A number from 0 to what can be, or None."""
    value = sample.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MOST else None


def _integral(samples: Sequence[Sample], key: str) -> Energy | None:
    """Joules between the first and the last sample that has `key`; None of fewer than two."""
    points = [(s["timestamp"], w) for s in samples if (w := _watts(s, key)) is not None]
    if len(points) < 2:
        return None
    low = middle = high = 0.0
    for (t0, p0), (t1, p1) in pairwise(points):
        if t1 - t0 > _DAY_S:
            raise InputError(
                f"two samples are {t1 - t0:,.0f} s apart, and nothing says what was drawn between; name {_KIND}"
            )
        low += (t1 - t0) * min(p0, p1)
        middle += (t1 - t0) * (p0 + p1) / 2
        high += (t1 - t0) * max(p0, p1)
    return Energy(middle, min(low, middle), max(high, middle), "estimated")


def _cpu_s(samples: Sequence[Sample]) -> float:
    """CPU seconds by the last word on each process; nan where there is none."""
    last: dict[str, float] = {}
    for sample in samples:
        told = sample.get("cpu_time_seconds")
        for pid, times in (told if isinstance(told, dict) else {}).items():
            if isinstance(times, dict):
                last[pid] = sum(_watts(times, name) or 0.0 for name in ("user", "system"))
    return sum(last.values()) if last else math.nan


def _warnings(samples: Sequence[Sample], lost: int) -> list[str]:
    notes = ["read from Experiment Impact Tracker's samples; what was drawn between them is a guess"]
    if lost:
        notes.append(f"{lost} of {lost + len(samples)} lines are not samples and were left out")
    keys = (*_MACHINE.values(), *_PROCESS)
    for key in keys:
        having = sum(_watts(s, key) is not None for s in samples)
        if 0 < having < len(samples):
            notes.append(f"{key} is in {having} of {len(samples)} samples")
    return notes
