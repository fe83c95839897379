"""Handlers that the process tests run in children."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any


def echo(prefix: str) -> Callable[[Any], Any]:
    def handle(message: Any) -> Any:
        if message == "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        if message == "exit":
            os._exit(3)
        if message == "sleep":
            time.sleep(30)
        if message == "grow":
            hog = bytearray(200_000_000)
            time.sleep(5)
            return len(hog)
        if message == "raise":
            raise ValueError("what came is wrong\nsecond line")
        if message == "pid":
            return os.getpid()
        return prefix, message

    return handle


def refuse() -> Callable[[Any], Any]:
    raise RuntimeError("cannot be built")


def stay(marker: str) -> Callable[[Any], Any]:
    """Spawn nothing, write the pid, and sleep when asked."""

    def handle(seconds: float) -> None:
        time.sleep(seconds)

    with open(marker, "a") as file:
        file.write(f"{os.getpid()}\n")
    return handle
