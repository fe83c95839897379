"""The last CPU time of every process that was seen, where the kernel keeps no account for us: a lower bound."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from trimwatt.host import processes

# an account that lags by this much may be rounding: the system tells waited children in ticks
_SLACK_S = 0.03

Key = tuple[int, int]
"""A process by its number and the time it started: numbers are given again."""


@dataclass
class _Seen:
    """A process as it was last seen.

    account_s: of the process and all it waited for, once we have waited for it. gone_s: what its children that are gone
    were seen to use, they and theirs. owed_s: what it must have waited for, if it has waited for those.
    """

    name: str
    parent: Key | None
    own_s: float = 0.0
    waited_s: float = 0.0
    gone_s: float = 0.0
    owed_s: float = 0.0
    account_s: float = 0.0
    ignores: bool = False
    children: set[Key] = field(default_factory=set)


class Polled:
    """What descends from `pid`, looked at again and again; `pid` is this process, which reaps its own children.

    A process counts with its own clock and the greater of two: what it waited for, and what its children were seen to
    use. Both can only be too low, so the total can too.
    """

    way = "polling"

    def __init__(self, pid: int, every_s: float) -> None:
        self.every_s: float | None = every_s
        self._pid = pid
        self._start_s = time.process_time()
        self._done_s = 0.0
        self._lost: dict[str, str] = {}
        self._seen: dict[Key, _Seen] = {}
        self._keys: dict[int, Key] = {}

    def total_s(self) -> float:
        self.look()
        tops = sum(self._value(one) for one in self._seen.values() if one.parent is None)
        return time.process_time() - self._start_s + self._done_s + tops

    def look(self) -> None:
        living: set[Key] = set()
        for pid in processes.children(self._pid):
            self._visit(pid, None, living)
        for key in [key for key in self._seen if key not in living]:
            stat = processes.read(key[0])
            # one that was given to another parent while we looked is still there
            if stat is None or stat.started != key[1]:
                self._vanished(key)

    def _visit(self, pid: int, parent: Key | None, living: set[Key]) -> None:
        stat = processes.read(pid)
        if stat is None:
            return
        key = (pid, stat.started)
        one = self._seen.setdefault(key, _Seen(processes.name(pid), parent))
        self._keys[pid] = key
        living.add(key)
        self._belongs(key, one, parent)
        one.own_s = max(one.own_s, processes.cpu_s(pid) or stat.used_s)
        one.waited_s = max(one.waited_s, stat.waited_s)
        one.ignores = one.ignores or processes.ignores_children(pid)
        below = processes.children(pid)
        if one.ignores and below:
            self._lost[one.name] = f"{one.name} ignores the end of its children"
        for child in below:
            self._visit(child, key, living)

    def _belongs(self, key: Key, one: _Seen, parent: Key | None) -> None:
        """Note whose child it is now: where its parent died, the kernel gave it to another."""
        if one.parent in self._seen and one.parent is not None:
            self._seen[one.parent].children.discard(key)
        one.parent = parent
        if parent in self._seen and parent is not None:
            self._seen[parent].children.add(key)

    def _vanished(self, key: Key) -> None:
        """It is gone: its parent keeps what it was seen to use; say so where nobody took its account."""
        one = self._seen.pop(key)
        if self._keys.get(key[0]) == key:
            del self._keys[key[0]]
        if one.parent is None:
            self._done_s += self._value(one)
        elif one.parent in self._seen:
            parent, stat = self._seen[one.parent], processes.read(one.parent[0])
            parent.children.discard(key)
            parent.gone_s += self._value(one)
            parent.owed_s += one.own_s + one.waited_s
            if stat is not None and stat.started == one.parent[1]:
                parent.waited_s = max(parent.waited_s, stat.waited_s)
                if parent.waited_s + _SLACK_S < parent.owed_s:
                    self._lost[one.name] = f"{one.name} ended and nobody took its account"
                    parent.owed_s = parent.waited_s

    def _value(self, one: _Seen) -> float:
        below = one.gone_s + sum(self._value(self._seen[key]) for key in one.children if key in self._seen)
        return max(one.account_s, one.own_s + max(one.waited_s, below))

    def reaped(self, pid: int, used_s: float) -> None:
        """Take the account of a child of ours, seen before or not."""
        key = self._keys.get(pid)
        if key is None or key not in self._seen:
            self._done_s += used_s
            return
        one = self._seen[key]
        one.account_s = used_s
        # it may have been given to us since it was last seen
        self._belongs(key, one, None)

    def missing(self) -> str:
        """Which processes may have used more than was seen, since this was last asked."""
        found, self._lost = "; ".join(self._lost.values()), {}
        return f"{found}, so what they used is only known to be more than was seen" if found else ""

    def close(self) -> None:
        """Nothing is held."""
