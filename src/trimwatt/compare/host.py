"""Inside the child: an opened session that answers the blocks, predictions and latencies it is asked for.

It imports numpy and the runtime, nothing else of the comparison: what stands beside a model in its process is
counted with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np

from trimwatt._child import peak_rss_bytes
from trimwatt.compare import clock, conditions
from trimwatt.compare._base import Block
from trimwatt.errors import InputError
from trimwatt.framework.rows import to_frame
from trimwatt.runtime._base import Artifact, Session
from trimwatt.scenario import Request, Scenario
from trimwatt.workload import Array, Rows, Stored, count, requests, take

# rows of one call of predict and scores where none are asked for: what bounds memory, not what is measured
_CHUNK = 256


def in_form(rows: Rows, request: Request) -> Any:
    """`rows` as a request carries them: an array, a dict of columns, or a pandas DataFrame."""
    if request == "array":
        return rows
    if not isinstance(rows, dict):
        raise InputError(f"a request of form {request!r} needs named columns, got one array; use request='array'")
    if request == "dict":
        return rows
    if isinstance(rows, Stored):
        return to_frame(rows)
    import pandas

    return pandas.DataFrame(rows)


def cut(rows: Rows, scenario: Scenario) -> list[Any]:
    """The requests that `rows` give: `batch_size` rows each, in order, going round at the end; at least one."""
    n, size = count(rows), scenario.batch_size
    if n == 0:
        raise InputError("there are no rows to ask with; give at least one")
    wanted = max(1, n // size)
    index = np.arange(wanted * size) % n
    return [in_form(_copied(take(rows, index[k * size : (k + 1) * size])), scenario.request) for k in range(wanted)]


def _copied(rows: Rows) -> Rows:
    """Contiguous and its own, as a request that just came in."""
    if isinstance(rows, Stored):
        return Stored({name: column.copy() for name, column in rows.items()}, rows.labels, rows.library)
    if isinstance(rows, dict):
        return {name: np.ascontiguousarray(column) for name, column in rows.items()}
    return rows.copy() if isinstance(rows, np.ma.MaskedArray) else np.ascontiguousarray(rows)


def block(answer: Callable[[Any], object], requests: Iterator[Any], n: int) -> Block:
    """Answer the next `n` requests, by the clocks of this process and of all that it starts."""
    asked = list(islice(requests, n))
    watch = clock.Stopwatch()
    for request in asked:
        answer(request)
    used = watch.stop()
    return Block(
        used.cpu_s, used.wall_s, n, load=conditions.load(), counted=used.counted, uncounted=used.uncounted
    )  # fmt: skip


def latency(answer: Callable[[Any], object], requests: list[Any], n: int) -> dict[str, float]:
    """Median and 95th percentile of single requests, in seconds by the wall clock, after a tenth as many unseen."""
    seconds = []
    for k in range(-max(3, n // 10), n):
        started = time.perf_counter()
        answer(requests[k % len(requests)])
        if k >= 0:
            seconds.append(time.perf_counter() - started)
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return {"p50": float(p50), "p95": float(p95)}


def in_chunks(answer: Callable[[Any], Array], rows: Rows, request: Request, chunk: int | None = None) -> Array:
    """The answers for all rows, a chunk at a time; requests of `chunk` rows are all whole, where that is given."""
    n = count(rows)
    indices = requests(n, chunk) if chunk else (slice(i, i + _CHUNK) for i in range(0, n, _CHUNK))
    parts = [np.asarray(answer(in_form(_copied(take(rows, index)), request))) for index in indices]
    return np.concatenate(parts)[:n]


def serve(artifact: Artifact, scenario: Scenario, rows: Rows) -> Callable[[tuple[Any, ...]], Any]:
    """Open `artifact`; return what answers ("run", n), ("predict", rows, batch), ("scores", rows, batch),
    ("latency", n), ("peak",) and ("bound",).

    The answers: a Block, labels or values (n,), scores, quantiles in seconds, bytes, how far its scores may be from
    those in float32 (None where it does not say).
    """
    from trimwatt import runtime

    return answering(runtime.get(artifact.runtime).open(artifact, scenario), scenario, rows)


def answering(session: Session, scenario: Scenario, rows: Rows) -> Callable[[tuple[Any, ...]], Any]:
    """What answers such messages by a session that is open; its blocks ask with `rows`."""
    requests = cut(rows, scenario)
    endless = cycle(requests)

    def handle(message: tuple[Any, ...]) -> Any:
        what, *given = message
        if what == "run":
            return block(session.predict, endless, given[0])
        if what == "latency":
            return latency(session.predict, requests, given[0])
        if what == "peak":
            return peak_rss_bytes()
        if what == "bound":
            return getattr(session, "error_bound", None)
        return in_chunks(session.predict if what == "predict" else session.scores, given[0], scenario.request, given[1])

    return handle
