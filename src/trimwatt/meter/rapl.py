"""Energy counters of processors and memory through powercap, Intel's and AMD's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from trimwatt.meter import powercap
from trimwatt.meter._base import Probe
from trimwatt.meter.counter import CounterMeter, State, hidden_uj, step_uj
from trimwatt.meter.powercap import Zone

__all__ = ["RaplMeter", "State", "hidden_uj", "open_meter", "probe", "step_uj"]

# since the PLATYPUS attack (CVE-2020-8694) the kernel keeps these files to root
_FIX = "sudo chmod -R a+r {root}/*/energy_uj"


class RaplMeter(CounterMeter):
    """Reads the powercap zones that can be read: packages, DRAM, and what is shown but not counted (core, uncore, psys,
    mirrored dies, memory-mapped twins)."""

    name = "powercap"


def open_meter(clock: Callable[[], float] = time.monotonic) -> RaplMeter | None:
    """A meter of this machine's counters; None where no package can be read. clock: monotonic seconds."""
    meter = RaplMeter(powercap.zones(powercap.root()), clock)
    return meter if any(_is_package(zone) for zone in meter.zones) else None


def _is_package(zone: Zone) -> bool:
    return zone.domain.rpartition(":")[2].startswith("package")


def probe() -> tuple[Probe, ...]:
    """Every zone of the powercap tree, or that there is none."""
    root = powercap.root()
    found = powercap.zones(root)
    if not found:
        return (Probe("powercap", str(root), "absent", _absent(os.path.isdir(root)), ""),)
    return tuple(_probe(zone, str(root)) for zone in found)


def _absent(has_tree: bool) -> str:
    if not has_tree:
        return "the kernel shows no powercap tree; virtual machines have none, and bare metal needs intel_rapl_msr"
    return "the powercap tree holds no energy counter; the module intel_rapl_msr (AMD too) brings them"


def _probe(zone: Zone, root: str) -> Probe:
    if zone.read() is not None:
        return Probe("powercap", str(zone.file), "ready", zone.domain)
    if not os.access(zone.file, os.R_OK):
        why = f"{zone.domain}: readable by root alone, since power readings can leak secrets (CVE-2020-8694)"
        return Probe("powercap", str(zone.file), "closed", why, _FIX.format(root=root))
    return Probe("powercap", str(zone.file), "closed", f"{zone.domain}: its energy_uj holds no number", "")
