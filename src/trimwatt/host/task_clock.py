"""A task-clock event that every descendant inherits: ordinary users may open it where the kernel lets them."""

from __future__ import annotations

import os

from trimwatt.host import perf_event
from trimwatt.host.counting import Plain


class TaskClock(Plain):
    """The clock of this thread and of all threads and processes that come from it. Raises OSError where refused.

    It was seen 0.3 % low at most, and 3 % low on children of 5 ms, whose exit it does not see.
    """

    way = "task clock"

    def __init__(self) -> None:
        flags = perf_event.INHERIT | perf_event.EXCLUDE_KERNEL | perf_event.EXCLUDE_HYPERVISOR
        # exclude_kernel is what leave is given for; the time that a task spends in the kernel is counted all the same
        self._event = perf_event.open_event(perf_event.SOFTWARE, perf_event.TASK_CLOCK, 0, -1, flags)

    def total_s(self) -> float:
        found = perf_event.read_event(self._event)
        if found is None:
            raise OSError("the task clock cannot be read")
        return found / 1e9

    def close(self) -> None:
        if self._event >= 0:
            os.close(self._event)
            self._event = -1
