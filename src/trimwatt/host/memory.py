"""How much memory this process may still take: of the machine, and of the control groups that it is in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from trimwatt.host import group, processes


def free_bytes() -> int:
    """What the machine has free, or, if that is less, the tightest of its control groups (a container, a job)."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_groups()])


def _left_in_groups() -> Iterator[int]:
    """What each group with a limit leaves, from this process's own up to the top; of version 2 and of version 1."""
    for folder in _groups("cgroup2", ""):
        yield from _left(folder, "memory.max", "memory.current", "inactive_file")
    for folder in _groups("cgroup", "memory"):
        yield from _left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _left(folder: Path, limit: str, used: str, droppable: str) -> Iterator[int]:
    """A group's limit less what it holds; the kernel drops files that lie unused before anything fails."""
    most, held = _number(folder / limit), _number(folder / used)
    if most is not None and held is not None:
        yield min(most, max(0, most - held + min(held, _keyed(folder / "memory.stat", droppable))))


def _groups(kind: str, controller: str) -> Iterator[Path]:
    """The folder of this process's group and those above it, as far as they are seen from here."""
    top = group.mount(kind, controller)
    if top is None:
        return
    lines = [line.split(":", 2) for line in _text(processes.PROC / "self" / "cgroup").splitlines()]
    inside = [path for _, names, path in lines if controller in names.split(",")]
    folder = top / inside[0].strip("/") if inside else top
    # from inside a container the path may lead out of what it sees
    if ".." in folder.parts or not folder.is_dir():
        folder = top
    yield folder
    yield from (above for above in folder.parents if above.is_relative_to(top))


def _keyed(file: Path, key: str) -> int:
    """The number behind `key`; 0 where there is none."""
    pairs = (line.split() for line in _text(file).splitlines())
    return next((int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == key and pair[1].isdigit()), 0)


def _number(file: Path) -> int | None:
    """A number; None of "max" and of nothing."""
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""
