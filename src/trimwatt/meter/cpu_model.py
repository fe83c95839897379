"""Energy estimated from CPU time, where no sensor can be read.

    E = k * [p_idle * n * T + (p_max - p_idle) * C] * U + p_mem * max(0, M - g * n) * T

T: wall seconds. C: CPU seconds. n: hardware threads of the machine. M: memory in GB, g of it a thread already inside
the watts. p_idle, p_max: watts a thread of the whole server at the wall (`cpu_table`). The result is the machine's
energy before the building's overhead. k, U and p_mem are priors, stated in every record; they cancel in a ratio of
two models on one machine.
"""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from trimwatt.energy import Energy
from trimwatt.meter import calibration, cpu_table, usage
from trimwatt.meter._base import Mark
from trimwatt.meter.calibration import Calibration
from trimwatt.meter.cpu_table import Coefficients, Processor

# SPEC results are tuned machines; a judgement (1.0 to 1.5), not measured
_UPLIFT = 1.25
# 5 W a 64 GB module to Cloud Carbon Footprint's 0.392 (0.08 to 0.39)
_MEMORY_W_PER_GB = 0.24
# a CPU of a virtual machine that is a whole core draws about 1.75 threads' worth (1.5 to 2.0)
_WHOLE_CORE = 1.75
_THREAD_OR_CORE = 1.3
_FACTORS = {"known part": (0.65, 1.45), "known family": (0.55, 1.9), "unknown": (0.33, 3.0)}


@dataclass(frozen=True)
class CpuModel:
    """A meter that reads CPU time and knows watts. `known`: "known part", "known family", "unknown" or "calibrated".

    core_factor: k. threads: n. memory_gb: M, None where the system does not tell. All its figures are `estimated`, with
    the factors of 95 % that `known` deserves. calibration: what was fitted on this machine, in place of the priors.
    note: what a reader must know of a calibration that is not used.
    """

    coefficients: Coefficients
    known: str = "unknown"
    core_factor: float = 1.0
    threads: int = 1
    memory_gb: float | None = None
    name: str = "cpu-model"
    origin: str = "estimated"
    calibration: Calibration | None = None
    note: str = ""

    def mark(self) -> Mark:
        """Now; `state` is the CPU seconds of the whole machine."""
        return Mark(time.monotonic(), usage.tree_cpu_s(), usage.machine_busy_s())

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """The machine's energy: `cpu`, and `memory` where there is more than the processor's watts include."""
        duration_s = max(0.0, b.time_s - a.time_s)
        own_s = max(0.0, b.cpu_s - a.cpu_s)
        told_s = own_s if a.state is None or b.state is None else b.state - a.state
        work = self.dynamic_energy(1.0).times(*self._busy(own_s, told_s, duration_s))
        domains = {"cpu": self._idle_cpu(duration_s) + work}
        if self.memory_w:
            domains["memory"] = self.interval(self.memory_w * duration_s)
        return domains

    def _busy(self, own_s: float, told_s: float, duration_s: float) -> tuple[float, float, float]:
        """CPU seconds of the machine, likely, at least and at most: it tells them in ticks, a process's exactly."""
        likely, doubt = max(own_s, told_s), usage.TICK_S * self.threads
        least = max(own_s, min(likely, told_s - doubt))
        return likely, least, max(likely, min(told_s + doubt, self.threads * duration_s))

    @property
    def uplift(self) -> float:
        """U: none of it in watts that were fitted on this machine."""
        return _UPLIFT if self.calibration is None else 1.0

    @property
    def joules_per_cpu_s(self) -> float:
        """Dynamic joules of one CPU second."""
        c = self.coefficients
        return self.core_factor * (c.max_w - c.idle_w) * self.uplift

    @property
    def idle_w_per_thread(self) -> float:
        """Watts of one idle hardware thread, memory aside."""
        return self.core_factor * self.coefficients.idle_w * self.uplift

    @property
    def memory_w(self) -> float:
        """Watts of the memory that the processor's figures do not include; 0 where they include all of it."""
        inside = self.coefficients.gb_per_thread * self.threads
        return _MEMORY_W_PER_GB * max(0.0, self.memory_gb - inside) if self.memory_gb else 0.0

    def interval(self, joules: float) -> Energy:
        """`joules` with the 95 % interval of what is known of this processor."""
        low, high = self.factors
        return Energy(joules, joules * low, joules * high, "estimated")

    @property
    def factors(self) -> tuple[float, float]:
        """What an estimate may be multiplied by, either way; for a calibrated machine the wider of its two terms."""
        if self.calibration is None:
            return _FACTORS[self.known]
        idle, work = self.calibration.idle_factors, self.calibration.dynamic_factors
        return min(idle[0], work[0]), max(idle[1], work[1])

    def dynamic_energy(self, cpu_s: float) -> Energy:
        """What `cpu_s` CPU seconds add to an idle machine."""
        joules = self.joules_per_cpu_s * cpu_s
        low, high = self.calibration.dynamic_factors if self.calibration else self.factors
        return Energy(joules, joules * low, joules * high, "estimated")

    def idle_energy(self, duration_s: float, threads: float, memory: float | None = None) -> Energy:
        """What `threads` of the machine and a share of its memory take in `duration_s` seconds without work.

        memory: that share, in [0, 1]; None takes the threads'.
        """
        share = threads / self.threads if memory is None else memory
        watts = self.idle_w_per_thread * threads + self.memory_w * share
        return self._idle(watts * duration_s)

    def _idle(self, joules: float) -> Energy:
        low, high = self.calibration.idle_factors if self.calibration else self.factors
        return Energy(joules, joules * low, joules * high, "estimated")

    def _idle_cpu(self, duration_s: float) -> Energy:
        return self._idle(self.idle_w_per_thread * self.threads * duration_s)

    def describe(self) -> dict[str, str]:
        """What the estimate stands on, for reports."""
        c = self.coefficients
        low, high = self.factors
        if self.calibration is not None:
            return {
                "processor": c.label,
                "calibration": str(self.calibration),
                "95 % interval": f"x{low:.2g} to x{high:.2g}",
            }
        return {
            "processor": f"{c.label} ({self.known}; {c.n} results of {cpu_table.SOURCE})",
            "watts a thread": f"{c.idle_w:g} idle, {c.max_w:g} busy",
            "priors": f"core factor {self.core_factor:g}, uplift {_UPLIFT:g}, memory {_MEMORY_W_PER_GB:g} W/GB",
            "95 % interval": f"x{low:g} to x{high:g}",
        }

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """That this is an estimate, and from what."""
        c = self.coefficients
        if self.calibration is not None:
            return (f"estimated from CPU time: {self.calibration}",)
        low, high = self.factors
        notes = (self.note,) if self.note else ()
        return (
            *notes,
            f"estimated from CPU time, no sensor is readable: {c.label} ({self.known}, {c.n} results of"
            f" {cpu_table.SOURCE}), {c.idle_w:g} W idle and {c.max_w:g} W busy a thread; priors:"
            f" core factor {self.core_factor:g}, uplift {_UPLIFT:g}, memory {_MEMORY_W_PER_GB:g} W/GB;"
            f" 95 % interval x{low:g} to x{high:g}",
        )


@lru_cache(maxsize=1)
def detect() -> CpuModel:
    """The model of this machine: calibrated, where it was and that is not older than a year."""
    model = build(processor(), _core_factor(), usage.machine_threads(), usage.machine_memory_gb())
    found, note = calibration.find(machine(), calibration.path())
    return replace(model, note=note) if found is None else calibrated(model, found)


def machine() -> dict[str, Any]:
    """What tells this machine from others."""
    p = processor()
    numbers = "-".join("" if n is None else str(n) for n in (p.family, p.model, p.stepping))
    return calibration.fingerprint(f"{p.brand} {numbers}", usage.machine_threads(), usage.machine_memory_gb())


def calibrated(model: CpuModel, found: Calibration) -> CpuModel:
    """The model with a machine's own watts in place of the table's and of every prior."""
    idle_w = found.idle_w.value / model.threads
    max_w = idle_w + found.joules_per_cpu_s.value
    label = f"{processor().brand or 'this machine'}, calibrated"
    own = Coefficients(label, "", idle_w, (idle_w, idle_w), max_w, (max_w, max_w), 0.0, found.windows)
    # memory is inside what was fitted, as far as the trusted reading saw it
    return CpuModel(own, "calibrated", 1.0, model.threads, None, calibration=found)


def build(found: Processor, core_factor: float, threads: int, memory_gb: float | None) -> CpuModel:
    """The model of a machine with this processor. Where k is a guess, even a known part is no more than a family."""
    part, family = cpu_table.part(found), cpu_table.family(found)
    if part and core_factor != _THREAD_OR_CORE:
        return CpuModel(part, "known part", core_factor, threads, memory_gb)
    if part or family:
        return CpuModel(part or family or cpu_table.UNKNOWN, "known family", core_factor, threads, memory_gb)
    return CpuModel(cpu_table.UNKNOWN, "unknown", core_factor, threads, memory_gb)


def _cpuinfo() -> dict[str, str]:
    """The first processor's entries of /proc/cpuinfo, empty elsewhere."""
    try:
        with open("/proc/cpuinfo") as file:
            text = file.read(8192).split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None


def processor() -> Processor:
    """This machine's processor, as far as the system tells."""
    info = _cpuinfo()
    if "CPU implementer" in info:
        return Processor(
            platform.processor(), "ARM", _number(info.get("CPU architecture")), _number(info.get("CPU part"))
        )
    numbers = [_number(info.get(key)) for key in ("cpu family", "model", "stepping")]
    return Processor(info.get("model name") or platform.processor(), info.get("vendor_id", ""), *numbers)


def _core_factor() -> float:
    """k: 1 where a CPU is a hardware thread, 1.75 where it is a core; a virtual machine that shows one thread a core
    may be either."""
    info = _cpuinfo()
    siblings, cores = _number(info.get("siblings")), _number(info.get("cpu cores"))
    if siblings is None or cores is None or siblings > cores:
        return 1.0
    return _THREAD_OR_CORE if "hypervisor" in info.get("flags", "").split() else _WHOLE_CORE
