"""A stand-in for NVIDIA's management library, compiled when a test needs it, and what it is to show."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")


@dataclass(frozen=True)
class FakeGpu:
    """A GPU of the stand-in.

    watts: its power, or in turn with `low`, each half of `wave` seconds. since: monotonic seconds at which its counter
    was 0. period, offset: of the counter's steps. lost, back: when it is gone. counter, power, instant, util: the codes
    that these calls answer, 0 where they work. mig: 1 on, 0 off, -1 not supported.
    """

    watts: float = 200.0
    low: float | None = None
    wave: float = 0.0
    name: str = "Fake A100"
    uuid: str = "GPU-fake-0"
    since: float = 0.0
    period: float = 0.02
    offset: float = 0.0
    lost: float = math.inf
    back: float = math.inf
    counter: int = 0
    power: int = 0
    instant: int = 0
    util: int = 0
    mig: int = 0

    def joules(self, start_s: float, end_s: float) -> float:
        """The truth between two monotonic moments."""
        return self._until(end_s) - self._until(start_s)

    def _until(self, time_s: float) -> float:
        seconds = max(0.0, time_s - self.since)
        if not self.wave:
            return self.watts * seconds
        low, half = self.watts if self.low is None else self.low, self.wave / 2
        waves, rest = divmod(seconds, self.wave)
        return waves * half * (self.watts + low) + min(rest, half) * self.watts + max(0.0, rest - half) * low


@dataclass(frozen=True)
class FakeInstance:
    """A MIG instance of `slices` of the seven."""

    gpu: int = 0
    id: int = 1
    slices: int = 1


@dataclass(frozen=True)
class FakeProcess:
    """A process on a GPU. util: percent of its multiprocessors; instance: of MIG, -1 without."""

    gpu: int = 0
    pid: int = field(default_factory=os.getpid)
    util: int = 0
    instance: int = -1
    memory: int = 1 << 20


class FakeNvml:
    """The library at `path`, compiled in `folder`, and its scenario. without: "NO_ENERGY", "NO_PROCESSES".

    Set `TRIMWATT_NVML` to `path` and `FAKE_NVML` to `state`. Skips the test where there is no C compiler.
    """

    def __init__(self, folder: Path, without: Sequence[str] = ()) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("no C compiler is at hand (cc): the stand-in for NVML cannot be made")
        self.path, self.state = folder / "libfake-nvml.so", folder / "fake-nvml.txt"
        flags = [f"-D{name}" for name in without]
        subprocess.run(  # noqa: S603 - our own source
            [compiler, "-std=gnu11", "-O1", "-shared", "-fPIC", *flags, "-o", str(self.path), str(SOURCE), "-lm"],
            check=True,
        )

    def show(
        self,
        *gpus: FakeGpu,
        processes: Sequence[FakeProcess] = (),
        instances: Sequence[FakeInstance] = (),
        init: int = 0,
    ) -> None:
        """What it shows from now on; whoever has loaded it sees the change with the next call."""
        lines = [f"init {init}"]
        lines += [_line("gpu", asdict(gpu)) for gpu in gpus]
        lines += [_line("instance", asdict(i)) for i in instances]
        lines += [_line("process", asdict(p)) for p in processes]
        fresh = self.state.with_suffix(".new")
        fresh.write_text("\n".join(lines) + "\n")
        # the library looks at the time of change, in nanoseconds
        os.utime(fresh, ns=(time.time_ns(), time.time_ns()))
        fresh.replace(self.state)


def _line(kind: str, values: dict[str, object]) -> str:
    pairs = (f"{k}={str(v).replace(' ', '_')}" for k, v in values.items() if v is not None)
    return f"{kind} {' '.join(pairs)}"
