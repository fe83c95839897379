"""A method called again and again by a thread of its own, for as long as its object lives."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any


class Repeat:
    """Calls `method` every `every_s` seconds once `ensure` was called; ends with the object that the method is of."""

    def __init__(self, method: Callable[[], object], every_s: float) -> None:
        self.every_s = every_s
        self._method = weakref.WeakMethod(method)
        # a SimpleQueue, since the word to end comes from a destructor, which may run inside this very thread
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()
        # of its object: a bound method is made anew each time and gone at once
        weakref.finalize(method.__self__, self._end.put, None)  # type: ignore[attr-defined]
        self._thread: threading.Thread | None = None

    def ensure(self) -> None:
        """Start the thread, unless it runs: a fork leaves it behind in the parent."""
        if self._thread is None or not self._thread.is_alive():
            args = self._method, self._end, self.every_s
            self._thread = threading.Thread(target=_run, args=args, name="trimwatt-meter", daemon=True)
            self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()


def _run(method: weakref.WeakMethod[Callable[[], object]], end: queue.SimpleQueue[None], every_s: float) -> None:
    while True:
        try:
            end.get(timeout=every_s)
            return
        except queue.Empty:
            call = method()
        if call is None:
            return
        call()
        del call


_LOCKED: weakref.WeakSet[Any] = weakref.WeakSet()


def lock(owner: object) -> threading.Lock:
    """A lock for `owner._lock` that a forked child gets anew: the parent's may have been held by a thread."""
    _LOCKED.add(owner)
    return threading.Lock()


def _after_fork() -> None:
    for owner in _LOCKED:
        owner._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
