"""Small real and made-up jobs to hold techniques and runtimes to their contracts."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from trimwatt import metric
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Data, Decide, Rows, Split, Workload, take


def _data(x: Rows, y: Array, kind: Literal["table", "image"], classes: tuple[object, ...] | None, name: str) -> Data:
    first, second = int(0.6 * len(y)), int(0.8 * len(y))
    parts = (slice(0, first), slice(first, second), slice(second, None))
    train, val, test = (Split(take(x, part), y[part]) for part in parts)
    return Data(train, val, test, kind, classes, name)


@cache
def digits(kind: Literal["table", "image"] = "table", rows: int = 600) -> Workload:
    """scikit-learn's handwritten digits: (n, 64) or (n, 8, 8) float64 of 0 to 16, classes 0 to 9, accuracy."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    x = loaded.data if kind == "table" else loaded.images
    data = _data(x[:rows], loaded.target[:rows].astype(np.int64), kind, tuple(range(10)), "digits")
    return Workload(data, metric=metric.get("accuracy"))


def _people(rows: int) -> tuple[dict[str, Array], Array]:
    """Named columns as stored, with gaps in numbers and text, and a score that they explain in part."""
    rng = np.random.default_rng(7)
    age, hours = rng.normal(40, 12, rows), rng.gamma(8, 5, rows)
    work = rng.choice(np.array(["office", "field", "", "home, alone"], dtype=object), rows, p=[0.4, 0.3, 0.1, 0.2])
    town = rng.choice(np.array([f"Örtchen {i}" for i in range(12)], dtype=object), rows)
    score = 0.05 * (age - 40) + 0.04 * (hours - 40) + (work == "office") + rng.normal(0, 0.5, rows)
    age, hours = age.astype(np.float32), hours.astype(np.float32)
    age[rng.random(rows) < 0.05] = np.nan
    return {"age": age, "hours per week": hours, "work": work, "town": town}, score


@cache
def people(rows: int = 800, request: Literal["dict", "frame"] = "dict") -> Workload:
    """Named columns of numbers and text with gaps, classes "no" and "yes" (the rarer), f1."""
    x, score = _people(rows)
    data = _data(x, (score > np.quantile(score, 0.7)).astype(np.int64), "table", ("no", "yes"), "people")
    decide = Decide(("no", "yes"), None, 1)
    return Workload(data, metric=metric.get("f1", positive=1), decide=decide, scenario=Scenario(request=request))


@cache
def incomes(rows: int = 800) -> Workload:
    """The same columns with a value to predict in the tens of thousands, r2."""
    x, score = _people(rows)
    data = _data(x, 30_000 + 8_000 * score, "table", None, "incomes")
    scenario = Scenario(request="dict")
    return Workload(data, metric=metric.get("r2"), outputs="values", scenario=scenario)
