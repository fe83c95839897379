"""Twenty honest data sets, real and made, in which no row tells of another: none of them may raise an alarm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from leaky_tables import text

from trimwatt.input import load
from trimwatt.workload import Array, Data


def _bundled(name: str) -> Callable[[Path], Data]:
    def made(_: Path) -> Data:
        from sklearn import datasets

        return load(getattr(datasets, f"load_{name}")(return_X_y=True))[0]

    return made


def _generated(name: str, **options: Any) -> Callable[[Path], Data]:
    def made(_: Path) -> Data:
        from sklearn import datasets

        return load(getattr(datasets, f"make_{name}")(random_state=0, **options))[0]

    return made


def _real(name: str, **options: Any) -> Callable[[Path], Data]:
    return lambda folder: load(folder / name, **options)[0]


def _table(made: Callable[[], tuple[dict[str, Any], Array]], **options: Any) -> Callable[[Path], Data]:
    def loaded(_: Path) -> Data:
        import pandas as pd

        x, y = made()
        return load(pd.DataFrame({**x, "target": y}), target="target", **options)[0]

    return loaded


def _three_categories() -> tuple[dict[str, Any], Array]:
    rng = np.random.default_rng(0)
    x = {name: text(rng.choice(["low", "middle", "high", "none"], 2000)) for name in ("wind", "sun", "rain")}
    return x, ((x["wind"] == "high") ^ (rng.random(2000) < 0.2)).astype(int)


def _tied_categories() -> tuple[dict[str, Any], Array]:
    rng = np.random.default_rng(1)
    region = rng.integers(0, 6, 2000)
    shop = np.where(rng.random(2000) < 0.8, region, rng.integers(0, 6, 2000))
    x = {
        "region": text([f"r{n}" for n in region]),
        "shop": text([f"s{n}" for n in shop]),
        "size": rng.integers(1, 5, 2000),
    }
    return x, (region + rng.integers(0, 3, 2000) > 3).astype(int)


def _questionnaire() -> tuple[dict[str, Any], Array]:
    rng = np.random.default_rng(2)
    mood = rng.normal(size=1500)
    answers = {f"q{n}": np.clip(np.round(3 + mood + rng.normal(size=1500)), 1, 5).astype(int) for n in range(8)}
    return answers, (mood + rng.normal(size=1500) > 0).astype(int)


def _sensors(by: str = "time") -> tuple[dict[str, Any], Array]:
    """Readings once a second, some of them in whole steps, as converters give them."""
    rng, seconds = np.random.default_rng(3), np.arange(3000)
    load_ = 0.5 + 0.4 * np.sin(seconds / 90) + 0.1 * rng.normal(size=3000)
    x = {
        "time": 1_700_000_000 + seconds, "volts": 230 + rng.normal(size=3000).round(1),
        "amps": np.round(10 * load_), "celsius": np.round(40 + 8 * load_ + rng.normal(size=3000), 1),
        "valve": (load_ > 0.6).astype(int),
    }  # fmt: skip
    y = (load_ + 0.1 * rng.normal(size=3000) > 0.6).astype(int)
    if by == "split":
        x |= {"split": text(np.repeat(["train", "val", "test"], 1000))}
        del x["time"]
    return x, y


def _customers() -> tuple[dict[str, Any], Array]:
    """A number for each row, dates without effect, a country of many rows, amounts in steps."""
    rng = np.random.default_rng(4)
    day = np.datetime64("2022-01-01") + rng.integers(0, 700, 2000)
    age, country = rng.integers(18, 80, 2000), rng.integers(0, 30, 2000)
    x = {
        "customer_id": np.arange(2000), "since": text([str(d) for d in day]), "age": age,
        "country": text([f"c{n}" for n in country]), "income": rng.lognormal(10, 0.5, 2000).round(-2),
    }  # fmt: skip
    return x, (age + 10 * rng.normal(size=2000) > 50).astype(int)


def _prices() -> tuple[dict[str, Any], Array]:
    """A kind that tells two thirds of a price, as kinds do."""
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 20, 2000)
    price = rng.normal(size=20)[kind] + 0.7 * rng.normal(size=2000)
    return {"kind": text([f"k{n}" for n in kind]), "weight": rng.normal(size=2000)}, price


def _fixed_camera(noise: float, anywhere: bool) -> Callable[[Path], Data]:
    """Parts before one background, half of them with a mark that anyone sees; no picture was taken twice."""

    def made(_: Path) -> Data:
        rng = np.random.default_rng(5)
        rows, columns = np.mgrid[:32, :32] / 32
        background = 128 + 60 * np.sin(7 * rows) * np.cos(5 * columns)
        y = rng.integers(0, 2, 600)
        x = background + noise * rng.normal(size=(600, 32, 32))
        for k in np.flatnonzero(y):
            down, right = rng.integers(2, 24, 2) if anywhere else (10, 12)
            x[k, down : down + 6, right : right + 6] += 60
        x = np.clip(x, 0, 255).astype(np.uint8)
        return load(((x[:360], y[:360]), (x[360:480], y[360:480]), (x[480:], y[480:])))[0]

    return made


CLEAN: dict[str, Callable[[Path], Data]] = {
    "Adult": _real("adult.csv.gz", target="income"),
    "bike sharing by time": _real("bike_sharing_hour.csv.gz", target="cnt", time="dteday"),
    "PM2.5 by time": _real("beijing_pm25.csv.gz", target="TEMP", time="No"),
    "PneumoniaMNIST": _real("pneumoniamnist.npz"),
    "digits": _bundled("digits"),
    "iris": _bundled("iris"),
    "wine": _bundled("wine"),
    "breast cancer": _bundled("breast_cancer"),
    "diabetes": _bundled("diabetes"),
    "three categories": _table(_three_categories),
    "categories that go together": _table(_tied_categories),
    "a questionnaire": _table(_questionnaire),
    "sensors at one rate, by time": _table(_sensors, time="time"),
    "sensors at one rate, split by their order": _table(lambda: _sensors("split")),
    "customers with numbers and dates": _table(_customers),
    "kinds with a price": _table(_prices),
    "two classes": _generated("classification", n_samples=2000, n_features=20),
    "three classes": _generated("classification", n_samples=900, n_features=8, n_informative=5, n_classes=3),
    "moons": _generated("moons", n_samples=1000, noise=0.2),
    "twenty blobs": _generated("blobs", n_samples=1000, centers=20),
    "rings": _generated("circles", n_samples=800, noise=0.1, factor=0.5),
    "a plane": _generated("regression", n_samples=1000, n_features=10, noise=1.0),
    "a fixed camera": _fixed_camera(4, anywhere=False),
    "a fixed camera with much noise": _fixed_camera(10, anywhere=False),
    "a fixed camera, marks anywhere": _fixed_camera(4, anywhere=True),
    "Friedman's function": _generated("friedman1", n_samples=1000, noise=1.0),
}
