"""Accelerators without a readable sensor: a labelled estimate from a table of watts, or a warning where that is empty.

A TPU in a cloud machine shows no power. It is taken to draw between its idle power and its rated power all the while:
nobody outside can see how busy it is. AMD GPUs are measured where their driver shows power. What is there and is in no
table stays absent, and is said: it is never zero. Tested on a stand-in tree; not run on real hardware.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trimwatt.energy import Energy
from trimwatt.meter._base import Mark, Probe
from trimwatt.meter.powercap import read_int
from trimwatt.meter.sampled import SampledMeter, SampledState

_AMD = "0x1002"
_INTEL = "0x8086"
_EVERY_S = 0.1
# amdgpu states none; a judgement, as for NVIDIA's sensors
_ACCURACY = 0.05
# of the rated power: idle chips take a tenth to a fifth, busy ones half to all of it; a judgement
_LOW, _LIKELY, _HIGH = 0.15, 0.5, 1.1


@dataclass(frozen=True)
class Rated:
    """Watts of a chip at full load. source: who published it, with the year. spread: between publications of one chip,
    as a factor."""

    watts: float
    source: str
    spread: float = 1.0


# names as TPU_ACCELERATOR_TYPE gives them, up to the dash
TPUS = {
    "v2": Rated(249, "mlco2/impact 2019-2026 (221 W; MIT) and Green Algorithms 3.0 (280 W; CC BY 4.0)", 1.13),
    "v3": Rated(251, "mlco2/impact 2019-2026 (283 W; MIT) and Green Algorithms 3.0 (220 W; CC BY 4.0)", 1.14),
    "v4": Rated(170, "Green Algorithms 3.0 (CC BY 4.0)", 1.15),
}


@dataclass(frozen=True)
class Chip:
    """An accelerator that was found. rated: None where no table has it; file: its power in microwatts, if any."""

    domain: str
    kind: str
    rated: Rated | None = None
    file: Path | None = None

    def watts(self) -> float | None:
        """Power now, None where there is no sensor to read."""
        microwatts = None if self.file is None else read_int(self.file)
        return None if microwatts is None else microwatts / 1e6


@dataclass(frozen=True)
class State:
    """What the sampled chips said, and CPU seconds of the whole machine."""

    samples: SampledState
    busy_s: float | None


def find(root: Path = Path("/"), environment: Mapping[str, str] | None = None) -> tuple[Chip, ...]:
    """Accelerators other than NVIDIA's, as the system's files and a cloud's environment tell of them."""
    env = os.environ if environment is None else environment
    chips = [*_tpus(root, env), *_cards(root), *_habana(root)]
    # numbers after 100, so that they never meet NVIDIA's
    return tuple(replace(chip, domain=f"gpu-{100 + i}") for i, chip in enumerate(chips))


def _tpus(root: Path, env: Mapping[str, str]) -> list[Chip]:
    named = env.get("TPU_ACCELERATOR_TYPE", "")
    devices = [d for d in _listed(root / "dev", "accel[0-9]*") if (root / "sys/class/accel" / d.name).exists() or named]
    vfio = _listed(root / "dev/vfio", "[0-9]*") if named else []
    count = len(devices or vfio) or int(bool(env.get("TPU_NAME") or named))
    if not count or not (named or env.get("TPU_NAME") or _is_google(root)):
        return []
    version = re.sub(r"^(v\d+\w*?)(pod|litepod)?-.*$", r"\1", named)
    kind = f"TPU {named}" if named else "TPU of an unknown version"
    return [Chip("", kind, TPUS.get(version)) for _ in range(count)]


def _is_google(root: Path) -> bool:
    return any(_text(d / "device/vendor") == "0x1ae0" for d in _listed(root / "sys/class/accel", "accel[0-9]*"))


def _cards(root: Path) -> list[Chip]:
    """GPUs of AMD, and Intel's that have a power file; an Intel GPU without one sits in its processor."""
    chips = []
    for card in _listed(root / "sys/class/drm", "card[0-9]*"):
        vendor = _text(card / "device/vendor")
        if "-" in card.name or vendor not in (_AMD, _INTEL):
            continue
        files = [f for n in ("power1_average", "power1_input") for f in _listed(card / "device/hwmon", f"hwmon*/{n}")]
        if vendor == _AMD:
            chips.append(Chip("", f"AMD GPU {card.name}", file=files[0] if files else None))
        elif files:
            chips.append(Chip("", f"Intel GPU {card.name}", file=files[0]))
    return chips


def _habana(root: Path) -> list[Chip]:
    return [
        Chip("", f"Gaudi accelerator {d.name}")
        for d in _listed(root / "sys/class/accel", "accel[0-9]*")
        if _text(d / "device/vendor") == "0x1da3"
    ]


def _listed(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


class AcceleratorMeter:
    """Measures chips that show their power, estimates those in the table. closed: domains of which nothing is known."""

    name = "accelerators"

    def __init__(self, chips: tuple[Chip, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self.chips = chips
        measured = {c.domain: partial(_watts, c) for c in chips if c.watts() is not None}
        self._sampled = SampledMeter(measured, _EVERY_S, _ACCURACY, "accelerators", clock)
        self._rated = {c.domain: c.rated for c in chips if c.rated is not None and c.domain not in measured}
        self.zones = tuple(c for c in chips if c.domain in measured or c.domain in self._rated)
        self.closed = tuple(c.domain for c in chips if c not in self.zones)
        self.resolution_s = self._sampled.resolution_s if measured else 0.0

    @property
    def origin(self) -> str:
        """measured | estimated | mixed"""
        if not self._rated:
            return "measured"
        return "mixed" if self._sampled.domains else "estimated"

    def mark(self) -> Mark:
        """Now, with every sensor's sample."""
        mark = self._sampled.mark()
        return Mark(mark.time_s, mark.cpu_s, State(mark.state, mark.state.busy_s))

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """Each chip that was measured or is in the table."""
        duration_s = max(0.0, b.time_s - a.time_s)
        domains = self._sampled.between(*_inner(a, b))
        return domains | {d: _estimate(rated, duration_s) for d, rated in self._rated.items()}

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """What is estimated and from what, and what is there and cannot even be estimated."""
        kinds = {c.domain: c.kind for c in self.chips}
        said = [
            f"{d} ({kinds[d]}) is estimated at {_LOW:.0%} to {_HIGH:.0%} of {r.watts:g} W ({r.source}): it shows none"
            for d, r in self._rated.items()
        ]
        said += [f"{d} ({kinds[d]}) is there and its power is not known: its energy is missing" for d in self.closed]
        return (*self._sampled.warnings(*_inner(a, b)), *said)


def _inner(a: Mark, b: Mark) -> tuple[Mark, Mark]:
    return replace(a, state=a.state.samples), replace(b, state=b.state.samples)


def _watts(chip: Chip) -> float | None:
    return chip.watts()


def _estimate(rated: Rated, duration_s: float) -> Energy:
    whole = rated.watts * duration_s
    return Energy(whole * _LIKELY, whole * _LOW / rated.spread, whole * _HIGH * rated.spread, "estimated")


def open_meter(root: Path = Path("/")) -> AcceleratorMeter | None:
    """A meter of the accelerators beside NVIDIA's; None where there is none."""
    chips = find(root)
    return AcceleratorMeter(chips) if chips else None


def probe(root: Path = Path("/")) -> tuple[Probe, ...]:
    """What was found, a row a chip; none where there is none."""
    return tuple(_probe(chip) for chip in find(root))


def _probe(chip: Chip) -> Probe:
    sensor, path = f"accelerator:{chip.domain}", str(chip.file or "")
    if chip.watts() is not None:
        return Probe(sensor, path, "ready", f"{chip.kind}: power, read every {_EVERY_S:g} s")
    if chip.file is not None:
        return Probe(
            sensor, path, "closed", f"{chip.kind}: its power file cannot be read", f"sudo chmod a+r {chip.file}"
        )
    if chip.rated is not None:
        return Probe(
            sensor, path, "untested", f"{chip.kind}: estimated from {chip.rated.watts:g} W, {chip.rated.source}"
        )
    return Probe(
        sensor, path, "closed", f"{chip.kind}: it shows no power and is in no table; its energy will be missing"
    )
