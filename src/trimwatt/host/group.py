"""A control group of our own (version 2): the kernel's total of all its processes, whatever became of them."""

from __future__ import annotations

import contextlib
import os
import re
import time
from itertools import count
from pathlib import Path

from trimwatt.host import processes
from trimwatt.host.counting import Plain

_PREFIX = "trimwatt-"
_NUMBER = count()


def mount(kind: str = "cgroup2", controller: str = "") -> Path | None:
    """Where the version 2 hierarchy is mounted, with or without version 1 beside it; None where it is not.

    kind: "cgroup" is version 1, whose hierarchies are told apart by a `controller` among their options.
    """
    with contextlib.suppress(OSError):
        for line in (processes.PROC / "self" / "mounts").read_text().splitlines():
            _, folder, found, options, *_ = line.split()
            if found == kind and (not controller or controller in options.split(",")):
                return Path(re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), folder))
    return None


def own() -> Path:
    """The folder of the group this process is in. Raises OSError where there is none that can be seen."""
    top = mount()
    lines = (processes.PROC / "self" / "cgroup").read_text().splitlines()
    inside = [line[3:].strip("/") for line in lines if line.startswith("0::")]
    if top is None or not inside or ".." in Path(inside[0]).parts:
        raise OSError("no control group of version 2 is seen from here")
    return top / inside[0]


class GroupCounter(Plain):
    """Puts this process into a group of its own, where all that it starts stays too.

    Raises OSError where no group may be made: neither root nor a delegated group.
    """

    way = "cgroup"

    def __init__(self) -> None:
        self._parent = own()
        _sweep(self._parent)
        self.folder = self._parent / f"{_PREFIX}{os.getpid()}-{next(_NUMBER)}"
        self.folder.mkdir()
        self._stat = -1
        try:
            _move(os.getpid(), self.folder)
            self._stat = os.open(self.folder / "cpu.stat", os.O_RDONLY | os.O_CLOEXEC)
            self._start_s = self._usage_s()
        except BaseException:
            self.close()
            raise

    def total_s(self) -> float:
        return self._usage_s() - self._start_s

    def _usage_s(self) -> float:
        # asking for our own clock has the kernel book what runs right now, up to a tick of 1 to 10 ms
        time.process_time()
        found = re.match(rb"usage_usec (\d+)", os.pread(self._stat, 512, 0))
        if found is None:
            raise OSError(f"{self.folder.name} tells no CPU time")
        return int(found[1]) / 1e6

    def close(self) -> None:
        """Back to where we were, with all that is still in the group, and remove it."""
        if self._stat >= 0:
            os.close(self._stat)
            self._stat = -1
        with contextlib.suppress(OSError):
            for pid in (self.folder / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):
                    _move(int(pid), self._parent)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def _move(pid: int, folder: Path) -> None:
    (folder / "cgroup.procs").write_text(str(pid))


def _sweep(parent: Path) -> None:
    """Remove the empty groups of processes that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not (processes.PROC / pid).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()
