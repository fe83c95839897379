"""What a process has used: its own CPU seconds, and those of the processes it started."""

from __future__ import annotations

import time


def cpu_s() -> float:
    """CPU seconds of this process and of every child that it has waited for.

    A callable may leave its work to a program that it starts; by its own clock alone that would cost nothing.
    """
    try:
        import resource
    except ImportError:
        # Windows keeps no account of children
        return time.process_time()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
