"""Keeping a process on chosen cores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def available() -> frozenset[int]:
    """Cores this process may run on; numbered from 0 where the platform does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def pin(pid: int, cores: frozenset[int]) -> bool:
    """Keep every present thread of `pid` on `cores`; False where this platform or the system refuses.

    All threads, not the first alone: a pool that a runtime opened before would stay where it was.
    """
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        threads = [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        threads = [pid]
    try:
        for thread in threads:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(thread, cores)
    except OSError:
        return False
    return True


def draw(cores: frozenset[int], threads: int, rng: np.random.Generator) -> frozenset[int]:
    """`threads` of `cores` by lot, all of them where there are no more."""
    ordered = sorted(cores)
    chosen = rng.choice(len(ordered), size=min(threads, len(ordered)), replace=False)
    return frozenset(ordered[int(i)] for i in chosen)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Give this process its cores back afterwards, where a callable in it was pinned."""
    before = available()
    try:
        yield
    finally:
        if available() != before:
            pin(os.getpid(), before)
