"""What runs inside a child process: serve one handler, or stand ready to fork workers.

A child ends with its parent, whatever kills it: the kernel is asked to see to that, and where it cannot, the closed
connection tells. Interrupts are the parent's business.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import signal
import socket
import sys
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from typing import Any

from trimwatt.errors import TrimwattError
from trimwatt.host import keeper
from trimwatt.host.counting import Keeping

_PR_SET_PDEATHSIG = 1
# glibc's names for mallopt, and the most that it takes for the first
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD, _MOST_MMAP_THRESHOLD, _KEPT_BYTES = -3, -1, 1 << 25, 1 << 30
# bytes in which the fork server says when it was ready
READY = 24


def end_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` ends (Linux)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)


def resolve(handler: str) -> Any:
    """The object that "package.module:name" points to."""
    module, _, name = handler.partition(":")
    return getattr(importlib.import_module(module), name)


def reason(error: Exception) -> str:
    """One line that says what went wrong."""
    if isinstance(error, TrimwattError):
        return str(error)
    if isinstance(error, MemoryError):
        return "ran out of memory"
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines[0] else type(error).__name__


def serve(connection: Connection, handler: str, args: tuple[Any, ...]) -> None:
    """Build the handler, then answer each message with ("ok", reply) or ("failed", reason, traceback)."""
    try:
        handle = resolve(handler)(*args)
        reply: tuple[Any, ...] = ("ok", None)
    except Exception as error:
        connection.send(("failed", reason(error), traceback.format_exc()))
        return
    connection.send(reply)
    while True:
        try:
            message = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the parent, over a private socket
        except (EOFError, OSError):
            return
        try:
            reply = ("ok", handle(message))
        except Exception as error:
            reply = ("failed", reason(error), traceback.format_exc())
        connection.send(reply)


def fresh(fd: int) -> None:
    """Entry of a fresh interpreter: the first message says where to import from and what to serve."""
    connection = Connection(fd)
    parent, *given = connection.recv()
    _begin(connection, parent, *given)


def _begin(
    connection: Connection, parent: int, path: list[str], handler: str, arguments: bytes, keeping: Keeping | None
) -> None:
    """Serve until the parent has no more to ask. keeping: how what is started here is counted and ended, if it is."""
    end_with_parent(parent)
    sys.path[:] = path
    if keeping is not None:
        keeper.stand_above(keeping)
    connection.send(("ok", os.getpid()))
    serve(connection, handler, pickle.loads(arguments))  # noqa: S301 - from the parent, over a private socket


def zygote(fd: int) -> None:
    """Entry of the fork server: import the given modules once, then fork a server for each socket that arrives."""
    control = socket.socket(fileno=fd)
    parent, path, modules = pickle.loads(_message(control))  # noqa: S301 - from the parent, over a private socket
    end_with_parent(parent)
    sys.path[:] = path
    warnings.simplefilter("ignore")
    for module in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    share_memory_with_forks()
    # the clock that all processes share
    control.sendall(f"{time.monotonic():<{READY}.6f}".encode())
    while True:
        command, fds, _, _ = socket.recv_fds(control, 32, 1)
        if not command:
            os._exit(0)
        if command[:1] == b"w":
            _, status = os.waitpid(int(command[1:]), 0)
            control.sendall(f"{os.waitstatus_to_exitcode(status):<16}".encode())
            continue
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            control.close()
            forked(fds[0], server)
        os.close(fds[0])
        control.sendall(f"{pid:<16}".encode())


def share_memory_with_forks() -> None:
    """Save the system the work that workers would make it do page by page.

    Garbage collection leaves alone what was imported, or each worker would copy all of it. Memory that was freed stays
    with the worker: training takes and returns the same few megabytes at every step, a quarter of its CPU time where
    they go back to the system each time. Arrays above 32 MB still do.
    """
    gc.collect()
    gc.freeze()
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(AttributeError):  # other C libraries than glibc have no mallopt
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_MMAP_THRESHOLD, _MOST_MMAP_THRESHOLD)
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def forked(fd: int, server: int) -> None:
    """In the forked child: serve, then leave without the parent's exit handlers."""
    code = 1
    try:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        connection = Connection(fd)
        _, *given = connection.recv()
        _begin(connection, server, *given)
        code = 0
    finally:
        os._exit(code)


def _message(control: socket.socket) -> bytes:
    """One length-prefixed message."""
    size = int(control.recv(16, socket.MSG_WAITALL))
    return control.recv(size, socket.MSG_WAITALL)


def peak_rss_bytes() -> int | None:
    """Peak resident memory of this process in bytes; None where the system does not tell.

    Not getrusage: after exec its maximum still counts what the parent held.
    """
    try:
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
    return int(line.split()[1]) * 1024
