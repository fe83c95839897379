"""Start a command and wait for it as a shell's `time` does: signals reach it, and its whole tree is accounted for.

The command stays in our process group, so that the terminal treats it as if we were not there. What the terminal sends
(Ctrl-C, Ctrl-Z) therefore reaches it without us; what others send to us alone is passed on. Descendants whose parent
died come to us (Linux), and nothing they used is lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from trimwatt.host import processes
from trimwatt.host.counting import Counter, open_counter
from trimwatt.meter import usage

NOT_FOUND, NOT_EXECUTABLE, BY_SIGNAL = 127, 126, 128
_STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_PASSED_ON = (*_STOPPING, "SIGUSR1", "SIGUSR2", "SIGTSTP", "SIGCONT")
_FIRST_LOOK_S, _LAST_LOOK_S = 0.005, 0.5
_MAX_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class NotStarted(Exception):
    """The command could not be started; `exit_code` is what a shell would end with, the message says why."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Launched(usage.Own):
    """A command that runs or has ended: what its tree has used so far. A `usage.Subject`.

    before: processes that were ours already and are not its. stopped_by: the signal that asked it to end, seen by us.
    counter: what also sees those of its processes that nobody waits for.
    """

    label = "the command"

    pid: int
    before: frozenset[str]
    exit_code: int | None = None
    stopped_by: int | None = None
    paused_s: float = 0.0
    counter: Counter | None = None
    _reaped_s: float = 0.0
    _peaks: list[int] = field(default_factory=list)
    _own_peak: int = 0
    _pids: set[int] = field(default_factory=set)
    _seen: int | None = None
    _began_s: float = field(default_factory=time.monotonic)
    _looked_s: float = 0.0
    _ended_s: float = 0.0

    def __post_init__(self) -> None:
        self._not_its_s = self._counted_s()

    def cpu_s(self) -> float:
        """CPU seconds of its tree, living, reaped and, where a counter sees them, waited for by nobody."""
        known_s = self._reaped_s + sum(usage._living(pid) for pid in self.living())
        return max(known_s, self._counted_s() - self._not_its_s)

    def _counted_s(self) -> float:
        """What all counted processes but us, and but those that were here before, have used."""
        if self.counter is None:
            return 0.0
        earlier = [int(one) for top in self.before for one in (top, *usage._descendants(top))]
        return self.counter.total_s() - time.process_time() - sum(processes.whole_s(pid) for pid in earlier)

    def missing(self) -> str:
        """What could not be counted; "" where nothing speaks for that."""
        return self.counter.missing() if self.counter else ""

    def pids(self) -> frozenset[int]:
        """Its processes that were seen so far."""
        return frozenset(self._pids)

    def living(self) -> list[str]:
        """Its processes that still run, it and what it left to us among them."""
        tops = [pid for pid in _children() if pid not in self.before]
        return [one for top in tops for one in (top, *usage._descendants(top))]

    def peak_rss_bytes(self) -> int | None:
        """The most memory that one process of the tree held; None where it was too small and short-lived to tell."""
        if self._peaks or self._seen is None:
            return max(self._peaks, default=None)
        return self._seen if self._looked_s - self._began_s > (self._ended_s - self._began_s) / 2 else None

    def look(self) -> None:
        """See how much memory its processes have held so far."""
        for pid in self.living():
            self._pids.add(int(pid))
            if peak := _high_water(pid):
                self._seen = max(peak, self._seen or 0)
        if self.counter:
            self.counter.look()
        self._looked_s = time.monotonic()

    def reap(self) -> None:
        """Take the account of each process that has ended."""
        for pid in [str(self.pid), *(p for p in _children() if p not in self.before)]:
            with contextlib.suppress(ChildProcessError):
                ended, status, used = os.wait4(int(pid), os.WNOHANG)
                if ended:
                    self._book(ended, status, used.ru_utime + used.ru_stime, used.ru_maxrss * _MAX_RSS_UNIT)

    def _book(self, pid: int, status: int, cpu_s: float, peak: int) -> None:
        self._reaped_s += cpu_s
        if self.counter:
            self.counter.reaped(pid, cpu_s)
        # the system counts what we held before the command replaced our copy: only more than that is its own
        if peak > self._own_peak:
            self._peaks.append(peak)
        if pid == self.pid:
            self._ended_s = time.monotonic()
            code = os.waitstatus_to_exitcode(status)
            self.exit_code = code if code >= 0 else BY_SIGNAL - code


@contextlib.contextmanager
def ready() -> Iterator[Counter]:
    """Hold signals back until `wait` takes them, adopt orphans, and count all that is started from now on.

    To be entered before any thread is started.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # inherited from whoever started us; the system would keep no account of what has ended
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _held())
    processes.adopt_orphans(True)
    counter = open_counter()
    try:
        yield counter
    finally:
        counter.close()
        processes.adopt_orphans(False)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def start(command: Sequence[str], stdout_to_stderr: bool = False, counter: Counter | None = None) -> Launched:
    """Start `command` (no shell). Raises NotStarted where there is no such program, or it cannot be run.

    counter: what `ready` gave.
    """
    if not command[0]:
        raise not_started("", FileNotFoundError(errno.ENOENT, "empty"))
    before, own = frozenset(_children()), usage.peak_rss_bytes() or 0
    unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) - _held()
    actions = [(os.POSIX_SPAWN_DUP2, 2, 1)] if stdout_to_stderr else []
    # Python ignores these two, and what a process ignores its children do too
    restored = [number for name in ("SIGPIPE", "SIGXFSZ") if (number := getattr(signal, name, None))]
    # what was used so far is not the command's
    launched = Launched(0, before, counter=counter, _own_peak=own)
    try:
        pid = os.posix_spawnp(
            command[0], list(command), os.environ, file_actions=actions, setsigmask=unblocked, setsigdef=restored
        )
    except OSError as error:
        raise not_started(command[0], error) from None
    launched.pid = pid
    return launched


def not_started(name: str, error: OSError) -> NotStarted:
    """What a shell would say of a command that the system would not start."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NotStarted(
            NOT_FOUND, f"{name or 'an empty name'}: there is no such command; look at its spelling and PATH"
        )
    if error.errno == errno.ENOEXEC:
        return NotStarted(NOT_EXECUTABLE, f"{name}: not a program; if it is a script, name its interpreter before it")
    return NotStarted(NOT_EXECUTABLE, f"{name}: cannot be run ({error.strerror}); `chmod +x` may be missing")


def wait(launched: Launched) -> int:
    """Wait for the command's end, passing signals on; returns its exit code, 128 + n where signal n ended it."""
    between_s = _FIRST_LOOK_S
    numbers = _held()
    while True:
        launched.reap()
        if launched.exit_code is not None:
            return launched.exit_code
        launched.look()
        soon_s = launched.counter.every_s if launched.counter else None
        came = signal.sigtimedwait(numbers, min(between_s, soon_s or between_s))
        between_s = min(_LAST_LOOK_S, between_s * 1.5)
        if came is not None and came.si_signo != signal.SIGCHLD:
            # a positive code is the kernel's: the terminal has told the whole group, the command too
            _pass_on(launched, came.si_signo, told=came.si_code > 0)


def _pass_on(launched: Launched, number: int, told: bool) -> None:
    if signal.Signals(number).name in _STOPPING:
        launched.stopped_by = number
    if not told:
        _tell(launched.pid, number)
    if number == signal.SIGTSTP:
        stopped = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        launched.paused_s += time.monotonic() - stopped
        _tell(launched.pid, signal.SIGCONT)


def _tell(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _held() -> set[int]:
    """Signals to hold back: those passed on, unless whoever started us had them ignored (nohup), and a child's end."""
    names = [name for name in _PASSED_ON if signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN]
    return {int(getattr(signal, name)) for name in (*names, "SIGCHLD")}


def _children() -> list[str]:
    """Our own children, living or ended but not waited for."""
    with contextlib.suppress(OSError):
        return [pid for task in usage._PROC.joinpath("self", "task").iterdir() for pid in usage._children(task)]
    return []


def _high_water(pid: str) -> int | None:
    """The most memory a process has held, in bytes; None once it has ended."""
    with contextlib.suppress(OSError, StopIteration), open(usage._PROC / pid / "status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024
    return None
