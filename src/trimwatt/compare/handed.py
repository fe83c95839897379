"""Inside the child: a callable or a model that was handed over as it is, answering blocks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from itertools import cycle, repeat
from typing import Any

import numpy as np

from trimwatt._process import dumps
from trimwatt.compare import host
from trimwatt.errors import InputError
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Rows, count, take

# kept for as long as the process lives: the limits end with the object
_LIMITS: list[Any] = []


def limit_threads(threads: int) -> None:
    """Keep the pools of loaded libraries at `threads`: more of them on one core wait for each other and burn time."""
    if importlib.util.find_spec("threadpoolctl"):
        import threadpoolctl  # type: ignore[import-untyped]

        _LIMITS.append(threadpoolctl.threadpool_limits(threads))
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def serve_function(function: Callable[[], object], threads: int) -> Callable[[tuple[Any, ...]], Any]:
    """Answer ("run", n) with a Block and ("value",) with what a call returns, pickled, None where that fails."""
    limit_threads(threads)

    def handle(message: tuple[Any, ...]) -> Any:
        if message[0] == "run":
            return host.block(lambda _: function(), repeat(None), message[1])
        return packed(function())

    return handle


def packed(value: object) -> bytes | None:
    """A value, pickled; None where it cannot be."""
    if isinstance(value, _LAZY):
        raise InputError(
            f"it returns a {type(value).__name__}, whose work is done only when it is consumed; consume it inside"
        )
    try:
        return dumps(value)
    except Exception:
        # a value's own __reduce__ may raise anything
        return None


_LAZY = (type(_ for _ in ()), map, filter, zip)


def serve_model(model: Any, scenario: Scenario, rows: Rows) -> Callable[[tuple[Any, ...]], Any]:
    """Answer ("run", n) with a Block and ("predict", rows) with what the model answers, (n,)."""
    answer = _answer(model, scenario.threads)
    limit_threads(scenario.threads)
    endless = cycle(host.cut(rows, scenario))

    def handle(message: tuple[Any, ...]) -> Any:
        if message[0] == "run":
            return host.block(answer, endless, message[1])
        return _all(answer, message[1], scenario)

    return handle


def _all(answer: Callable[[Any], Any], rows: Rows, scenario: Scenario) -> Array:
    """Answers to all rows in order, each asked once at least."""
    n = count(rows)
    parts = [labels(answer(request)) for request in host.cut(_whole(rows, scenario.batch_size), scenario)]
    return np.concatenate(parts)[:n]


def _whole(rows: Rows, batch: int) -> Rows:
    """The rows, the first ones again at the end, so that they fill whole requests."""
    n = count(rows)
    return take(rows, np.arange(-(-n // batch) * batch) % n)


def labels(answer: Any) -> Array:
    """Labels or values (n,) of what a model gave: the largest column of scores."""
    made = answer[0] if isinstance(answer, tuple | list) and len(answer) and not np.isscalar(answer[0]) else answer
    found = np.asarray(made)
    if found.ndim == 0:
        return found.reshape(1)
    flat = found.reshape(len(found), -1)
    return flat[:, 0] if flat.shape[1] == 1 else flat.argmax(axis=1)


def _answer(model: Any, threads: int) -> Callable[[Any], Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        return _module(model, torch)
    for part in _parts(model):
        if getattr(part, "n_jobs", None) is not None:
            part.n_jobs = threads
    answer: Callable[[Any], Any] = model.predict if hasattr(model, "predict") else model
    return answer


def _parts(model: Any) -> Sequence[Any]:
    """A scikit-learn estimator and all inside it."""
    return [model, *model.get_params(deep=True).values()] if hasattr(model, "get_params") else []


def _module(model: Any, torch: Any) -> Callable[[Any], Any]:
    """A torch module at its best: evaluation and inference mode; floats in the precision of its weights."""
    model.eval()
    floating = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)

    def answer(request: Any) -> Any:
        given = torch.from_numpy(request)
        with torch.inference_mode():
            return model(given.to(floating) if given.is_floating_point() else given)

    return answer
