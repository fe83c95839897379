"""Control groups, version 2: what a container, a Slurm job or a Kubernetes pod has used and what it reserves."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from trimwatt.errors import InputError

# unified hierarchy, and where systems that still have version 1 beside it put it
_MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))


@dataclass
class Group:
    """One group below `root`, its children included. A group that is gone keeps the last figures that were seen."""

    folder: Path
    root: Path
    _last_cpu_s: float = field(default=0.0, repr=False)

    @property
    def label(self) -> str:
        return f"cgroup /{self.folder.relative_to(self.root).as_posix().removeprefix('.')}"

    def gone(self) -> bool:
        return not (self.folder / "cpu.stat").is_file()

    def cpu_s(self) -> float:
        """CPU seconds of all its processes since it was made."""
        usec = _keyed(self.folder / "cpu.stat").get("usage_usec")
        if usec is not None:
            self._last_cpu_s = max(self._last_cpu_s, usec / 1e6)
        return self._last_cpu_s

    def threads(self) -> float:
        """How many of the machine's hardware threads it may use: its CPU set, or the tightest quota over it if less."""
        machine = float(os.cpu_count() or 1)
        quota, cores = self.quota(), _cores(_text(self.folder / "cpuset.cpus.effective"))
        return min(machine, quota or machine, float(cores or machine))

    def quota(self) -> float | None:
        """CPUs that its own and its parents' cpu.max leave it, None where there is no limit."""
        limits = [limit for folder in self._upwards() if (limit := _quota(_text(folder / "cpu.max"))) is not None]
        return min(limits, default=None)

    def memory_bytes(self) -> int | None:
        """What it reserves: its tightest limit, or what it holds where it has none; None where the kernel is silent."""
        limits = [n for folder in self._upwards() if (n := _int(_text(folder / "memory.max"))) is not None]
        return min(limits, default=_int(_text(self.folder / "memory.current")))

    def memory_share(self) -> float | None:
        """The share of the machine's memory that it reserves."""
        held = self.memory_bytes()
        try:
            whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (OSError, ValueError, AttributeError):
            return None
        return None if held is None else min(1.0, held / whole)

    def peak_rss_bytes(self) -> int | None:
        """The most memory it has held, page cache and all."""
        return _int(_text(self.folder / "memory.peak"))

    def pids(self) -> frozenset[int]:
        """Its processes, those of groups inside it too."""
        found: set[int] = set()
        for folder, _, _ in os.walk(self.folder):
            found |= {int(pid) for pid in _text(Path(folder) / "cgroup.procs").split() if pid.isdigit()}
        return frozenset(found)

    def _upwards(self) -> Iterator[Path]:
        yield self.folder
        for parent in self.folder.parents:
            if not parent.is_relative_to(self.root):
                return
            yield parent


@functools.lru_cache(maxsize=1)
def mount() -> Path | None:
    """Where the version 2 hierarchy is, None where this system has none."""
    return next((folder for folder in _MOUNTS if (folder / "cgroup.controllers").is_file()), None)


def find(name: str | os.PathLike[str], root: Path | None = None) -> Group:
    """The group of this path ("/sys/fs/cgroup/a/b", "/a/b", "a/b"), or the only one whose name holds `name`.

    So the number of a Slurm job ("job_1234"), the uid of a pod or the id of a container is enough. Raises InputError
    where there is none, or more than one that is not inside another.
    """
    top = root or mount()
    if top is None:
        raise InputError(f"control group {os.fspath(name)!r} asked for, but this system has no cgroup version 2 tree")
    text = os.fspath(name)
    for folder in (Path(text), top / text.lstrip("/")):
        if folder.is_relative_to(top) and (folder / "cpu.stat").is_file():
            return Group(folder, top)
    return Group(_by_name(text, top), top)


def _by_name(text: str, top: Path) -> Path:
    matches: list[Path] = []
    for folder, below, _ in os.walk(top):
        hits = [name for name in below if text and text in name]
        matches += [Path(folder) / name for name in hits]
        # what lies inside a match belongs to it
        below[:] = [name for name in below if name not in hits]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise InputError(
            f"no control group is called {text!r} below {top}; give its path, as /proc/PID/cgroup shows it"
        )
    shown = ", ".join(str(m.relative_to(top)) for m in sorted(matches)[:3])
    raise InputError(f"{len(matches)} control groups are called {text!r} ({shown} ...); give the path of one")


def own(proc: Path = Path("/proc/self/cgroup"), root: Path | None = None) -> Group | None:
    """The group of a process; in a container that sees no further the root itself. None where there is no version 2."""
    top = root or mount()
    if top is None:
        return None
    inside = [line[3:] for line in _text(proc).splitlines() if line.startswith("0::")]
    if not inside:
        return None
    folder = top / inside[0].strip("/")
    # from inside a container the path may lead out of what it sees
    return Group(folder if ".." not in folder.parts and folder.is_dir() else top, top)


def _text(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text().strip()
    return ""


def _int(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _keyed(file: Path) -> dict[str, int]:
    """Lines of "name number"."""
    pairs = (line.partition(" ") for line in _text(file).splitlines())
    return {key: int(value) for key, _, value in pairs if value.strip().isdigit()}


def _quota(text: str) -> float | None:
    """CPUs of a cpu.max ("200000 100000"); None of "max 100000" and of none."""
    numbers = text.split()
    if len(numbers) != 2 or not all(n.isdigit() for n in numbers) or int(numbers[1]) == 0:
        return None
    return int(numbers[0]) / int(numbers[1])


def _cores(text: str) -> int | None:
    """How many cores a list such as "0-3,8" names."""
    ends = [part.split("-") for part in text.split(",") if part]
    if not ends or not all(end.isdigit() for pair in ends for end in pair):
        return None
    return sum(int(pair[-1]) - int(pair[0]) + 1 for pair in ends)
