"""A process above one that serves: it adopts what is started there, counts it, and ends it with the service.

The service keeps its children for itself: whom it waits for is never reaped by anybody else. What its children leave
behind comes to the keeper, and nothing outlives it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NoReturn

from trimwatt.host import processes
from trimwatt.host.counting import Keeping, open_counter, waited_s
from trimwatt.host.tree import Tree

# how often work that goes on is looked at, and how long it is waited for once some was seen to go on for ever
_LOOK_S, _SELDOM_S, _BRIEFLY_S = 0.001, 0.01, 0.5
# what a task clock may differ from the clock of the process itself without any child, as a share and in seconds
_DRIFT, _DRIFT_S = 0.05, 0.005


@dataclass(frozen=True)
class Account:
    """What all below the served process have used so far, in CPU seconds, itself left out.

    seen: whether anything speaks for children since the last time; where nothing does, a difference is the clock's own.
    missing: what could not be counted. way: how it was counted. ended: whether processes had to be ended for it.
    """

    below_s: float
    seen: bool
    missing: str
    way: str
    ended: bool = False


_ASK: Connection | None = None


def kept() -> bool:
    """Whether this process has a keeper."""
    return _ASK is not None


def ask(linger_s: float | None = None) -> Account | None:
    """The account of what this process has started; None where it has no keeper.

    That is, once all of it has come to rest; with `linger_s`, once it has ended, which it is made to after so long.
    """
    if _ASK is None:
        return None
    _ASK.send((linger_s, time.process_time(), waited_s()))
    found: Account = _ASK.recv()
    return found


def stand_above(keeping: Keeping) -> None:
    """Put a keeper between this process and its parent. Returns in a new process, the served one; Linux only.

    The keeper has this process's number. SIGTERM, SIGHUP, or its parent's death, ends it and all below; when the served
    process ends, it ends the rest and then as that did. To be called before any thread is started.
    """
    global _ASK
    _begin()
    counter = open_counter(keeping.ways)
    ours, theirs = socket.socketpair()
    keeper, pid = os.getpid(), os.fork()
    if pid:
        theirs.close()
        _keep(_State(Tree(counter), pid, keeping.settle_s), Connection(ours.detach()))
    ours.close()
    for number in {signal.SIGTERM, signal.SIGHUP} - _ignored():
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processes.signal_on_parents_death(signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(0)
    _ASK = Connection(theirs.detach())


class _Ended(BaseException):
    """Somebody asked this process to end."""


def _begin() -> None:
    """Adopt orphans, and take SIGTERM and the parent's death as a request to end, told by `_Ended`."""

    def end(number: int, frame: object) -> None:
        _hear_no_more()
        raise _Ended

    parent = os.getppid()
    asked = {signal.SIGTERM, *({signal.SIGHUP} - _ignored())}
    for number in asked:
        signal.signal(number, end)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*asked, signal.SIGCHLD})
    processes.adopt_orphans()
    processes.signal_on_parents_death(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)


def _ignored() -> set[signal.Signals]:
    """SIGHUP where whoever started us has it ignored, as nohup does."""
    return {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()


def _hear_no_more() -> None:
    """We are ending already."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _keep(state: _State, connection: Connection) -> NoReturn:
    """Answer the served process until it ends, then end what is left and end as it did."""
    status = 0
    try:
        with contextlib.suppress(_Ended):
            status = _answer(state, connection)
        _hear_no_more()
        state.tree.end()
        state.tree.counter.close()
        _end_as(status)
    finally:
        os._exit(1)


def _answer(state: _State, connection: Connection) -> int:
    """Until the served process has ended: its wait status."""
    woken, wake = os.pipe()
    for end in (woken, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    tree, listening = state.tree, [connection.fileno(), woken]
    while True:
        ended = tree.reap()
        if state.pid in ended:
            return ended[state.pid]
        ready, _, _ = select.select(listening, [], [], tree.counter.every_s)
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
        if connection.fileno() in ready:
            try:
                connection.send(state.account(*connection.recv()))
            except (EOFError, OSError):
                # it is about to end
                listening = [woken]
        tree.counter.look()


class _State:
    """The served process `pid`, all below this one, and what was told so far, so that each answer knows what is new."""

    def __init__(self, tree: Tree, pid: int, settle_s: float) -> None:
        self.tree, self.pid, self._settle_s = tree, pid, settle_s
        self._last_s = (0.0, 0.0, 0.0)

    def account(self, linger_s: float | None, own_s: float, waited: float) -> Account:
        """own_s, waited: the served process's own clock, and what it has waited for."""
        left = self._settled() if linger_s is None else self._ended(linger_s)
        self.tree.reap()
        below = list(processes.descendants(self.pid))
        known_s = waited + self.tree.reaped_s + sum(processes.whole_s(pid) for pid in below)
        counted_s = self.tree.used_s() - own_s
        seen = bool(below) or self._new(own_s, waited, counted_s)
        self._last_s = (own_s, waited + self.tree.reaped_s, counted_s)
        missing = "; ".join(filter(None, (left, self.tree.counter.missing())))
        return Account(max(known_s, counted_s), seen, missing, self.tree.counter.way, bool(left))

    def _new(self, own_s: float, waited: float, counted_s: float) -> bool:
        """Whether a child has come and gone, although none is there now."""
        own, known, counted = self._last_s
        return (
            waited + self.tree.reaped_s > known
            or processes.ignores_children(self.pid)
            or counted_s - counted > _DRIFT * (own_s - own) + _DRIFT_S
        )

    def _settled(self) -> str:
        """Wait until nothing below works any more; name what goes on all the same."""
        quiet = 0
        for late in self._looks(settle_s := self._settle_s):
            others = self._others()
            busy = [pid for pid in others if processes.at_work(pid)]
            if late and busy:
                self._settle_s = min(settle_s, _BRIEFLY_S)
                return f"{processes.names(busy)} still worked {settle_s:g} s after the call that started it"
            quiet = 0 if busy else quiet + 1
            if quiet >= 2 or not others:
                break
        return ""

    def _ended(self, linger_s: float) -> str:
        """Wait until all below has ended; name and end what goes on."""
        for late in self._looks(linger_s):
            others = self._others()
            if not others:
                break
            if late:
                said = f"it left {processes.names(others)} running, ended {linger_s:g} s after the command itself"
                self._end(others)
                return said
        return ""

    def _end(self, pids: list[int]) -> None:
        while pids:
            for pid in pids:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_LOOK_S)
            self.tree.reap()
            pids = self._others()

    def _looks(self, most_s: float) -> Iterator[bool]:
        """Time for another look, again and again; whether `most_s` are over."""
        until, between_s = time.monotonic() + most_s, _LOOK_S
        while True:
            yield time.monotonic() > until
            time.sleep(between_s)
            between_s = min(_SELDOM_S, between_s * 1.2)
            self.tree.counter.look()
            self.tree.reap()

    def _others(self) -> list[int]:
        """All below the keeper that still run, but the served process itself."""
        return [pid for pid in processes.descendants(os.getpid()) if pid != self.pid and processes.running(pid)]


def _end_as(status: int) -> NoReturn:
    """End with the code, or by the signal, of the served process."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        with contextlib.suppress(ImportError, OSError, ValueError):
            import resource

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(max(code, 0))
