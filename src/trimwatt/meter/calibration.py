"""What a calibration found of a machine, where it is kept, and whose it is.

One JSON file holds one entry a machine: a home folder may be shared by several. It is written only when asked for.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError

SCHEMA = "trimwatt/calibration/1"
_OLDEST = timedelta(days=366)
# another program with the same CPU time draws otherwise than the load that was fitted: a judgement, not measured
WORKLOAD = (0.8, 1.25)


@dataclass(frozen=True)
class Figure:
    """A fitted figure with its 95 % interval, 0 <= low <= value <= high, value above zero."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (0 <= self.low <= self.value <= self.high < math.inf and self.value > 0):
            raise InputError(f"a calibrated figure lies in its interval, got {self.low} <= {self.value} <= {self.high}")

    @property
    def factors(self) -> tuple[float, float]:
        return self.low / self.value, self.high / self.value


@dataclass(frozen=True)
class Calibration:
    """idle_w: watts of the machine without work. joules_per_cpu_s: what a CPU second adds to that.

    source: the trusted reading ("powercap", "battery", "trace plug.csv"). scope: what that reading covers. date: when,
    in UTC. windows: how many readings were fitted. machine: `fingerprint()` of the machine it was made on.
    """

    idle_w: Figure
    joules_per_cpu_s: Figure
    source: str
    scope: str
    date: str
    windows: int
    machine: Mapping[str, Any]

    @property
    def idle_factors(self) -> tuple[float, float]:
        return self.idle_w.factors

    @property
    def dynamic_factors(self) -> tuple[float, float]:
        """The fit's own error, and that other programs draw otherwise than the load did."""
        low, high = self.joules_per_cpu_s.factors
        return low * WORKLOAD[0], high * WORKLOAD[1]

    def __str__(self) -> str:
        low, high = self.dynamic_factors
        return (
            f"calibrated on this machine to {self.source} ({self.scope}) on {self.date[:10]}: {self.idle_w.value:.3g} W"
            f" idle [{self.idle_w.low:.3g} to {self.idle_w.high:.3g}], {self.joules_per_cpu_s.value:.3g} J a CPU second"
            f" [{self.joules_per_cpu_s.low:.3g} to {self.joules_per_cpu_s.high:.3g}] for the fitted load,"
            f" x{low:.2g} to x{high:.2g} for any other program"
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Raises KeyError, TypeError or ValueError for what is no calibration."""
        datetime.fromisoformat(data["date"])
        return cls(
            Figure(**data["idle_w"]),
            Figure(**data["joules_per_cpu_s"]),
            str(data["source"]),
            str(data["scope"]),
            str(data["date"]),
            int(data["windows"]),
            dict(data["machine"]),
        )


def fingerprint(processor: str, threads: int, memory_gb: float | None, root: Path = Path("/")) -> dict[str, Any]:
    """What tells a machine from others: processor, hardware threads, memory, product, and a digest of its id.

    The id itself is confidential by its manual page, so only a keyed digest of it is kept; "" where there is none.
    """
    machine_id = _text(root / "etc/machine-id") or _text(root / "var/lib/dbus/machine-id")
    digest = hashlib.sha256(f"trimwatt:{machine_id}".encode()).hexdigest()[:16] if machine_id else ""
    return {
        "processor": processor,
        "threads": threads,
        "memory_gb": None if memory_gb is None else round(memory_gb),
        "product": _text(root / "sys/class/dmi/id/product_name"),
        "id": digest,
    }


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def path() -> Path | None:
    """Where calibrations are kept: below XDG_CONFIG_HOME or ~/.config; None where there is no home folder."""
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(configured):
        return Path(configured) / "trimwatt" / "calibration.json"
    try:
        return Path.home() / ".config" / "trimwatt" / "calibration.json"
    except RuntimeError:
        return None


def find(machine: Mapping[str, Any], file: Path | None, now: datetime | None = None) -> tuple[Calibration | None, str]:
    """This machine's calibration in `file`; else None, and why what stands there is not used, "" where nothing does."""
    try:
        entries = _entries(file) if file is not None else []
        kept = [Calibration.from_dict(entry) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return (
            None,
            f"the calibration in {file} cannot be read ({error}); make it again with `trimwatt doctor --calibrate`",
        )
    ours = [c for c in kept if dict(c.machine) == dict(machine)]
    if not ours:
        others = f"{len(kept)} calibration{'s' * (len(kept) > 1)} in {file}, of another machine: not used here"
        return None, others if kept else ""
    age = (now or datetime.now(UTC)) - _utc(ours[-1].date)
    if age > _OLDEST:
        return None, (
            f"the calibration of {ours[-1].date[:10]} is older than a year and not used; make it again with"
            " `trimwatt doctor --calibrate`"
        )
    return ours[-1], ""


def _utc(text: str) -> datetime:
    stamp = datetime.fromisoformat(text)
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _entries(file: Path) -> list[dict[str, Any]]:
    """The machines in a file, none where there is no file. Raises ValueError for anything else."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        return []
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    return list(data["machines"])


def save(found: Calibration, file: Path | None) -> Path:
    """Keep `found` beside other machines' calibrations, in place of this machine's last one.

    Written beside the file and renamed over it. Raises InputError where that cannot be.
    """
    if file is None:
        raise InputError("there is no home folder to keep the calibration in; set XDG_CONFIG_HOME to a folder")
    try:
        others = [e for e in _entries(file) if dict(e.get("machine", {})) != dict(found.machine)]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} cannot be read ({error}); move it away and calibrate again") from error
    text = json.dumps({"schema": SCHEMA, "machines": [*others, asdict(found)]}, indent=2, ensure_ascii=False) + "\n"
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(text, encoding="utf-8")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"the calibration cannot be kept in {file}: {error.strerror or error}; set XDG_CONFIG_HOME to a folder"
            " that can be written"
        ) from error
    return file
