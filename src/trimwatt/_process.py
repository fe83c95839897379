"""Child processes: fresh interpreters, or forks of a server that has imported the frameworks.

Not multiprocessing's own: its children import the user's main module again, which runs a script twice.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Protocol

from trimwatt._child import READY
from trimwatt._lookup import package_folder, search_path
from trimwatt.errors import TrialFailed, TrialStopped
from trimwatt.host import counting
from trimwatt.units import seconds, size


def dumps(value: Any) -> bytes:
    """Pickled; by value where a class lives in a notebook or a script, if cloudpickle is there to do so."""
    try:
        import cloudpickle
    except ImportError:
        return pickle.dumps(value)
    return bytes(cloudpickle.dumps(value))


def loads(data: bytes) -> Any:
    """What a child of this run gave as `dumps`."""
    return pickle.loads(data)  # noqa: S301 - from our own child, over a private socket


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}


def _python(entry: str, fd: int, output: Any) -> subprocess.Popen[bytes]:
    """A fresh interpreter, in which neither -c nor PYTHONPATH puts the current folder before the standard library."""
    code = f"import sys; sys.path.append({package_folder()!r}); from trimwatt._child import {entry}; {entry}({fd})"
    return subprocess.Popen(  # noqa: S603 - our own interpreter and entry
        [sys.executable, "-P", "-c", code],
        pass_fds=(fd,), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(),
    )  # fmt: skip


class _Launched(Protocol):
    pid: int

    def exit_code(self) -> int: ...


class _Fresh:
    def __init__(self, fd: int, output: Any) -> None:
        self.process = _python("fresh", fd, output)
        self.pid = self.process.pid

    def exit_code(self) -> int:
        return self.process.wait()


class Forks(Protocol):
    """What forks a worker that serves the other end of a socket, and waits for it."""

    def fork(self, fd: int) -> int: ...

    def wait(self, pid: int) -> int: ...


class _Forked:
    def __init__(self, server: Forks, fd: int) -> None:
        self.server = server
        self.pid = server.fork(fd)

    def exit_code(self) -> int:
        return self.server.wait(self.pid)


class ForkServer:
    """A process that has imported `modules` but run nothing, and forks workers in milliseconds."""

    def __init__(self, modules: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs, open(os.devnull, "wb") as nowhere:
            self._process = _python("zygote", theirs.fileno(), nowhere)
        self.pid = self._process.pid
        self._control, self._began_s = ours, time.monotonic()
        data = pickle.dumps((os.getpid(), search_path(), list(modules)))
        ours.sendall(f"{len(data):<16}".encode() + data)
        self._ready_s: float | None = None

    def _wait_ready(self) -> None:
        if self._ready_s is not None:
            return
        told = self._control.recv(READY, socket.MSG_WAITALL)
        if len(told) < READY:
            raise TrialFailed("the fork server did not start")
        self._ready_s = float(told)

    def ready_after_s(self) -> float | None:
        """How long it took to start, in seconds, once it is ready; None where it did not come to that."""
        try:
            self._wait_ready()
        except (OSError, ValueError, TrialFailed):
            return None
        return None if self._ready_s is None else max(0.0, self._ready_s - self._began_s)

    def fork(self, fd: int) -> int:
        """The pid of a new worker that serves the other end of `fd`; raises TrialFailed where the server is gone."""
        try:
            self._wait_ready()
            socket.send_fds(self._control, [b"f"], [fd])
            return int(self._control.recv(16, socket.MSG_WAITALL))
        except (OSError, ValueError) as error:
            raise TrialFailed("the process that starts workers is gone; memory may have run out") from error

    def wait(self, pid: int) -> int:
        """The exit code of a worker once it has ended; a kill's where the server is gone, as it took all along."""
        try:
            self._control.sendall(f"w{pid}".encode())
            return int(self._control.recv(16, socket.MSG_WAITALL))
        except (OSError, ValueError):
            return -signal.SIGKILL

    def close(self) -> None:
        """End the server, and with it every worker."""
        self._control.close()
        self._process.kill()
        self._process.wait()


class Child:
    """A process that serves `handler`, "package.module:function": function(*args) returns what answers messages.

    server: the fork server to come from; None starts a fresh interpreter. memory_limit_bytes: resident memory beyond
    which it is killed while it works. kept: with a process above it that counts all that it starts and ends that with
    it. Raises TrialFailed where the handler cannot be built within timeout_s seconds.
    """

    def __init__(
        self, handler: str, args: tuple[Any, ...] = (), *, server: Forks | None = None,
        memory_limit_bytes: float | None = None, timeout_s: float = 120.0, kept: bool = False,
    ) -> None:  # fmt: skip
        self.memory_limit_bytes = memory_limit_bytes
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            self._launched: _Launched = _Forked(server, fd) if server else _Fresh(fd, self._output)
        self.pid = self._launched.pid
        self._connection = Connection(ours.detach())
        self._closed = False
        keeping = counting.keeping() if kept else None
        self._ending = signal.SIGKILL if keeping is None else signal.SIGTERM
        try:
            # what cannot be pickled must not leave the process behind either
            self._send(pickle.dumps((os.getpid(), search_path(), handler, dumps(args), keeping)))
            self.pid = self._reply(timeout_s)
            self._reply(timeout_s)
        except BaseException:
            self.close()
            raise

    def call(self, message: Any, timeout_s: float) -> Any:
        """The handler's reply; raises TrialFailed with the reason where it raised, died, or took too much."""
        self._send(dumps(message))
        return self._reply(timeout_s)

    def _send(self, data: bytes) -> None:
        try:
            self._connection.send_bytes(data)
        except OSError:
            raise TrialFailed(self._epitaph()) from None

    def _reply(self, timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        while not self._connection.poll(0.05):
            if time.monotonic() > deadline:
                self.close()
                raise TrialStopped(f"took more than {seconds(timeout_s)}, the time it was given")
            self._check_memory()
        try:
            status, *rest = self._connection.recv()
        except (EOFError, OSError):
            raise TrialFailed(self._epitaph()) from None
        if status == "failed":
            error = TrialFailed(rest[0])
            error.add_note(rest[1])
            raise error
        return rest[0]

    def _check_memory(self) -> None:
        if self.memory_limit_bytes is None:
            return
        import psutil

        with contextlib.suppress(psutil.Error):
            if psutil.Process(self.pid).memory_info().rss > self.memory_limit_bytes:
                self.close()
                raise TrialFailed(f"took more than {size(self.memory_limit_bytes)} of memory, what it was given")

    def _epitaph(self) -> str:
        """Why the child is gone."""
        if self._closed:
            return "the process was already closed"
        code = self._launched.exit_code()
        self._output.seek(0)
        last = self._output.read()[-2000:].decode(errors="replace").strip().splitlines()[-1:]
        self._release()
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"the process {how}" + (f": {last[0][:300]}" if last else "")

    def close(self) -> None:
        """End the process and wait for it; nothing is left behind, and where it is kept nothing that it started."""
        if self._closed:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._launched.pid, self._ending)
        self._launched.exit_code()
        self._release()

    def _release(self) -> None:
        self._closed = True
        self._connection.close()
        self._output.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
