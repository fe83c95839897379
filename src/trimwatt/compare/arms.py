"""Arms: a deployed model in a process of its own, or a callable in this one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any, Self

from trimwatt._process import Child, Forks, ForkServer
from trimwatt.compare import affinity, host
from trimwatt.compare._base import Block
from trimwatt.host import processes
from trimwatt.runtime._base import Artifact
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Rows


@dataclass(frozen=True)
class Limits:
    """What a session may take: resident bytes, seconds to open, seconds for one call."""

    memory_bytes: float | None = None
    open_s: float = 120.0
    call_s: float = 120.0


class ChildArm:
    """What a process of its own answers: `handler`, "package.module:function", built from `args` in a child.

    server: the fork server the process comes from; None starts a fresh interpreter, whose memory is the deployment's
    own. All that it starts is counted, and ends with it. Raises TrialFailed, with the reason, where it cannot be opened
    within `limits`, and from any call.
    """

    def __init__(
        self, handler: str, args: tuple[Any, ...], name: str, limits: Limits | None = None,
        server: Forks | None = None,
    ) -> None:  # fmt: skip
        self.name, self.limits = name, limits or Limits()
        self._given = handler, args, server
        self._child = self._open()

    def _open(self) -> Child:
        handler, args, server = self._given
        return Child(
            handler, args, server=server, memory_limit_bytes=self.limits.memory_bytes, timeout_s=self.limits.open_s,
            kept=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._child.pid

    def run(self, count: int) -> Block:
        """Answer `count` requests; CPU seconds are the child's, and those of all that it starts."""
        block: Block = self._ask("run", count)
        return block

    def pin(self, cores: frozenset[int]) -> bool:
        """Keep it and the processes it has started on `cores`; those it starts later are there anyway."""
        for pid in processes.descendants(self.pid):
            affinity.pin(pid, cores)
        return affinity.pin(self.pid, cores)

    def renew(self) -> bool:
        """Go on in a fresh process."""
        self.close()
        self._child = self._open()
        return True

    def _ask(self, *message: Any) -> Any:
        return self._child.call(message, self.limits.call_s)

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SessionArm(ChildArm):
    """An artifact opened in a fresh process, its requests handed over once.

    requests: rows to ask with, cut into requests of `scenario.batch_size` rows in the scenario's form.
    """

    def __init__(
        self, artifact: Artifact, scenario: Scenario, requests: Rows, limits: Limits | None = None, *,
        name: str = "", server: ForkServer | None = None,
    ) -> None:  # fmt: skip
        handed = artifact, scenario, requests
        super().__init__("trimwatt.compare.host:serve", handed, name or artifact.folder.name, limits, server)

    def predict(self, rows: Rows, batch: int | None = None) -> Array:
        """Labels or values (n,), asked for `batch` rows at a time; None leaves that open."""
        answer: Array = self._ask("predict", rows, batch)
        return answer

    def scores(self, rows: Rows, batch: int | None = None) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,), asked for `batch` rows at a time."""
        answer: Array = self._ask("scores", rows, batch)
        return answer

    def error_bound(self) -> float | None:
        """How far its scores may be from those in float32 by design; None where it does not say."""
        answer: float | None = self._ask("bound")
        return answer

    def latency(self, n: int = 200) -> dict[str, float]:
        """{"p50", "p95"} in seconds by the wall clock of single requests, warmed up."""
        answer: dict[str, float] = self._ask("latency", n)
        return answer

    def peak_rss_bytes(self) -> int | None:
        """Peak resident memory of the process so far, in bytes."""
        answer: int | None = self._ask("peak")
        return answer


class ModelArm(ChildArm):
    """An object with `predict`, a torch module, or a callable that takes rows: asked with requests cut from `rows`."""

    def __init__(
        self, model: Any, scenario: Scenario, rows: Rows, limits: Limits | None = None, *, name: str = ""
    ) -> None:
        handed = model, scenario, rows
        super().__init__("trimwatt.compare.handed:serve_model", handed, name or type(model).__name__, limits)

    def predict(self, rows: Rows) -> Array:
        """What it answers to all `rows`, a request's batch at a time where it takes no more."""
        answer: Array = self._ask("predict", rows)
        return answer


class FunctionArm(ChildArm):
    """A callable without arguments, handed to a process of its own; a request is one call."""

    def __init__(
        self, function: Callable[[], object], limits: Limits | None = None, *, name: str = "", threads: int = 1
    ) -> None:
        handed = function, threads
        super().__init__("trimwatt.compare.handed:serve_function", handed, name or called(function), limits)

    def value(self) -> bytes | None:
        """What a call returns, pickled; None where it cannot be."""
        answer: bytes | None = self._ask("value")
        return answer


def called(function: Callable[..., object]) -> str:
    """A callable's name."""
    return getattr(function, "__name__", None) or type(function).__name__


class CallableArm:
    """A callable without arguments, in this process; a request is one call.

    CPU seconds are those of the whole process and of its children, so nothing else may work in it meanwhile.
    alone: whether its calls are known to start no process.
    """

    def __init__(self, function: Callable[[], object], name: str = "", *, alone: bool = False) -> None:
        self.name = name or called(function)
        self._function, self.alone = function, alone

    def call(self) -> object:
        """What a call returns."""
        return self._function()

    def run(self, count: int) -> Block:
        function = self._function
        block = host.block(lambda _: function(), repeat(None), count)
        return replace(block, uncounted=None) if self.alone else block

    def pin(self, cores: frozenset[int]) -> bool:
        return affinity.pin(os.getpid(), cores)
