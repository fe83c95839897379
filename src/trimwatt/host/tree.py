"""All that this process has started: taken into account as it ends, waited for, and ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from trimwatt.host import processes
from trimwatt.host.counting import Counter

_ENDING_S = 5.0


class Tree:
    """The descendants of this process, which adopts orphans and waits for every child itself."""

    def __init__(self, counter: Counter) -> None:
        self.counter = counter
        self.reaped_s = 0.0
        self._base_s = counter.total_s() - time.process_time()

    def reap(self) -> dict[int, int]:
        """Take the account of each child that has ended; their wait statuses by process number."""
        ended: dict[int, int] = {}
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if not pid:
                    break
                seconds = used.ru_utime + used.ru_stime
                self.reaped_s += seconds
                self.counter.reaped(pid, seconds)
                ended[pid] = status
        return ended

    def used_s(self) -> float:
        """CPU seconds of all below this process so far, its own left out."""
        counted = self.counter.total_s() - time.process_time() - self._base_s
        return max(counted, self.reaped_s)

    def end(self) -> None:
        """Kill all that is below, those too that come to us while we do so."""
        until = time.monotonic() + _ENDING_S
        while time.monotonic() < until:
            self.reap()
            pids = list(processes.descendants(os.getpid()))
            if not pids:
                return
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)
