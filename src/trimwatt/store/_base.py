"""The contract of a store: what a study needs so that nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from trimwatt.errors import InputError

Json = dict[str, Any]
# a study is kept in the one, or the other says which it is in a shared database
FILE, IDENTITY = "study.db", "study.id"


class Busy(InputError):
    """Another process holds the database, and waiting for it did not help; the same may work later."""


class Store(Protocol):
    """Keeps one study.

    Each call is one transaction: when it returns, what it wrote outlives kill -9; when it raises, nothing of it was
    written. One process writes, any may read. What is given is JSON (numpy numbers and tuples become JSON's own), and
    what is read is equal to it, in the order written. Every method raises InputError where the database is unusable,
    and its kind Busy where another process has locked it for longer than a store waits.
    """

    def claim(self) -> None:
        """Become the one writer now rather than at the first write; raises InputError where another process is."""
        ...

    def save_study(self, meta: Json) -> None:
        """Keep what the study is, in place of what was kept before."""
        ...

    def study(self) -> Json | None:
        """What the study is; None where nothing was kept."""
        ...

    def add_trial(self, trial: Json, entries: Sequence[Json] = ()) -> None:
        """Keep a finished trial and its ledger entries together. Raises InputError where `trial["key"]` is there."""
        ...

    def trials(self) -> list[Json]:
        """All trials, in the order in which they ended."""
        ...

    def add_entries(self, entries: Sequence[Json]) -> None:
        """Book ledger entries that belong to no single trial."""
        ...

    def ledger(self) -> list[Json]:
        """All ledger entries, in the order booked."""
        ...

    def set(self, name: str, value: Any) -> None:
        """Keep any JSON value under `name`, in place of the one before."""
        ...

    def get(self, name: str) -> Any:
        """The value under `name`; None where there is none."""
        ...

    def close(self) -> None:
        """Let go of the database; a second call changes nothing."""
        ...
