"""When a study began: with the process on the command line, with the call in Python. Loads nothing but the standard
library, so that what is loaded next is counted."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Start:
    """A moment before any meter was there: monotonic seconds, and CPU seconds of the process tree until then.

    is_process: whether the process began then and ends with the study, as on the command line.
    """

    time_s: float
    cpu_s: float
    is_process: bool = False

    @classmethod
    def now(cls) -> Start:
        """This moment, whatever the process did before."""
        time_s, own_s = time.monotonic(), time.process_time()
        from trimwatt.meter import usage

        # what was used since the first line belongs to what follows
        return cls(time_s, usage.tree_cpu_s() - (time.process_time() - own_s))

    @classmethod
    def of_process(cls) -> Start:
        """The start of this process, interpreter and imports included."""
        return cls(time.monotonic() - _age_s(), 0.0, is_process=True)


def _age_s() -> float:
    """How long ago this process was made, to a tick of the system (10 ms on Linux)."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        import psutil

        return max(0.0, time.time() - psutil.Process().create_time())
