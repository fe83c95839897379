"""Which processes belonged to a window: those of its tree at any look, since a child that ran and ended is no longer in
it when the window ends, but its accelerator's sensor still knows it by number."""

from __future__ import annotations

import threading
import time
import weakref

from trimwatt.meter import usage
from trimwatt.meter._repeat import lock

EVERY_S = 0.2


class Watch:
    """The processes of `subject` seen so far, while it is watched."""

    def __init__(self, subject: usage.Subject) -> None:
        self._subject = subject
        self._pids: frozenset[int] = frozenset()
        self.look()

    def look(self) -> frozenset[int]:
        self._pids |= self._subject.pids()
        return self._pids


class _Watcher:
    """One thread that looks for all open windows, and ends when there are none."""

    def __init__(self) -> None:
        self._lock = lock(self)
        self._open: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._lock:
            self._open.add(watch)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="trimwatt-tree", daemon=True)
                self._thread.start()

    def remove(self, watch: Watch) -> None:
        with self._lock:
            self._open.discard(watch)

    def _run(self) -> None:
        while True:
            time.sleep(EVERY_S)
            with self._lock:
                watches = list(self._open)
                if not watches:
                    self._thread = None
                    return
            for watch in watches:
                watch.look()
            # the last reference must not be held while asleep
            del watches
            watch = None  # type: ignore[assignment]


_WATCHER = _Watcher()


def begin(subject: usage.Subject) -> Watch:
    """Watch the processes of `subject` until `end`, or until nobody holds the watch."""
    watch = Watch(subject)
    _WATCHER.add(watch)
    return watch


def end(watch: Watch) -> None:
    """Watch no longer."""
    _WATCHER.remove(watch)
