"""`with meter() as m:` and what it read; `@metered`; work repeated until a sensor resolves it."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, ParamSpec, TypeVar, overload

from trimwatt import units
from trimwatt.energy import Reading
from trimwatt.errors import InputError
from trimwatt.meter import cgroup as groups
from trimwatt.meter import pick as _pick
from trimwatt.meter import powercap, usage, windows_tree
from trimwatt.meter._base import Mark, Meter
from trimwatt.meter.combined import as_combined, resolution
from trimwatt.meter.windows import MARGIN, coverage, read, summary

__all__ = ["coverage", "measure_callable", "meter", "metered", "read", "summary"]

P = ParamSpec("P")
R = TypeVar("R")
_FRAMEWORKS = ("torch", "jax", "tensorflow", "cupy")
_LONGEST_S = 60.0


class meter:
    """Meters a block of code: this process, its children, and the machine around them.

    Silent; no file, no network. Windows nest, overlap, and run in threads and asyncio tasks, each with an object of its
    own; those that overlap each tell what was used while they ran. `reading` is there once the block is left, also by
    an error. Also `async with`, `start()` and `stop()`, and a decorator, `@meter("train")`.

        with trimwatt.meter("train") as m:
            train()
        print(m.reading.process)

    sensor: a Meter in place of the best one here. pid: share of another process and its children; cgroup: of a control
    group, by path or by a name within (a container's id, a Slurm job, a pod's uid). require: "measured" raises
    SensorAbsent where energy would be estimated.
    """

    def __init__(
        self, name: str | None = None, *, sensor: Meter | None = None, pid: int | None = None,
        cgroup: str | os.PathLike[str] | None = None, require: Literal["measured"] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._given = sensor
        self.sensor = sensor or _here()
        self._subject = _subject(pid, cgroup)
        self._start: Mark | None = None
        self._is_open = False
        self._used_s = 0.0
        self._said: tuple[str, ...] = ()
        self._watch: windows_tree.Watch | None = None
        self._owner = os.getpid()
        self._reading: Reading | None = None
        if require is not None:
            _require(require, self.sensor)

    @property
    def reading(self) -> Reading:
        """What was read; raises InputError while the block still runs."""
        if self._reading is None:
            raise InputError("there is no reading yet: leave the `with meter()` block first")
        return self._reading

    def start(self) -> meter:
        """Begin the window; raises InputError where it has already begun."""
        if self._is_open and self._owner == os.getpid():
            raise InputError("this window is already open; stop it first, or make another meter() for what is inside")
        self._reading = None
        self._said = _synchronise()
        self.sensor = self._given or _here()
        self._combined = as_combined(self.sensor)
        self._owner = os.getpid()
        # only an accelerator's sensor knows processes by number
        has_shares = any(hasattr(part, "shares") for part in self._combined.parts)
        self._watch = windows_tree.begin(self._subject or usage.Own()) if has_shares else None
        self._used_s = 0.0 if self._subject is None else self._subject.cpu_s()
        self._start, self._is_open = self._combined.mark(), True
        return self

    def stop(self) -> Reading:
        """End the window; raises InputError where it has not begun."""
        self._reading = self.so_far()
        self._is_open = False
        if self._watch is not None:
            windows_tree.end(self._watch)
        return self._reading

    def so_far(self) -> Reading:
        """What was read from the start until now; the window goes on."""
        if self._start is None or not self._is_open:
            raise InputError("this window is not open: start() it, or use `with meter()`")
        if self._owner != os.getpid():
            return _parents(self._owner)
        said = dict.fromkeys((*self._said, *_synchronise()))
        now = self._combined.mark()
        used = None if self._subject is None else self._subject.cpu_s() - self._used_s
        pids = None if self._watch is None else self._watch.look()
        found = read(self._combined, self._start, now, self._subject, used, pids)
        return replace(found, warnings=(*found.warnings, *said)) if said else found

    def __enter__(self) -> meter:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            self.stop()

    async def __aenter__(self) -> meter:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function; each call has a window of its own, and `function.reading` is the last one's."""
        return metered(name=self.name, sensor=self._given)(function)

    def __str__(self) -> str:
        head = f"{self.name}: " if self.name else ""
        return head + (summary(self._reading) if self._reading else "not read yet")

    def _repr_html_(self) -> str:
        import html

        return f"<p>{html.escape(str(self))}</p>"


def _subject(pid: int | None, cgroup: str | os.PathLike[str] | None) -> usage.Subject | None:
    if pid is not None and cgroup is not None:
        raise InputError(f"a window is of a process or of a control group, got both pid {pid} and cgroup {cgroup}")
    if cgroup is not None:
        return groups.find(cgroup)
    return None if pid is None else usage.Tree(pid)


def _require(require: str, sensor: Meter) -> None:
    if require != "measured":
        raise InputError(f'require is "measured" or nothing, got {require!r}')
    _pick.demand_measured(sensor)


def _parents(pid: int) -> Reading:
    """For a window that a fork took along: it is the parent's, and counts this process there as its child."""
    why = f"this window was begun before a fork, in process {pid}, which reads it; begin another in this process"
    return Reading(None, None, {}, 0.0, 0.0, warnings=(why,))


def _here() -> Meter:
    return _shared(powercap.root(), os.environ.get("TRIMWATT_NVML"), os.getpid())


@functools.lru_cache(maxsize=1)
def _shared(root: Path, nvml: str | None, pid: int) -> Meter:
    """One sensor for all windows of this process; looking for it each time would cost more than the reading."""
    return _pick.pick()


def _synchronise() -> tuple[str, ...]:
    """Wait for the work that loaded frameworks have queued on an accelerator, so that it falls into its window."""
    if not any(name in sys.modules for name in _FRAMEWORKS):
        return ()
    from trimwatt.meter import sync

    return sync.accelerators()


@overload
def metered(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def metered(
    *, name: str | None = None, sensor: Meter | None = None, repeat: bool = False, at_least_s: float | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def metered(
    function: Callable[..., Any] | None = None, /, *, name: str | None = None, sensor: Meter | None = None,
    repeat: bool = False, at_least_s: float | None = None,
) -> Any:  # fmt: skip
    """Decorate a function so that `function.reading` holds the reading of its last call; coroutines too.

    repeat: call it again until the sensor resolves the window (or `at_least_s` seconds), with readings of one call; the
    last call's answer is returned. Only for functions that may be called more than once.
    """
    if function is None:
        return functools.partial(metered, name=name, sensor=sensor, repeat=repeat, at_least_s=at_least_s)
    return _decorated(function, name or str(getattr(function, "__name__", "call")), sensor, repeat, at_least_s)


def _decorated(
    function: Callable[..., Any], name: str, sensor: Meter | None, repeat: bool, at_least_s: float | None
) -> Any:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(
            f"{name} is a generator: calling it does no work yet; put `with meter()` round the loop over it"
        )
    if inspect.iscoroutinefunction(function):
        return _decorated_coroutine(function, name, sensor, repeat)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        window = meter(name, sensor=sensor)
        try:
            if repeat or at_least_s is not None:
                return _repeated(window, functools.partial(function, *args, **kwargs), at_least_s)
            with window:
                return function(*args, **kwargs)
        finally:
            wrapper.reading = window.reading  # type: ignore[attr-defined]

    return wrapper


def _decorated_coroutine(function: Callable[..., Any], name: str, sensor: Meter | None, repeat: bool) -> Any:
    if repeat:
        raise InputError(f"{name} is a coroutine, which is not repeated; await it in a loop inside `with meter()`")

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        window = meter(name, sensor=sensor)
        try:
            async with window:
                return await function(*args, **kwargs)
        finally:
            wrapper.reading = window.reading  # type: ignore[attr-defined]

    return wrapper


def measure_callable(
    function: Callable[[], Any], *, at_least_s: float | None = None, name: str | None = None,
    sensor: Meter | None = None,
) -> Reading:  # fmt: skip
    """The reading of one call, from as many calls in one window as the sensor needs to resolve it.

    at_least_s: the window's least duration; None takes five times what the sensor resolves, and one call where it
    resolves any. `reading.calls` says how many there were. An error of `function` passes.
    """
    if at_least_s is not None and not 0 <= at_least_s < float("inf"):
        raise InputError(f"at_least_s is a duration in seconds, got {at_least_s}; leave it out to let the sensor say")
    window = meter(name, sensor=sensor)
    _repeated(window, function, at_least_s)
    return window.reading


def _repeated(window: meter, function: Callable[[], R], at_least_s: float | None) -> R:
    """Call until the window is long enough; the last answer."""
    calls = 0
    try:
        with window:
            needs_s = MARGIN * resolution(window.sensor) if at_least_s is None else at_least_s
            if at_least_s is None and needs_s > _LONGEST_S:
                needs = units.seconds(needs_s)
                raise InputError(f"{window.sensor.name} resolves nothing in less than {needs}; say at_least_s to wait")
            end = time.monotonic() + needs_s
            while True:
                answer = function()
                calls += 1
                if time.monotonic() >= end:
                    return answer
    finally:
        window._reading = window.reading.a_call(max(1, calls))
