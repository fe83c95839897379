"""A callable that cannot be pickled, in a fork of this process: where its work leaves it."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from trimwatt import _child
from trimwatt.compare.arms import ChildArm, FunctionArm, Limits, called
from trimwatt.compare.handed import serve_function
from trimwatt.errors import TrialFailed

# how long a first call in a fork may take: what needs threads or workers of this process waits for ever there
PROBE_S = 20.0
# what forks find by its number, since it cannot be handed over
_HELD: dict[int, Callable[[], object]] = {}


class _Here:
    """Forks of this process, memory and all."""

    def fork(self, fd: int) -> int:
        parent = os.getpid()
        with warnings.catch_warnings():
            # of threads that a fork leaves behind; a call that misses them is stopped
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            _child.forked(fd, parent)
        return pid

    def wait(self, pid: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class ForkedArm(FunctionArm):
    """A callable without arguments, in a fork of this process; a request is one call."""

    def __init__(
        self, function: Callable[[], object], limits: Limits | None = None, *, name: str = "", threads: int = 1
    ) -> None:
        _HELD[id(self)] = function
        weakref.finalize(self, _HELD.pop, id(self), None)
        handed = id(self), threads
        ChildArm.__init__(
            self, "trimwatt.compare.forked:serve_held", handed, name or called(function), limits, _Here()
        )  # fmt: skip


def serve_held(number: int, threads: int) -> Callable[[tuple[Any, ...]], Any]:
    """What answers for a callable that this process has held since before it was forked."""
    return serve_function(_HELD[number], threads)


def leaves(function: Callable[[], object]) -> bool | None:
    """Whether a call lets other processes work, by one in a fork; None where that fails, or waits for ever."""
    if not hasattr(os, "fork"):
        return None
    try:
        with ForkedArm(function, Limits(open_s=PROBE_S, call_s=PROBE_S)) as arm:
            block = arm.run(1)
    except TrialFailed:
        return None
    return block.counted is not None or block.uncounted is not None
