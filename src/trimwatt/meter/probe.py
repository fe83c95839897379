"""Every place where a sensor may be found, as `trimwatt doctor` lists them."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from trimwatt.meter._base import Probe

_FILES = ("rapl", "perf", "nvml", "hwmon", "battery")


@dataclass(frozen=True)
class Place:
    """A probe, and who may read its file. mode: as `ls` shows it, "" where there is no file; owner, group: names."""

    probe: Probe
    mode: str = ""
    owner: str = ""
    group: str = ""


def sensors(log: str | None = None) -> tuple[Place, ...]:
    """What each sensor's look found, one that breaks included. log: a power log to look at as well."""
    found = [place for name in _FILES for place in _look(name)]
    if log is not None:
        from trimwatt.meter import trace

        found += [seen(p) for p in trace.probe(log)]
    return (*found, *_plugins())


def _look(name: str) -> list[Place]:
    try:
        return [seen(probe) for probe in import_module(f"trimwatt.meter.{name}").probe()]
    except Exception as error:  # a broken driver, whatever it raises, is a finding and not the end
        return [Place(Probe(name, "", "closed", f"looking for it failed: {type(error).__name__}: {error}"))]


def _plugins() -> list[Place]:
    points = entry_points(group="trimwatt.sensors")
    return [Place(Probe(p.name, p.value, "untested", "a sensor of another package", "")) for p in points]


def seen(probe: Probe) -> Place:
    """The probe with the mode and owner of its file."""
    try:
        status = Path(probe.path).stat() if probe.path else None
    except (OSError, ValueError):
        status = None
    if status is None or stat.S_ISDIR(status.st_mode):
        return Place(probe)
    return Place(probe, stat.filemode(status.st_mode), *_names(status.st_uid, status.st_gid))


def _names(uid: int, gid: int) -> tuple[str, str]:
    try:
        import grp
        import pwd
    except ImportError:
        return str(uid), str(gid)
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = str(uid)
    try:
        return owner, grp.getgrgid(gid).gr_name
    except KeyError:
        return owner, str(gid)
