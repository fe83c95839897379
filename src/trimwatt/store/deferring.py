"""A store that loses nothing while another process holds the database: what is found waits in memory."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trimwatt.store._base import Busy, Json, Store

_PAUSE_S = 60.0


@dataclass(frozen=True)
class _Waiting:
    """A write that was not done yet, and what reading shows of it."""

    write: Callable[[], None]
    trials: tuple[Json, ...] = ()
    entries: tuple[Json, ...] = ()
    value: tuple[str, Any] | None = None


class DeferringStore:
    """`inner`, whose writes are tried again, in their order, with each later one and by `catch_up`.

    tell: called with a sentence when writes begin to wait. Reading shows what waits, too.
    """

    def __init__(self, inner: Store, tell: Callable[[str], None]) -> None:
        self._inner, self._tell = inner, tell
        self._queue: list[_Waiting] = []
        self._next_try_s = 0.0

    @property
    def waiting(self) -> int:
        """How many trials are kept in memory alone."""
        return sum(len(item.trials) for item in self._queue)

    def catch_up(self) -> bool:
        """Write what waits; False where the database is still held."""
        while self._queue:
            try:
                self._queue[0].write()
            except Busy as error:
                self._tell(f"{error}; what is found waits in memory and is tried again")
                self._next_try_s = time.monotonic() + _PAUSE_S
                return False
            except BaseException:
                # what the database refuses for good is its caller's to know, and not to be tried again
                del self._queue[0]
                raise
            del self._queue[0]
        return True

    def _write(self, item: _Waiting) -> None:
        """Each try waits for the database; the study must not stand still for it at every write."""
        self._queue.append(item)
        if time.monotonic() >= self._next_try_s:
            self.catch_up()

    def claim(self) -> None:
        """See `Store`."""
        self._inner.claim()

    def save_study(self, meta: Json) -> None:
        """See `Store`; a study that cannot be begun is not deferred."""
        self._inner.save_study(meta)

    def study(self) -> Json | None:
        """See `Store`."""
        return self._inner.study()

    def add_trial(self, trial: Json, entries: Sequence[Json] = ()) -> None:
        """See `Store`."""
        kept, booked = copy.deepcopy(trial), copy.deepcopy(tuple(entries))
        self._write(_Waiting(lambda: self._inner.add_trial(kept, booked), (kept,), booked))

    def trials(self) -> list[Json]:
        """See `Store`."""
        return self._inner.trials() + [trial for item in self._queue for trial in item.trials]

    def add_entries(self, entries: Sequence[Json]) -> None:
        """See `Store`."""
        booked = copy.deepcopy(tuple(entries))
        self._write(_Waiting(lambda: self._inner.add_entries(booked), entries=booked))

    def ledger(self) -> list[Json]:
        """See `Store`."""
        return self._inner.ledger() + [entry for item in self._queue for entry in item.entries]

    def set(self, name: str, value: Any) -> None:
        """See `Store`."""
        kept = copy.deepcopy(value)
        self._write(_Waiting(lambda: self._inner.set(name, kept), value=(name, kept)))

    def get(self, name: str) -> Any:
        """See `Store`."""
        for item in reversed(self._queue):
            if item.value is not None and item.value[0] == name:
                return item.value[1]
        return self._inner.get(name)

    def close(self) -> None:
        """See `Store`."""
        self._inner.close()
