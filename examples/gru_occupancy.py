"""Is the room occupied? A GRU over half an hour of five sensors, given with its data as functions:

    trimwatt optimize examples.gru_occupancy:build --data examples.gru_occupancy:data

The data are occupancy.csv.gz (Candanedo and Feldheim 2016, doi:10.1016/j.enbuild.2015.11.071) under $TRIMWATT_DATA or
../shared/data. Rows are windows (n, 32 minutes, 5 sensors) of consecutive readings, the target is whether the room is
occupied in the last minute. Validation is the last quarter of the training days, test the two recordings made apart.
"""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from trimwatt.technique.train import Train
from trimwatt.workload import Data, Split, Workload

SENSORS = ("Temperature", "Humidity", "Light", "CO2", "HumidityRatio")
MEAN, STD = (20.6, 25.7, 119.5, 606.5, 0.00386), (1.02, 5.5, 194.7, 314.3, 0.00085)
MINUTES, UNITS = 32, 128


class Gru(nn.Module):
    """Windows float32 (n, minutes, 5) to logits (n, 2): one GRU, its last state, a dense layer; scaling is inside."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, units: int = UNITS) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(STD), persistent=False)
        self.gru = nn.GRU(len(SENSORS), units, batch_first=True)
        self.head = nn.Linear(units, 2)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        states, _ = self.gru((windows - self.mean) * self.scale)
        logits: torch.Tensor = self.head(states[:, -1])
        return logits


def build() -> Workload:
    """The network as it starts, always the same, with how it is to be trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Gru()
    return Workload(model=model, form="torch", trainer=Train(epochs=4, batch=32, learning_rate=2e-3, weight_decay=0.3))


def data() -> Data:
    """Windows of the three recordings, none across a border between them; of training windows every fourth."""
    columns = read()
    first = windows(columns, "train")
    border = int(0.75 * len(first))
    # a window of validation must not share minutes with one that was trained on
    train, val = first.take(slice(0, border - MINUTES, 4)), first.take(slice(border, None))
    one, two = windows(columns, "test1"), windows(columns, "test2")
    test = Split(np.concatenate([one.x, two.x]), np.concatenate([one.y, two.y]))  # type: ignore[arg-type]
    return Data(train, val, test, "table", (0, 1), "occupancy")


def read() -> dict[str, np.ndarray[Any, Any]]:
    """The columns of the file, as text."""
    folder = Path(os.environ.get("TRIMWATT_DATA", Path(__file__).parents[2] / "shared" / "data"))
    with gzip.open(folder / "occupancy.csv.gz", "rt", encoding="utf-8", newline="") as file:
        names, *rows = csv.reader(file)
    return dict(zip(names, np.array(rows).T, strict=True))


def windows(columns: dict[str, np.ndarray[Any, Any]], recording: str) -> Split:
    """Every window of one recording, with the state of the room at its end."""
    here = columns["split"] == recording
    values = np.stack([columns[name][here].astype(np.float32) for name in SENSORS], axis=1)
    x = np.lib.stride_tricks.sliding_window_view(values, MINUTES, axis=0).transpose(0, 2, 1)
    return Split(np.ascontiguousarray(x), columns["Occupancy"][here].astype(np.int64)[MINUTES - 1 :])
