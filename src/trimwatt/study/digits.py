"""The demo: scikit-learn's handwritten digits, a forest as the baseline, a network beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import input
from trimwatt._imports import require
from trimwatt.workload import Data


def digits() -> Data:
    """1,797 images of 8 x 8 pixels, flattened to a table (n, 64) of float32 in 0..16, and their digits."""
    datasets = require("sklearn.datasets", "demo", "The demo")
    x, y = datasets.load_digits(return_X_y=True)
    data, _ = input.load({"x": x.astype(np.float32), "y": y})
    return replace(data, name="digits")


def options(output: str | Path = "trimwatt-digits") -> dict[str, Any]:
    """What `optimize` is asked in the demo: only what so few rows prove, and its own folder replaced without asking."""
    from trimwatt.technique.classical import Forest

    return {
        "data": digits(), "baseline": (Forest(trees=200),), "metric": "accuracy", "max_drop": 0.01, "strict": True,
        "budget": "55s", "output": output, "force": True,
    }  # fmt: skip
