"""What a stretch of work has used: CPU seconds of this process and of all that it started, and seconds."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from trimwatt.host import keeper, processes
from trimwatt.host.counting import waited_s

# what the keeper last told of all below; what is used between two blocks belongs to the work of the block before
_BELOW_S = 0.0
_IGNORED = "this process ignores the end of its children, so what they used is not known"


@dataclass(frozen=True)
class Used:
    """CPU seconds, seconds by the wall clock. counted: how other processes were, None where there was none to count.

    uncounted: what could not be.
    """

    cpu_s: float
    wall_s: float
    counted: str | None = None
    uncounted: str | None = None


class Stopwatch:
    """Started when it is made. A callable may leave its work to others: by its own clock that would cost nothing."""

    def __init__(self) -> None:
        self._below_s = None if keeper.kept() else _living_s()
        self._wall_s, self._own_s = time.perf_counter(), time.process_time()

    def stop(self) -> Used:
        """What was used since, with all that the work has started, waited for or not, once that has come to rest."""
        own_s = time.process_time() - self._own_s
        wall_s = time.perf_counter() - self._wall_s
        if self._below_s is not None:
            ignored = _IGNORED if processes.ignores_children(os.getpid()) else None
            return Used(own_s + _living_s() - self._below_s, wall_s, None, ignored)
        below_s, counted, uncounted = _kept()
        return Used(own_s + below_s, wall_s, counted, uncounted)


def _kept() -> tuple[float, str | None, str | None]:
    """CPU seconds of all below since this was last asked, how they were counted, and what was not."""
    global _BELOW_S
    account = keeper.ask()
    if account is None:
        return 0.0, None, None
    more_s, _BELOW_S = account.below_s - _BELOW_S, account.below_s
    # without any child the two clocks compared differ by their own error alone
    return (more_s, account.way, account.missing or None) if account.seen else (0.0, None, account.missing or None)


def _living_s() -> float:
    """CPU seconds of the children of this process, living or waited for, in a process that nobody keeps."""
    below = processes.descendants(os.getpid())
    return waited_s() + sum(processes.whole_s(pid) for pid in below)
