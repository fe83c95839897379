"""A window of one test, also where several run at once."""

from __future__ import annotations

import os
from types import TracebackType

from trimwatt.energy import Reading
from trimwatt.meter import session, usage
from trimwatt.meter._base import Mark
from trimwatt.meter.combined import as_combined
from trimwatt.meter.windows import read


class _Worker(usage.Own):
    """This process, one of the workers of pytest-xdist: it reserves its part of what they reserve together."""

    def threads(self) -> float:
        workers = os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
        return usage.reserved_threads() / max(1, int(workers) if workers.isdigit() else 1)


class Window:
    """`with Window() as w:` reads this process and its children; `w.reading` is there once the block is left."""

    reading: Reading
    _start: Mark

    def __enter__(self) -> Window:
        self._sensor = as_combined(session.meter().sensor)
        self._start = self._sensor.mark()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reading = read(self._sensor, self._start, self._sensor.mark(), _Worker())
