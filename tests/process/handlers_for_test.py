"""Handlers that the process tests run in children."""

from __future__ import annotations

import gc
import os
import resource
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


def faults() -> Any:
    """Answers with the pages that this process touched anew while it called one of these."""
    import numpy as np

    def collect() -> None:
        gc.collect()

    def train() -> None:
        # as the layers of a network: several megabytes, taken and returned at every step
        for _ in range(20):
            for part in [np.empty(3 << 18) for _ in range(6)]:
                part.fill(1)

    def answer(name: str) -> int:
        work = {"collect": collect, "train": train}[name]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    return answer
