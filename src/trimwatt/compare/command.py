"""A command as an arm: a request is one run of it, its CPU seconds those of all processes that it starts."""

from __future__ import annotations

import os
import shlex
import sys
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from trimwatt._process import Child
from trimwatt.compare import conditions
from trimwatt.compare._base import Block
from trimwatt.errors import InputError
from trimwatt.host import launcher
from trimwatt.host.launcher import Order, Run


class CommandArm:
    """Runs `words` (no shell), each time in a fresh process, its output swallowed.

    parity: refuse one that prints something else from run to run, whose work may vary. show: pass on to stderr what it
    prints. cwd, environment: where it runs and with what; as here unless given. What it leaves running is waited for,
    for a while; then that is named in the block, and ended. Raises InputError, from any run, where it cannot be
    started, fails or (with parity) varies.
    """

    def __init__(
        self, words: Sequence[str], name: str = "", *, parity: bool = True, show: bool = False,
        cwd: Path | None = None, environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        if not hasattr(os, "wait4"):
            raise InputError("commands are compared by wait4, which this system lacks; compare callables instead")
        if not words:
            raise InputError("a command is a list of words, got none; write it like ['python', 'train.py']")
        self.words, self.name = list(words), name or shlex.join(words)
        self.parity, self.show = parity, show
        self.cwd, self.environment = cwd, environment
        self.cores: frozenset[int] | None = None
        self.first: Run | None = None
        self._launcher: Child | None = None

    def pin(self, cores: frozenset[int]) -> bool:
        """Its processes are started on `cores`, and their children inherit that."""
        self.cores = cores if hasattr(os, "sched_setaffinity") else None
        return self.cores is not None

    def run(self, count: int) -> Block:
        """Run it `count` times, one after the other."""
        runs = [self._once() for _ in range(count)]
        uncounted = "; ".join(dict.fromkeys(r.missing for r in runs if r.missing))
        return Block(
            sum(r.cpu_s for r in runs), sum(r.wall_s for r in runs), count, load=conditions.load(),
            counted=runs[-1].way, uncounted=uncounted or None,
        )  # fmt: skip

    def renew(self) -> bool:
        """Nothing to do: each run is a fresh process."""
        return False

    def digest(self) -> str:
        """The sha256 of what it prints."""
        return (self.first or self._once()).digest

    def printed(self) -> str:
        """What one more run of it prints to stdout; it may fail."""
        return self._ordered(printed=True).out.decode(errors="replace")

    def _once(self) -> Run:
        ran = self._ordered(self.show)
        if self.show:
            sys.stderr.write((ran.out + ran.err).decode(errors="replace"))
        if ran.code != 0:
            raise InputError(
                f"{shlex.join(self.words)} {_how(ran.code)}{_last(ran.tail)}; compare commands that succeed"
            )
        self.first = self.first or ran
        if self.parity and ran.digest != self.first.digest:
            raise InputError(
                f"{shlex.join(self.words)} prints something else from run to run, so its work may vary; make it "
                "repeatable (a seed, no times), or compare without parity"
            )
        return ran

    def _ordered(self, printed: bool) -> Run:
        """One run, by a process of its own that starts it and is asked for nothing else."""
        environment = dict(os.environ if self.environment is None else self.environment)
        order = Order(tuple(self.words), str(self.cwd or os.getcwd()), environment, self.cores, printed)
        if self._launcher is None:
            self._launcher = Child("trimwatt.host.launcher:serve", (launcher.LINGER_S,), kept=True)
            # an arm that nobody closes does not leave it behind
            weakref.finalize(self, self._launcher.close)
        try:
            ran: Run = self._launcher.call(order, float("inf"))
        except BaseException:
            self.close()
            raise
        if ran.error:
            raise InputError(f"{self.words[0]!r} cannot be started ({ran.error}); give a program and its words")
        return ran

    def close(self) -> None:
        """End the process that starts it, and with that whatever it has left."""
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


def _last(tail: str) -> str:
    """The last line of what went to stderr."""
    lines = tail.strip().splitlines()
    return f" ({lines[-1][:200]})" if lines else ""
