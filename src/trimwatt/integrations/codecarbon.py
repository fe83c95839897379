"""CodeCarbon's emissions.csv: read as readings, and written so that its dashboards go on working."""

from __future__ import annotations

import csv
import io
import math
import os
import platform
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from trimwatt.energy import Energy, Reading, total
from trimwatt.errors import InputError
from trimwatt.integrations._codecarbon_columns import COLUMNS, NEEDED, PARTS
from trimwatt.integrations._logs import LoggedRun, guessed, text

_J_PER_KWH = 3.6e6
# The file never says whether a figure was read or guessed. On the same minute, meters that guess answer 8.5 to 9.5
# times apart, a factor of 3.1 either way; where it reads counters CodeCarbon gives 0.68 to 0.80 of the plug's figure
# (medians of 318 runs, arXiv 2509.22092), which lies within that.
_FACTOR = 3.1
# in each unit of the file more than mankind will use, and few enough that factors and sums stay finite
_MOST = 1e30
_KIND = "an emissions.csv written by CodeCarbon 1 to 3"
_OWN = "energy in kWh and emissions in kg, as columns energy_consumed and emissions"

Row = dict[str, str]


def read(path: str | Path) -> list[Reading]:
    """The readings of an emissions.csv, one a run; see `runs`."""
    return [run.reading for run in runs(path)]


def runs(path: str | Path) -> list[LoggedRun]:
    """The runs of an emissions.csv with their project, start and grams of CO2e.

    Kilowatt hours become joules, without the PUE that was multiplied in; kilograms become grams. All is labelled
    estimated, with an interval of a factor of 3.1 either way: the file cannot say more. A run that was tracked as a
    process has `process` and no `energy`. Snapshots of one run (same run_id, growing) count once. Raises InputError
    for a file that is something else, or whose rows have lost columns.
    """
    path = Path(path)
    latest: dict[str, tuple[Row, int]] = {}
    for number, row in enumerate(_rows(path, text(path, _KIND)), start=2):
        key = row.get("run_id") or f"row {number}"
        before, seen = latest.get(key, (None, 0))
        if before is not None and not _grows(before, row, path, number):
            key = f"{key} row {number}"
            seen = 0
        latest[key] = (row, seen + 1)
    return [_run(row, seen, path) for row, seen in latest.values()]


def _rows(path: Path, content: str) -> list[Row]:
    try:
        lines = list(csv.reader(io.StringIO(content)))
    except csv.Error as error:
        raise InputError(f"{path} is no CSV file ({error}); name {_KIND}") from error
    header = lines[0] if lines else []
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; it must hold {_OWN}: name {_KIND}")
    for number, line in enumerate(lines[1:], start=2):
        if line and len(line) != len(header):
            raise InputError(
                f"{path} line {number} has {len(line)} values for {len(header)} columns (CodeCarbon leaves out what is "
                "empty when it appends), so that none can be told from its neighbour; remove or mend that line"
            )
    return [dict(zip(header, line, strict=True)) for line in lines[1:] if line]


def _grows(before: Row, after: Row, path: Path, number: int) -> bool:
    """Whether `after` is a later snapshot of the run that `before` shows, and holds it."""
    names = ("duration", "energy_consumed")
    return all((_number(before, n, path, number) or 0) <= (_number(after, n, path, number) or 0) for n in names)


def _number(row: Row, name: str, path: Path, line: int | None = None) -> float | None:
    """A value, or None where it is empty; raises InputError for text and for what is below zero."""
    written = row.get(name, "").strip()
    if written.lower() in ("", "nan", "none"):
        return None
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _MOST:
        where = f"line {line}" if line else f"run {row.get('run_id', row['timestamp'])}"
        allowed = f"a number from 0 to {_MOST:g}"
        raise InputError(f"{path} {where}: {name} is {written!r}, not {allowed}; mend or remove that line")
    return value


def _run(row: Row, snapshots: int, path: Path) -> LoggedRun:
    pue = _number(row, "pue", path) or 1.0
    if pue < 1:
        raise InputError(f"{path}: a PUE of {pue:g} is below 1, which no building has; mend or remove that line")
    consumed = _number(row, "energy_consumed", path)
    energy = None if consumed is None else guessed(consumed * _J_PER_KWH / pue, _FACTOR)
    as_process = row.get("tracking_mode") == "process"
    reading = Reading(
        energy=None if as_process else energy,
        process=energy if as_process else None,
        domains=_domains(row, pue, path),
        duration_s=_number(row, "duration", path) or 0.0,
        cpu_s=math.nan,
        warnings=tuple(_warnings(row, pue, snapshots, as_process)),
    )
    emissions = _number(row, "emissions", path)
    grams = None if emissions is None else emissions * 1000
    return LoggedRun(reading, row["project_name"], row["timestamp"], grams)


def _domains(row: Row, pue: float, path: Path) -> dict[str, Energy]:
    """The parts that the row has; a GPU that is not there, or has no counter, is no domain."""
    found = {}
    for column, domain in PARTS.items():
        value = _number(row, column, path)
        if value is not None and (value > 0 or domain != "gpu"):
            found[domain] = guessed(value * _J_PER_KWH / pue, _FACTOR)
    return found


def _warnings(row: Row, pue: float, snapshots: int, as_process: bool) -> list[str]:
    notes = ["read from CodeCarbon's log, which does not say whether it measured or guessed"]
    if snapshots > 1:
        notes.append(f"{snapshots} snapshots of one run: the last, which holds the others, is taken")
    if pue != 1:
        notes.append(f"a PUE of {pue:g} was taken out")
    if as_process:
        notes.append("tracked as a process; with counters CodeCarbon books the whole machine's CPU there all the same")
    gpus = row.get("gpu_count", "").strip()
    if gpus not in ("", "0", "0.0", "nan") and float(row.get("gpu_energy") or 0) == 0:
        notes.append(f"{gpus} GPU counted and no energy of it: taken as unknown")
    return notes


def write(
    readings: Iterable[Reading | LoggedRun],
    path: str | Path,
    *,
    project: str = "trimwatt",
    grams_per_kwh: float | None = None,
) -> Path:
    """Append readings to an emissions.csv with the 38 columns of CodeCarbon 3.3, one row a reading.

    The machine's energy is written, the process's (as tracking_mode process) where that alone is known; what is not
    known stays empty, and intervals and origins have no column. grams_per_kwh: the grid's intensity, for the columns
    of emissions; without it they stay empty. Raises InputError for a file with other columns and for unknown energy.
    """
    path = Path(path)
    fresh = not path.exists() or path.stat().st_size == 0
    if not fresh:
        _same_columns(path)
    stamped = [_to_row(item, project, grams_per_kwh) for item in readings]
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(stamped)
    return path


def _same_columns(path: Path) -> None:
    content = text(path, "another file to write to")
    if next(csv.reader(io.StringIO(content)), []) != list(COLUMNS):
        raise InputError(f"{path} has other columns than the {len(COLUMNS)} of CodeCarbon 3.3; name another file")
    if not content.endswith("\n"):
        raise InputError(f"{path} ends in the middle of a line; mend it or name another file")


def _to_row(item: Reading | LoggedRun, project: str, grams_per_kwh: float | None) -> dict[str, object]:
    run = item if isinstance(item, LoggedRun) else LoggedRun(item)
    reading = run.reading
    energy, mode = (reading.energy, "machine") if reading.energy else (reading.process, "process")
    if energy is None:
        raise InputError("a reading without energy cannot be written to emissions.csv; leave it out")
    kwh = energy.joules / _J_PER_KWH
    grams = run.grams_co2e if grams_per_kwh is None else kwh * grams_per_kwh
    return {
        "timestamp": run.started or datetime.now().replace(microsecond=0).isoformat(),
        "project_name": run.project or project, "run_id": str(uuid.uuid4()), "experiment_id": str(uuid.UUID(int=0)),
        "duration": reading.duration_s, "energy_consumed": kwh, "tracking_mode": mode, "on_cloud": "N", "pue": 1.0,
        **_emissions(grams, reading.duration_s), **_parts(reading),
        "os": platform.platform(), "python_version": platform.python_version(), "cpu_count": os.cpu_count() or "",
    }  # fmt: skip


def _emissions(grams: float | None, duration_s: float) -> dict[str, object]:
    if grams is None:
        return {}
    return {"emissions": grams / 1000, **({"emissions_rate": grams / 1000 / duration_s} if duration_s > 0 else {})}


def _parts(reading: Reading) -> dict[str, object]:
    """Energy in kWh and mean power in watts of each part that is known."""
    kinds = {"cpu": ("cpu", "package"), "gpu": ("gpu",), "ram": ("dram", "memory")}
    found: dict[str, object] = {}
    for part, starts in kinds.items():
        whole = total([e for name, e in reading.domains.items() if name.startswith(starts)])
        if whole is not None:
            found[f"{part}_energy"] = whole.joules / _J_PER_KWH
            if reading.duration_s > 0:
                found[f"{part}_power"] = whole.joules / reading.duration_s
    return found
