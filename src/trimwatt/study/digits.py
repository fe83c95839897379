"""The demo: scikit-learn's handwritten digits, a forest as the baseline, a network beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trimwatt import input
from trimwatt._imports import require
from trimwatt.study.options import Options
from trimwatt.workload import Data


def digits() -> Data:
    """1,797 images of 8 x 8 pixels, flattened to a table (n, 64) of float32 in 0..16, and their digits."""
    datasets = require("sklearn.datasets", "demo", "The demo")
    x, y = datasets.load_digits(return_X_y=True)
    data, _ = input.load({"x": x.astype(np.float32), "y": y})
    return replace(data, name="digits")


def options(output: str | Path, force: bool) -> Options:
    """What a study of them is asked in the demo: to take only what so few rows prove."""
    from trimwatt.technique.classical import Forest

    return Options(
        baseline=(Forest(trees=200),), metric="accuracy", max_drop=0.01, strict=True, budget="55s", output=output,
        force=force,
    )  # fmt: skip
