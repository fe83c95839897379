"""One contestant's model of quality.py answers requests: `python _quality_serve.py NAME FOLD RUN FORM`.

FORM is frame (a DataFrame of one row), dict (column to array of one), array (1, columns), or bare: a session of ONNX
Runtime with a ready tensor, of trimwatt's artifact its own and of others their export. Prints a line when it
is ready, then answers as many requests as each line of its input says, and prints the CPU and wall seconds they took.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# one thread, as deployed; libraries read this when they are loaded
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ROWS = 64
Call = Callable[[Any], Any]


def requests_of(frame: Any, form: str) -> list[Any]:
    """Single rows of `frame` in the form asked for."""
    few = frame.iloc[:ROWS]
    if form == "frame":
        return [few.iloc[n : n + 1] for n in range(len(few))]
    if form == "dict":
        return [{name: few[name].to_numpy()[n : n + 1] for name in few} for n in range(len(few))]
    if not all(dtype.kind in "buif" for dtype in few.dtypes):
        raise TypeError("rows with text or dates are no array of numbers")
    whole = few.to_numpy(float)
    return [whole[n : n + 1] for n in range(len(whole))]


def trimwatt(fold: Path, run: Path, task: SimpleNamespace, form: str) -> tuple[Call, list[Any]]:
    """The artifact as Study.recommended gives it."""
    import pandas as pd

    from trimwatt.runtime import deployed

    model = deployed.load(run / "study" / "artifact").open()
    frame = pd.read_csv(fold / "judged.csv")
    if form != "bare":
        return model.predict, requests_of(frame, form)
    return _bare(model, requests_of(frame, "frame"))


def _bare(model: Any, rows: list[Any]) -> tuple[Call, list[Any]]:
    """What the artifact itself asks of its session, with the tensors that it had made of these rows."""
    import onnxruntime

    seen: list[tuple[Any, str, tuple[Any, ...], dict[str, Any]]] = []
    kept = {name: getattr(onnxruntime.InferenceSession, name) for name in ("run", "run_with_ort_values")}

    def watching(name: str) -> Callable[..., Any]:
        def call(session: Any, *given: Any, **named: Any) -> Any:
            seen.append((session, name, given, named))
            return kept[name](session, *given, **named)

        return call

    for name in kept:
        setattr(onnxruntime.InferenceSession, name, watching(name))
    try:
        for row in rows:
            model.predict(row)
    finally:
        for name, plain in kept.items():
            setattr(onnxruntime.InferenceSession, name, plain)
    if len(seen) != len(rows):
        raise RuntimeError(f"the artifact asked ONNX Runtime {len(seen)} times for {len(rows)} rows")
    return (lambda ready: getattr(ready[0], ready[1])(*ready[2], **ready[3])), seen


def exported(fold: Path, run: Path, task: SimpleNamespace, form: str) -> tuple[Call, list[Any]]:
    """A contestant's export in a session of one thread; only the label or value is asked for."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(run / "export.onnx"), options, providers=["CPUExecutionProvider"])
    asked = onnxruntime.RunOptions()
    asked.only_execute_path_to_fetches = True
    wanted, name = [session.get_outputs()[0].name], session.get_inputs()[0].name
    rows = np.load(run / "export.npz")["rows"][:ROWS]
    feeds = [{name: rows[n : n + 1]} for n in range(len(rows))]
    return (lambda feed: session.run(wanted, feed, asked)), feeds


def autogluon(fold: Path, run: Path, task: SimpleNamespace, form: str) -> tuple[Call, list[Any]]:
    """AutoGluon's predictor, all its models kept in memory."""
    import _quality_fit as fit
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    model = TabularPredictor.load(str(run / "autogluon"))
    model.persist()
    frame = fit.read(fold / "judged.csv", task)
    call = model.predict if form == "frame" else lambda row: model.predict(pd.DataFrame(row))
    if form == "array":
        call = lambda row: model.predict(pd.DataFrame(row, columns=frame.columns))  # noqa: E731
    return call, requests_of(frame, form)


def peer(fold: Path, run: Path, task: SimpleNamespace, form: str) -> tuple[Call, list[Any]]:
    """A fitted estimator. A dict becomes a DataFrame first, with the categories that it was trained with."""
    import _quality_fit as fit
    import joblib
    import pandas as pd

    model = joblib.load(run / "model.joblib")
    _one_thread(model)
    judged = fit.as_categories(fit.read(fold / "judged.csv", task), fit._parts(fold, task)[0])
    frame = judged if hasattr(model, "best_estimator") else fit.without_dates(judged)
    kinds = {name: dtype for name, dtype in frame.dtypes.items() if dtype == "category"}

    def named(row: Any) -> Any:
        made = pd.DataFrame(row)
        return model.predict(made.astype(kinds) if kinds else made)

    return (named if form == "dict" else model.predict), requests_of(frame, form)


def _one_thread(model: Any) -> None:
    """What FLAML wraps keeps the threads it was trained with unless told."""
    inner = getattr(getattr(model, "model", None), "estimator", model)
    if hasattr(inner, "get_params") and "n_jobs" in inner.get_params():
        inner.set_params(n_jobs=1)


def tell(what: Any) -> None:
    """One line for the one who asks, which is told from what libraries print by its first sign."""
    print(f"> {json.dumps(what)}", flush=True)


def serve(call: Call, requests: list[Any]) -> None:
    """Answer until the input ends."""
    every = cycle(requests)
    for line in sys.stdin:
        batch = list(islice(every, int(line)))
        started, used = time.perf_counter(), time.process_time()
        for request in batch:
            call(request)
        tell([time.process_time() - used, time.perf_counter() - started])


def main() -> None:
    name, fold, run, form = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    task = SimpleNamespace(**json.loads((run / "task.json").read_text(encoding="utf-8")))
    warnings.simplefilter("ignore")
    opener = {"trimwatt": trimwatt, "autogluon": autogluon}.get(name, peer)
    try:
        call, requests = (exported if form == "bare" and name != "trimwatt" else opener)(fold, run, task, form)
        for request in requests:
            call(request)
    except Exception as error:  # what a library refuses, it refuses in its own words
        tell({"refused": f"{type(error).__name__}: {error}".splitlines()[0][:300]})
        return
    tell({"ready": len(requests)})
    serve(call, requests)


if __name__ == "__main__":
    main()
