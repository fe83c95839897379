"""Inside the launcher: run a command, wait for all that it started, and say what the whole of it used."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from trimwatt.host import counting, keeper

# how long processes that a command left running are waited for; less once it has been seen to leave some for good
LINGER_S, _BRIEFLY_S = 10.0, 0.5
_TAIL_BYTES = 2000


@dataclass(frozen=True)
class Order:
    """What to run, where and with what. cores: to start it on. printed: hand over what it prints."""

    words: tuple[str, ...]
    cwd: str
    environment: dict[str, str] = field(repr=False)
    cores: frozenset[int] | None = None
    printed: bool = False


@dataclass(frozen=True)
class Run:
    """One run. code: negative for a signal. cpu_s: of the command and all it started. wall_s: to its own end.

    error: why it could not be started. digest: sha256 of its stdout. tail: the end of its stderr. out, err: all of both
    where asked for. missing: what could not be counted. way: how it was.
    """

    code: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    digest: str = ""
    tail: str = ""
    out: bytes = b""
    err: bytes = b""
    missing: str = ""
    way: str = ""
    error: str = ""


def serve(linger_s: float = LINGER_S) -> Callable[[Order], Run]:
    """What runs an `Order` and answers with a `Run`; the process's keeper waits for what a command leaves running."""
    # a handler, since what is ignored would be ignored by the commands too
    signal.signal(signal.SIGINT, lambda number, frame: None)
    return _Launcher(linger_s).run


class _Launcher:
    def __init__(self, linger_s: float) -> None:
        self._linger_s, self._before_s = linger_s, 0.0

    def run(self, order: Order) -> Run:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            started = time.perf_counter()
            try:
                process = _start(order, out, err)
            except OSError as error:
                return Run(error=error.strerror or str(error))
            code = process.wait()
            wall_s = time.perf_counter() - started
            account = self._all_ended()
            used_s, self._before_s = account.below_s - self._before_s, account.below_s
            told = (_read(out), _read(err)) if order.printed else (b"", b"")
            return Run(code, used_s, wall_s, _sha256(out), _tail(err), *told, account.missing, account.way)

    def _all_ended(self) -> keeper.Account:
        account = keeper.ask(self._linger_s)
        if account is None:
            # elsewhere than on Linux nothing is kept
            return keeper.Account(counting.waited_s(), True, "", counting.Waited.way)
        if account.ended:
            self._linger_s = min(self._linger_s, _BRIEFLY_S)
        return account


def _start(order: Order, out: IO[bytes], err: IO[bytes]) -> subprocess.Popen[bytes]:
    # the shell's way to look a name up is from the folder the command runs in
    os.chdir(order.cwd)
    with _on(order.cores):
        return subprocess.Popen(  # noqa: S603 - the user's own command, without a shell
            list(order.words), stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=order.environment
        )


@contextlib.contextmanager
def _on(cores: frozenset[int] | None) -> Iterator[None]:
    """This process on `cores` while it starts another, which inherits them."""
    if cores is None or sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _read(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _tail(file: IO[bytes]) -> str:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - _TAIL_BYTES))
    return file.read().decode(errors="replace")


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    digest: Any = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
    return str(digest.hexdigest())
