"""From which share of zeros a sparse product is cheaper than a dense one here: `python benchmarks/csr_break_even.py`.

A dense layer of each size in ONNX Runtime on one thread against the same layer as scipy.sparse CSR, in random order,
by CPU time; run it with nothing beside it. Written to results/csr_break_even.json, for each of --repeats seeds: the CPU
time of both at each size and batch, and the largest density tried at which CSR is the cheaper one (null: at none).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import _record
import numpy as np
from scipy import sparse

from trimwatt.framework.onnx.run import open_session

DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
SIZES = ((64, 64), (256, 256), (1024, 1024))
BATCHES = (1, 32)
BLOCK_S = 0.02
ROUNDS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    found = [
        [row(np.random.default_rng(seed), *s, batch) for s in SIZES for batch in BATCHES] for seed in range(repeats)
    ]
    record = {
        "name": "csr_break_even", "command": _record.tidy(" ".join(["python", *sys.argv])),
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "revision": _record.revision(),
        "host": _record.host(), "repeats": found,
    }  # fmt: skip
    target = _record.ROOT / "benchmarks" / "results" / "csr_break_even.json"
    target.write_text(_record.tidy(json.dumps(record, indent=1)) + "\n", encoding="utf-8")
    for same in zip(*found, strict=True):
        of = same[0]
        print(f"{of['inputs']} to {of['outputs']}, batch {of['batch']}:", [one["break_even_density"] for one in same])


def row(rng: np.random.Generator, inputs: int, out: int, batch: int) -> dict[str, Any]:
    """CPU microseconds a call, median over rounds, dense and at each density."""
    x = rng.normal(size=(batch, inputs)).astype(np.float32)
    weight = rng.normal(size=(inputs, out)).astype(np.float32)
    session = open_session(dense(weight))
    calls: dict[str, Callable[[], Any]] = {"dense": lambda: session.run(None, {"x": x})}
    columns = np.ascontiguousarray(x.T)
    for density in DENSITIES:
        kept = sparse.csr_matrix(np.where(rng.random(weight.shape) < density, weight, 0).T.copy())
        calls[str(density)] = lambda kept=kept: kept @ columns
    took = timed(rng, calls)
    cheaper = [density for density in DENSITIES if took[str(density)] < took["dense"]]
    return {
        "inputs": inputs, "outputs": out, "batch": batch, "break_even_density": max(cheaper, default=None),
        "cpu_us": {name: round(1e6 * value, 2) for name, value in took.items()},
    }  # fmt: skip


def dense(weight: np.ndarray[Any, Any]) -> bytes:
    """One MatMul as ONNX."""
    import onnx
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "dense",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", len(weight)])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", weight.shape[1]])],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def timed(rng: np.random.Generator, calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """CPU seconds a call by name: medians over rounds of blocks in random order."""
    sizes = {}
    for name, call in calls.items():
        call()
        start = time.process_time()
        for _ in range(20):
            call()
        sizes[name] = max(1, round(BLOCK_S / max((time.process_time() - start) / 20, 1e-7)))
    seen: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name in rng.permutation(list(calls)).tolist():
            start = time.process_time()
            for _ in range(sizes[name]):
                calls[name]()
            seen[name].append((time.process_time() - start) / sizes[name])
    return {name: statistics.median(values) for name, values in seen.items()}


if __name__ == "__main__":
    main()
