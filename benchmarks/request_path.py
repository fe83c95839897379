"""CPU time that a request takes apart from the model, by its form and its number of columns. See README.md beside this.

python benchmarks/request_path.py -o benchmarks/results/request_path.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _record import cpu_model, versions

from trimwatt import metric
from trimwatt import runtime as runtimes
from trimwatt.framework.onnx import lower, open_session
from trimwatt.scenario import Scenario
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Linear
from trimwatt.workload import Data, Decide, Split, Workload, take

CALLS, PAIRS = 200, 31
TABLES = ((6, 8), (12, 0), (36, 0), (20, 16))
LARGE = 100_000


def work(numbers: int, words: int, rows: int = 400) -> Workload:
    """A linear classifier of two classes over made-up columns."""
    rng = np.random.default_rng(0)
    x: dict[str, Any] = {f"number {i}": rng.normal(size=rows).astype(np.float32) for i in range(numbers)}
    for i in range(words):
        x[f"word {i}"] = rng.choice(np.array([f"w{i} {k}" for k in range(8)], dtype=object), rows)
    split = Split(x, rng.integers(0, 2, rows))
    decide, scenario = Decide((0, 1)), Scenario(request="dict")
    data = Data(split, split, split, "table", (0, 1))
    return lower(apply(Linear(), Workload(data, metric=metric.get("accuracy"), decide=decide, scenario=scenario)))


def array(features: int) -> Workload:
    """The same over one array."""
    x = np.random.default_rng(0).normal(size=(400, features)).astype(np.float32)
    split = Split(x, (x[:, 0] > 0).astype(np.int64))
    data = Data(split, split, split, "table", (0, 1))
    return lower(apply(Linear(), Workload(data, metric=metric.get("accuracy"), decide=Decide((0, 1)))))


def forms(rows: dict[str, Any]) -> dict[str, Any]:
    """One row in each form of a request."""
    frame = pd.DataFrame(rows)
    cells = {name: column[0].item() if column.dtype != object else column[0] for name, column in rows.items()}
    return {
        "dict of arrays": rows, "dict of cells": cells, "DataFrame": frame, "Series": frame.iloc[0],
        "list of dicts": [cells], "DataFrame, 32 rows": pd.concat([frame] * 32, ignore_index=True),
    }  # fmt: skip


def _seconds(call: Callable[[], object], calls: int) -> float:
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) / calls


def apart(whole: Callable[[], object], model: Callable[[], object], calls: int = CALLS) -> dict[str, float]:
    """CPU microseconds per request of `whole`, of `model`, and of the first without the second: the median of pairs
    that took turns, with the 95 % interval of that median."""
    for _ in range(calls):
        whole(), model()
    pairs = [(_seconds(whole, calls) * 1e6, _seconds(model, calls) * 1e6) for _ in range(PAIRS)]
    rest = sorted(a - b for a, b in pairs)
    # the order statistics that hold the median of 31 in 95 of 100 cases
    low, high = rest[round(PAIRS / 2 - 0.98 * PAIRS**0.5)], rest[round(PAIRS / 2 + 0.98 * PAIRS**0.5) - 1]
    whole_us, model_us = (statistics.median(side) for side in zip(*pairs, strict=True))
    figures = {"whole": whole_us, "model": model_us, "apart": statistics.median(rest), "low": low, "high": high}
    return {name: round(value, 2) for name, value in figures.items()}


def session_of(job: Workload, runtime: str, folder: Path) -> Any:
    (place := folder / f"{runtime}-{len(list(folder.iterdir()))}").mkdir()
    kind = runtimes.get(runtime)
    return kind.open(kind.export(job, place), job.scenario), place


def named_inputs(model: bytes) -> bytes:
    """The same graph with one input per column, as it was before: encoders of words and a Concat in front."""
    import onnx

    parsed = onnx.load_model_from_string(model)
    said = json.loads({entry.key: entry.value for entry in parsed.metadata_props}["trimwatt.inputs"])
    (tensor,), nodes, inputs, parts = said, [], [], []
    for place, column in enumerate(tensor["columns"]):
        codes, name = column.get("codes"), column["name"]
        kind = onnx.TensorProto.FLOAT if codes is None else onnx.TensorProto.STRING
        inputs.append(onnx.helper.make_tensor_value_info(name, kind, ("n", 1)))
        parts.append(name if codes is None else f"code/{place}")
        if codes is not None:
            known = {"keys_strings": list(codes), "values_floats": [float(code) for code in codes.values()]}
            encoder = onnx.helper.make_node(
                "LabelEncoder", [name], [parts[-1]], domain="ai.onnx.ml", default_float=-1.0, **known
            )
            nodes.append(encoder)
    nodes.append(onnx.helper.make_node("Concat", parts, [tensor["name"]], axis=1))
    graph = onnx.helper.make_graph(
        [*nodes, *parsed.graph.node], "named", inputs, list(parsed.graph.output), list(parsed.graph.initializer)
    )
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    made = onnx.helper.make_model(graph, opset_imports=versions, ir_version=parsed.ir_version)
    return bytes(made.SerializeToString())


def table(numbers: int, words: int, folder: Path) -> dict[str, Any]:
    """All forms of one row, a large batch, and packed against named inputs."""
    job = work(numbers, words)
    session, place = session_of(job, "onnxruntime", folder)
    rows = take(job.rows.test.x, slice(0, 1))
    assert isinstance(rows, dict)
    run, asked, found = session._session.run, session._asked, {}
    for form, request in forms(rows).items():
        ready = session._feed(request)
        found[form] = apart(lambda r=request: session.predict(r), lambda f=ready: run(["prediction"], f, asked))  # type: ignore[misc]
    other = open_session(named_inputs((place / "model.onnx").read_bytes()))
    ready, packed = {name: column.reshape(-1, 1) for name, column in rows.items()}, session._feed(rows)
    assert other.run(["prediction"], ready)[0] == run(["prediction"], packed)[0]
    inputs = apart(lambda: other.run(["prediction"], ready, asked), lambda: run(["prediction"], packed, asked))
    many = take(job.rows.test.x, np.arange(LARGE) % len(job.rows.test))
    frame = pd.DataFrame(many)
    large = {
        form: {"us_per_row": round(_seconds(lambda r=request: session.predict(r), 3) * 1e6 / LARGE, 4)}  # type: ignore[misc]
        for form, request in (("dict of arrays", many), ("DataFrame", frame))
    }
    return {
        "numbers": numbers, "words": words, "one_row_us": found, f"{LARGE}_rows": large,
        "graph_us": {"named inputs": inputs["whole"], "one tensor": inputs["model"], "difference": inputs},
    }  # fmt: skip


def one_array(features: int, folder: Path) -> dict[str, Any]:
    job = array(features)
    session, _ = session_of(job, "onnxruntime", folder)
    row = take(job.rows.test.x, slice(0, 1))
    ready, asked = session._feed(row), session._asked
    run = session._session.run
    return {
        "features": features,
        "one_row_us": apart(lambda: session.predict(row), lambda: run(["prediction"], ready, asked)),
    }


def runtimes_us(folder: Path) -> dict[str, Any]:
    """The whole answer to one row of a table with words, in each runtime."""
    job = work(6, 8)
    rows = take(job.rows.test.x, slice(0, 1))
    found = {}
    for name in ("onnxruntime", "openvino"):
        session, _ = session_of(job, name, folder)
        found[name] = {form: _whole(session, request) for form, request in forms(rows).items()}  # type: ignore[arg-type]
    return found


def _whole(session: Any, request: Any) -> float:
    return apart(lambda: session.predict(request), lambda: None)["whole"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record = {
            "what": "CPU microseconds per request of one row; apart: the whole predict without the bare session's run",
            "date": time.strftime("%Y-%m-%d"), "cpu": cpu_model(), "python": platform.python_version(),
            "packages": versions(), "load_before": round(os.getloadavg()[0], 2),
            "calls": CALLS, "pairs": PAIRS, "interval": "95 % of the median",
            "array": [one_array(features, folder) for features in (14, 64)],
            "tables": [table(*sizes, folder) for sizes in TABLES],
            "runtimes_whole_us": runtimes_us(folder),
        }  # fmt: skip
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if output is not None:
        output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
