"""The powercap tree: which zones there are, and what their counters say."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

DEFAULT = "/sys/class/powercap"
_ZONE = re.compile(r"([a-z][a-z0-9-]*?)((?::\d+)+)")


@dataclass(frozen=True)
class Zone:
    """One counter. domain: its name in a reading. socket: index of its package. range_uj: where it wraps, microjoules.

    Domains: "package-0", "package-0-die-1", "dram-0", "core-0", "uncore-0", "psys"; those of a second control type
    carry its name ("intel-rapl-mmio:package-0"), since it shows the same packages again.
    """

    domain: str
    file: Path
    socket: int | None
    range_uj: int | None

    def read(self, tries: int = 1) -> int | None:
        """The raw counter in microjoules, None where it cannot be read. tries: how often an empty file is looked at."""
        for attempt in range(tries):
            if attempt:
                time.sleep(0.0005)
            try:
                text = contents(self.file)
            except OSError:
                return None
            if text.strip():
                return _int(text)
        return None


def contents(file: Path) -> bytes:
    """The first bytes of a small file; half the time of Path.read_text, which every mark pays for every zone."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        return os.read(descriptor, 64)
    finally:
        os.close(descriptor)


def root() -> Path:
    """Where the tree is: TRIMWATT_POWERCAP, or the kernel's place."""
    return Path(os.environ.get("TRIMWATT_POWERCAP") or DEFAULT)


def read_int(file: Path) -> int | None:
    """The whole number in a file, None where it cannot be read or holds none."""
    try:
        return _int(file.read_text())
    except (OSError, ValueError):
        return None


def _int(text: str | bytes) -> int | None:
    try:
        value = int(text)
    except ValueError:
        return None
    return value if value >= 0 else None


def zones(folder: Path) -> list[Zone]:
    """Every zone with an energy counter below `folder`, readable or not, in order of the tree."""
    found = {entry.name: entry for entry in _entries(folder, 4)}
    names = {key: _text(entry / "name") for key, entry in found.items()}
    made = [_zone(key, found[key], names) for key in sorted(found, key=_order)]
    return _told_apart([zone for zone in made if zone is not None])


def _told_apart(zones: list[Zone]) -> list[Zone]:
    """The same zones; a name that comes twice gets a number, and deltas then tell whether it is one counter."""
    told: dict[str, Zone] = {}
    for zone in zones:
        domain, n = zone.domain, 1
        while domain in told:
            domain, n = f"{zone.domain}@{n}", n + 1
        told[domain] = replace(zone, domain=domain)
    return list(told.values())


def _entries(folder: Path, depth: int) -> Iterator[Path]:
    """Zone folders at `folder` and inside its real folders: links within zones (`subsystem`) lead back up."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if _ZONE.fullmatch(entry.name):
            yield entry
        if depth and entry.is_dir() and not entry.is_symlink():
            yield from _entries(entry, depth - 1)


def _order(key: str) -> tuple[bool, str, list[int]]:
    control, _, numbers = key.partition(":")
    return control != "intel-rapl", control, [int(n) for n in numbers.split(":")]


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _zone(key: str, entry: Path, names: dict[str, str]) -> Zone | None:
    name = names[key]
    # a listing, not a look at the counter: that may be closed to us
    if not name or not (entry / "energy_uj").exists():
        return None
    package = name if name.startswith("package") else names.get(key.rpartition(":")[0], "")
    number = re.search(r"\d+", package)
    suffix = package.partition("-")[2]
    domain = name if name.startswith(("package", "psys")) or not suffix else f"{name}-{suffix}"
    control = key.partition(":")[0]
    domain = domain if control == "intel-rapl" else f"{control}:{domain}"
    return Zone(
        domain, entry / "energy_uj", int(number[0]) if number else None, read_int(entry / "max_energy_range_uj")
    )
