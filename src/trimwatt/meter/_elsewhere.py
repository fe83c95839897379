"""Start a command and wait for it where the system cannot hold signals back for us (macOS, Windows): not run there yet.

An interrupt is taken to reach the command by itself, as a terminal's does; a request to end is passed on.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trimwatt.meter import usage

_LOOK_S = 0.05


@dataclass
class Popened(usage.Own):
    """A command that runs or has ended; offers what `launch.Launched` does."""

    label = "the command"

    process: subprocess.Popen[bytes]
    used_before_s: float
    exit_code: int | None = None
    stopped_by: int | None = None
    paused_s: float = 0.0
    _seen_s: float = 0.0

    def cpu_s(self) -> float:
        return self._seen_s

    def living(self) -> list[str]:
        return []

    def missing(self) -> str:
        return ""

    def peak_rss_bytes(self) -> int | None:
        return None

    def look(self) -> None:
        """CPU seconds of our tree, ours since the start included: a few thousandths."""
        self._seen_s = max(self._seen_s, usage.tree_cpu_s() - self.used_before_s)

    def ask_to_end(self, number: int, frame: Any) -> None:
        """Handler of a signal: remember it, and pass on what a terminal does not send to the whole group."""
        self.stopped_by = number
        if number != signal.SIGINT:
            self.process.send_signal(number)


@contextlib.contextmanager
def ready() -> Iterator[None]:
    """Nothing has to be held back here, and nothing counts what nobody waits for."""
    yield


def start(command: Sequence[str], stdout_to_stderr: bool = False, counter: None = None) -> Popened:
    """Start `command` (no shell); raises launch.NotStarted."""
    from trimwatt.meter import launch

    before = usage.tree_cpu_s()
    try:
        process = subprocess.Popen(list(command), stdout=sys.stderr.fileno() if stdout_to_stderr else None)  # noqa: S603
    except OSError as error:
        raise launch.not_started(command[0], error) from None
    return Popened(process, before)


def wait(launched: Popened) -> int:
    """Wait for the command's end; returns its exit code, 128 + n where signal n ended it."""
    kept = {n: signal.signal(n, launched.ask_to_end) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        while launched.exit_code is None:
            launched.look()
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = launched.process.wait(_LOOK_S)
                launched.exit_code = code if code >= 0 else 128 - code
        launched.look()
        return launched.exit_code
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
