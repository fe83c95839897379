"""The eight tables of quality.py: which rows are kept back, and the files that every contestant gets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import _record
import numpy as np
import pandas as pd

DATA = Path(os.environ.get("TRIMWATT_DATA", _record.ROOT.parent / "shared" / "data"))
SEED, FOLDS, FEW, BLOCKS = 0, 5, 2000, 100


@dataclass(frozen=True)
class Table:
    """A set as a table. time: the column that orders the rows, None where their order means nothing.

    metric: accuracy, auc or r2, chosen before anything was trained. dates: columns that are dates written as text. A
    `time` that is none of these numbers the rows, and is handed to nobody.
    """

    name: str
    target: str
    metric: str
    load: Callable[[], pd.DataFrame]
    time: str | None = None
    dates: tuple[str, ...] = ()

    @property
    def task(self) -> str:
        return "regression" if self.metric == "r2" else "classification"


def _adult() -> pd.DataFrame:
    return pd.read_csv(DATA / "adult.csv.gz").drop(columns="split")


def _bike() -> pd.DataFrame:
    # casual and registered add up to the target
    return pd.read_csv(DATA / "bike_sharing_hour.csv.gz").drop(columns=["casual", "registered"])


def _occupancy() -> pd.DataFrame:
    return pd.read_csv(DATA / "occupancy.csv.gz").drop(columns="split")


def _pm25() -> pd.DataFrame:
    return pd.read_csv(DATA / "beijing_pm25.csv.gz").dropna(subset="pm2.5")


def _sklearn(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        from sklearn import datasets

        return pd.DataFrame(getattr(datasets, f"load_{name}")(as_frame=True).frame)

    return load


TABLES = {
    table.name: table
    for table in (
        Table("adult", "income", "auc", _adult),
        Table("bike", "cnt", "r2", _bike, "instant", ("dteday",)),
        Table("pm25", "pm2.5", "r2", _pm25, "No"),
        Table("occupancy", "Occupancy", "accuracy", _occupancy, "date", ("date",)),
        Table("digits", "target", "accuracy", _sklearn("digits")),
        Table("breast_cancer", "target", "auc", _sklearn("breast_cancer")),
        Table("wine", "target", "accuracy", _sklearn("wine")),
        Table("diabetes", "target", "r2", _sklearn("diabetes")),
    )
}


@dataclass(frozen=True)
class Task:
    """One set and fold as a contestant gets it: folder/train.csv, folder/judged.csv (no target) and this."""

    set: str
    target: str
    task: str
    metric: str
    dates: tuple[str, ...]
    classes: tuple[str, ...] | None
    minutes: float
    threads: int
    seed: int = SEED


def folds(table: Table, frame: pd.DataFrame) -> list[np.ndarray[Any, Any]]:
    """Positions of the rows kept back, fold by fold: one fifth, or of few rows each fifth in turn."""
    from sklearn.model_selection import KFold, StratifiedKFold

    if table.time is not None:
        return [np.arange(len(frame) - len(frame) // FOLDS, len(frame))]
    kind = KFold if table.task == "regression" else StratifiedKFold
    found = [rest for _, rest in kind(FOLDS, shuffle=True, random_state=SEED).split(frame, frame[table.target])]
    return found if len(frame) < FEW else found[:1]


def write(table: Table, work: Path) -> list[Path]:
    """Write the files of all folds below `work` and return their folders; truth.npz stays with the judge."""
    frame, made = _ordered(table), []
    for number, rows in enumerate(folds(table, frame)):
        folder = work / table.name / str(number)
        made.append(folder)
        if (folder / "truth.npz").is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        kept = frame.iloc[rows]
        frame.drop(index=kept.index).to_csv(folder / "train.csv", index=False)
        kept.drop(columns=table.target).to_csv(folder / "judged.csv", index=False)
        np.savez(folder / "truth.npz", truth=_coded(table, frame, kept), block=_blocks(table, kept))
    return made


def _ordered(table: Table) -> pd.DataFrame:
    frame = table.load()
    if table.time is None:
        return frame
    frame = frame.sort_values(table.time, kind="stable", ignore_index=True)
    return frame if table.time in table.dates else frame.drop(columns=table.time)


def _coded(table: Table, frame: pd.DataFrame, kept: pd.DataFrame) -> np.ndarray[Any, Any]:
    if table.task == "regression":
        return kept[table.target].to_numpy(float)
    return np.searchsorted(_classes(table, frame), kept[table.target].astype(str).to_numpy(object))


def _classes(table: Table, frame: pd.DataFrame) -> list[str]:
    return sorted(frame[table.target].astype(str).unique().tolist())


def _blocks(table: Table, kept: pd.DataFrame) -> np.ndarray[Any, Any]:
    """What is drawn together in the bootstrap: rows that follow one another where they have a time, else each alone."""
    rows = np.arange(len(kept))
    return rows if table.time is None else rows * min(BLOCKS, len(kept)) // len(kept)


def describe(table: Table, folder: Path, minutes: float, threads: int) -> Task:
    """The task of one fold; written beside a contestant's run."""
    classes = None
    if table.task == "classification":
        train = pd.read_csv(folder / "train.csv", usecols=[table.target])
        classes = tuple(_classes(table, train))
    return Task(table.name, table.target, table.task, table.metric, table.dates, classes, minutes, threads)


def save(task: Task, folder: Path) -> None:
    """Write `task` as folder/task.json."""
    (folder / "task.json").write_text(json.dumps(asdict(task), indent=1) + "\n", encoding="utf-8")
