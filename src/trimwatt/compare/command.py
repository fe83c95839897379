"""A command as an arm: a request is one run of it, its CPU seconds those of its whole process tree."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from trimwatt.compare import conditions
from trimwatt.compare._base import Block
from trimwatt.errors import InputError


@dataclass(frozen=True)
class Ran:
    """One run: CPU seconds of the process and all it waited for, wall seconds, sha256 of what it printed."""

    cpu_s: float
    wall_s: float
    digest: str


class CommandArm:
    """Runs `words` (no shell), each time in a fresh process, its output swallowed.

    parity: refuse one that prints something else from run to run, whose work may vary. show: pass on to stderr what it
    prints. cwd, environment: where it runs and with what; as here unless given. Raises InputError, from any run,
    where it cannot be started, fails or (with parity) varies.
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
        self.first: Ran | None = None

    def pin(self, cores: frozenset[int]) -> bool:
        """Its processes are started on `cores`, and their children inherit that."""
        self.cores = cores if hasattr(os, "sched_setaffinity") else None
        return self.cores is not None

    def run(self, count: int) -> Block:
        """Run it `count` times, one after the other."""
        runs = [self._once() for _ in range(count)]
        return Block(sum(r.cpu_s for r in runs), sum(r.wall_s for r in runs), count, load=conditions.load())

    def renew(self) -> bool:
        """Nothing to do: each run is a fresh process."""
        return False

    def digest(self) -> str:
        """The sha256 of what it prints."""
        return (self.first or self._once()).digest

    def _once(self) -> Ran:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started = time.perf_counter()
            code, usage = self._waited(out, err)
            wall = time.perf_counter() - started
            if self.show:
                _pass_on(out)
                _pass_on(err)
            if code != 0:
                raise InputError(f"{shlex.join(self.words)} {_how(code)}{_last(err)}; compare commands that succeed")
            ran = Ran(usage.ru_utime + usage.ru_stime, wall, _sha256(out))
        self.first = self.first or ran
        if self.parity and ran.digest != self.first.digest:
            raise InputError(
                f"{shlex.join(self.words)} prints something else from run to run, so its work may vary; make it "
                "repeatable (a seed, no times), or compare without parity"
            )
        return ran

    def _waited(self, out: IO[bytes], err: IO[bytes]) -> tuple[int, Any]:
        try:
            with _on(self.cores):
                process = subprocess.Popen(  # noqa: S603
                    self.words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=self.cwd, env=self.environment
                )
        except OSError as error:
            raise InputError(
                f"{self.words[0]!r} cannot be started ({error.strerror}); give a program and its words"
            ) from error
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage


@contextlib.contextmanager
def _on(cores: frozenset[int] | None) -> Iterator[None]:
    """This thread on `cores` while it starts a process, which inherits them; no code of ours runs in the child."""
    if cores is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _how(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"


def _last(err: IO[bytes]) -> str:
    """The last line of what went to stderr."""
    err.seek(0)
    lines = err.read()[-2000:].decode(errors="replace").strip().splitlines()
    return f" ({lines[-1][:200]})" if lines else ""


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _pass_on(file: IO[bytes]) -> None:
    file.seek(0)
    sys.stderr.write(file.read().decode(errors="replace"))
