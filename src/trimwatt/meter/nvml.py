"""NVIDIA GPUs: the driver's energy counter, or its power integrated where a GPU has no counter.

Each physical GPU is a domain, gpu-0, gpu-1, ..., whatever CUDA_VISIBLE_DEVICES hides; MIG instances are inside theirs.
The interval of a reading holds the counter's steps, or power's between samples, and the 5 % that NVIDIA states for its
power sensors; some parts' sensors look a quarter of the time only (Yang et al., SC24), which is not in it.
Tested on a stand-in library; not run on real hardware.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from trimwatt.energy import Energy
from trimwatt.meter import _nvml_library, _nvml_share, usage
from trimwatt.meter._base import Mark, Probe
from trimwatt.meter._nvml_edges import SLOWEST_S, Edges, watch
from trimwatt.meter._nvml_library import Library, NvmlError
from trimwatt.meter._nvml_share import Share, Use
from trimwatt.meter._repeat import Repeat, lock
from trimwatt.meter.sampled import Channel, step

T = TypeVar("T")

# NVIDIA's API reference on nvmlDeviceGetPowerUsage
_ACCURACY = 0.05
_SAMPLE_S = 0.05
_LOOK_S = 0.5
_LOOK_SOONEST_S = 0.05
_GAP_S = 0.5
_LEARN_MOST_S = 10.0
_MODULES = ("GH200", "GB200", "GB300", "GB10")


@dataclass(frozen=True)
class Gpu:
    """A physical GPU. mode: how its energy is read; reason: why not better, or not at all."""

    index: int
    handle: Any
    name: str = "unknown GPU"
    uuid: str = ""
    mode: Literal["counter", "power", "closed"] = "closed"
    reason: str = ""

    @property
    def domain(self) -> str:
        return f"gpu-{self.index}"


@dataclass
class Moment:
    """A GPU's energy at a moment. The part since the counter's last step is added when it is first asked for: by then
    the counter's beat may be known."""

    counted_j: float
    watts: float
    time_s: float
    edges: Edges | None
    epoch: int
    channel: Channel | None = None
    _joules: float | None = None

    @property
    def joules(self) -> float:
        if self._joules is None:
            age_s = self.edges.age_s(self.time_s) if self.edges else None
            self._joules = self.counted_j + self.watts * (age_s or 0.0)
        return self._joules


@dataclass(frozen=True)
class State:
    """Of each GPU that could be read: its moment; who used it; and CPU seconds of the whole machine."""

    moments: Mapping[str, Moment]
    use: Mapping[str, Use]
    busy_s: float | None


@dataclass(frozen=True)
class _Seen:
    raw_mj: int
    joules: float


class NvmlMeter:
    """Reads GPUs. zones: those read so far; closed: domains of GPUs that can never be."""

    name = "nvml"
    origin = "measured"

    def __init__(self, library: Library, clock: Callable[[], float] = time.monotonic) -> None:
        self._library, self._clock, self._pid = library, clock, os.getpid()
        self.gpus = tuple(_look(library, i, h) for i, h in enumerate(library.handles()))
        self._edges = {g.domain: Edges() for g in self.zones if g.mode == "counter"}
        self._seen: dict[str, _Seen] = {}
        self._channels: dict[str, Channel] = {}
        self._epoch: dict[str, int] = {g.domain: 0 for g in self.zones}
        self._lost: dict[str, str] = {}
        self._use: dict[str, Use] = {g.domain: Use() for g in self.zones}
        self._at_s = self._looked_s = clock()
        self._learn_s, self._learn_next_s = 0.1, -math.inf
        sampled = any(g.mode == "power" for g in self.zones)
        self._sampler = Repeat(self.refresh, _SAMPLE_S if sampled else _LOOK_S)
        self._learner = Repeat(self._learn, 0.05)
        self._lock = lock(self)
        self.refresh()
        if self._edges:
            self._learner.ensure()

    @property
    def zones(self) -> tuple[Gpu, ...]:
        return tuple(g for g in self.gpus if g.mode != "closed")

    @property
    def closed(self) -> tuple[str, ...]:
        return tuple(g.domain for g in self.gpus if g.mode == "closed")

    @property
    def whole_modules(self) -> tuple[str, ...]:
        """Domains whose counter covers processor and memory beside the GPU: those are not to be added to it."""
        return tuple(g.domain for g in self.zones if any(m in g.name for m in _MODULES))

    @property
    def resolution_s(self) -> float:
        """The shortest window worth reading: five steps of the slowest counter, or samples."""
        return 5 * max([self._step_s(g) for g in self.zones], default=SLOWEST_S)

    def mark(self) -> Mark:
        """Now, with every GPU's energy."""
        self._sampler.ensure()
        if self._edges:
            self._learner.ensure()
        with self._lock:
            moments = self._read()
            state = State(moments, dict(self._use), usage.machine_busy_s())
            return Mark(self._at_s, usage.tree_cpu_s(), state)

    def refresh(self) -> None:
        """Sample power and processes without marking."""
        with self._lock:
            self._read()

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        """Each GPU that could be read all the while."""
        duration_s = max(0.0, b.time_s - a.time_s)
        return {d: self._energy(d, first, last, duration_s) for d, (first, last) in _kept(a, b).items()}

    def shares(self, a: Mark, b: Mark, pids: Collection[int]) -> dict[str, Share]:
        """(least, likely, most) of each GPU's energy that these processes used."""
        gpus = {g.domain: g for g in self.zones}
        return {
            d: _nvml_share.share(
                a.state.use.get(d, Use()), b.state.use.get(d, Use()), pids,
                _nvml_share.visible(gpus[d].index, gpus[d].uuid),
            )
            for d in _kept(a, b)
        }  # fmt: skip

    def warnings(self, a: Mark, b: Mark) -> tuple[str, ...]:
        """What a reader of this window must know."""
        kept, duration_s = _kept(a, b), b.time_s - a.time_s
        said = [
            f"{g.domain} ({g.name}): lost during this window, {self._lost.get(g.domain, 'its counter began anew')};"
            " it is left out"
            for g in self.zones
            if g.domain not in kept
        ]
        for d, (first, last) in kept.items():
            if first.channel and last.channel and last.channel.gap_s > first.channel.gap_s:
                gap_s = last.channel.gap_s - first.channel.gap_s
                said.append(f"{d}: {gap_s:.3g} s passed without a sample of its power; the interval holds that")
        said += [f"{g.domain} ({g.name}) cannot be read: {g.reason}" for g in self.gpus if g.mode == "closed"]
        said += [f"{d}: its counter covers the whole module, processor and memory too" for d in self.whole_modules]
        said += [f"{d} is split by MIG: its energy is the whole GPU's, instances' shares are estimated by slices"
                 for d in kept if b.state.use[d].slices]  # fmt: skip
        if duration_s < self.resolution_s:
            said.append(f"{duration_s:.3g} s is too short for these GPUs; measure {self.resolution_s:.2g} s or more")
        return tuple(said)

    def _step_s(self, gpu: Gpu) -> float:
        if gpu.mode == "power":
            return _SAMPLE_S
        return self._edges[gpu.domain].period_s or SLOWEST_S

    def _energy(self, domain: str, first: Moment, last: Moment, duration_s: float) -> Energy:
        if first.channel and last.channel:
            joules, doubt = last.channel.joules - first.channel.joules, last.channel.doubt_j - first.channel.doubt_j
            return _measured(joules, doubt)
        if duration_s <= 0:
            return _measured(0.0, 0.0)
        joules = max(0.0, last.joules - first.joules)
        step_s = (self._edges[domain].period_s if domain in self._edges else None) or SLOWEST_S
        doubt = step_s * max(first.watts, last.watts, joules / duration_s)
        return _measured(joules, doubt)

    def _read(self) -> dict[str, Moment]:
        """Bring every GPU up to now. Called with the lock held."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._try(self._library.start)
        now = self._clock()
        elapsed_s = max(0.0, now - self._at_s)
        moments = {g.domain: m for g in self.zones if (m := self._moment(g, elapsed_s)) is not None}
        if now - self._looked_s >= _LOOK_SOONEST_S:
            for g in self.zones:
                self._use[g.domain] = self._used(g, now - self._looked_s)
            self._looked_s = now
        self._at_s = now
        return moments

    def _moment(self, gpu: Gpu, elapsed_s: float) -> Moment | None:
        domain = gpu.domain
        try:
            if gpu.mode == "power":
                return self._sample(gpu, self._library.power_w(gpu.handle), elapsed_s)
            raw = self._library.energy_mj(gpu.handle)
            at_s = self._clock()
        except NvmlError as error:
            self._lose(domain, str(error))
            return None
        before = self._seen.get(domain)
        if before is not None and raw < before.raw_mj:
            self._epoch[domain] += 1
        joules = before.joules + max(0, raw - before.raw_mj) / 1000 if before else 0.0
        self._seen[domain] = _Seen(raw, joules)
        watts = self._try(lambda: self._library.power_w(gpu.handle)) or 0.0
        return Moment(joules, watts, at_s, self._edges[domain], self._epoch[domain])

    def _sample(self, gpu: Gpu, watts: float, elapsed_s: float) -> Moment:
        before = self._channels.get(gpu.domain)
        channel = Channel(watts) if before is None else step(before, watts, elapsed_s, _GAP_S)
        self._channels[gpu.domain] = channel
        return Moment(channel.joules, watts, self._at_s, None, self._epoch[gpu.domain], channel)

    def _lose(self, domain: str, why: str) -> None:
        self._lost[domain] = why
        had = self._seen.pop(domain, None) or self._channels.pop(domain, None)
        self._epoch[domain] += had is not None

    def _used(self, gpu: Gpu, elapsed_s: float) -> Use:
        before = self._use[gpu.domain]
        processes = self._try(lambda: self._library.processes(gpu.handle))
        samples = self._try(lambda: self._library.utilisation(gpu.handle, before.seen_us or _just_now_us()))
        slices = self._try(lambda: self._library.instances(gpu.handle)) or {}
        return _nvml_share.after(before, processes, samples or [], elapsed_s, slices)

    def _try(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except NvmlError:
            return None

    def _learn(self) -> None:
        """Watch the counters step: at once, then ever more seldom."""
        if self._clock() < self._learn_next_s:
            return
        for gpu in self.zones:
            if gpu.domain in self._edges:
                self._watch(gpu, self._edges[gpu.domain])
        self._learn_s = min(_LEARN_MOST_S, 2 * self._learn_s)
        self._learn_next_s = self._clock() + self._learn_s

    def _watch(self, gpu: Gpu, edges: Edges) -> None:
        def read() -> int | None:
            return self._try(lambda: self._library.energy_mj(gpu.handle))

        watch(read, edges, 1 if edges.steps >= 3 else 5)


def _measured(joules: float, doubt: float) -> Energy:
    doubt += _ACCURACY * joules
    return Energy(joules, max(0.0, joules - doubt), joules + doubt, "measured")


def _just_now_us() -> int:
    return int((time.time() - 0.2) * 1e6)


def _kept(a: Mark, b: Mark) -> dict[str, tuple[Moment, Moment]]:
    first, last = a.state.moments, b.state.moments
    return {d: (first[d], last[d]) for d in first if d in last and first[d].epoch == last[d].epoch}


def _look(library: Library, index: int, handle: Any) -> Gpu:
    """What can be read of one GPU."""
    if handle is None:
        return Gpu(index, None, reason="the driver gives no access to it")
    gpu = Gpu(index, handle)
    try:
        gpu = replace(gpu, name=library.name(handle), uuid=library.uuid(handle))
        library.energy_mj(handle)
        return replace(gpu, mode="counter")
    except NvmlError as error:
        gpu = replace(gpu, reason=str(error))
    try:
        library.power_w(handle)
        return replace(gpu, mode="power")
    except NvmlError as error:
        return replace(gpu, reason=f"{gpu.reason}; {error}")


def open_meter() -> NvmlMeter | None:
    """A meter of this machine's NVIDIA GPUs; None where there is none. Raises NvmlError where a driver is broken, or is
    not what TRIMWATT_NVML names: their energy is then missing, and not nothing.
    """
    try:
        meter = NvmlMeter(Library(_nvml_library.path()))
    except NvmlError as error:
        if error.code in (_nvml_library.NO_LIBRARY, _nvml_library.NO_DRIVER) and not os.environ.get("TRIMWATT_NVML"):
            return None
        raise
    return meter if meter.gpus else None


def probe() -> tuple[Probe, ...]:
    """What was found: the library, and each GPU."""
    path = _nvml_library.path()
    try:
        library = Library(path)
        found = [_look(library, i, h) for i, h in enumerate(library.handles())]
    except NvmlError as error:
        return (_broken(path, error),)
    if not found:
        return (Probe("nvml", path, "absent", "the driver is there and shows no GPU"),)
    return tuple(_probe(gpu, path) for gpu in found)


def _broken(path: str, error: NvmlError) -> Probe:
    if error.code == _nvml_library.NO_LIBRARY and not os.environ.get("TRIMWATT_NVML"):
        return Probe("nvml", path, "absent", "no NVIDIA driver is installed, or not inside this container",
                     "in a container: start it with the GPUs, e.g. docker run --gpus all")  # fmt: skip
    fix = "TRIMWATT_NVML names this library; correct or unset it" if os.environ.get("TRIMWATT_NVML") else ""
    return Probe("nvml", path, "closed", str(error), fix or "nvidia-smi says more; a reboot helps after an update")


def _probe(gpu: Gpu, path: str) -> Probe:
    sensor = f"nvml:{gpu.domain}"
    if gpu.mode == "counter":
        return Probe(sensor, path, "ready", f"{gpu.name}: energy counter")
    if gpu.mode == "power":
        return Probe(sensor, path, "ready", f"{gpu.name}: power, read every {_SAMPLE_S:g} s ({gpu.reason})")
    return Probe(sensor, path, "closed", f"{gpu.name}: {gpu.reason}", "ask who runs the machine for access to NVML")
