"""The door for data: finds out what kind of source it is and hands it to that kind."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from trimwatt.errors import InputError
from trimwatt.input import arrays, calls, csvtable, frames, images, independent, npz, table, torchset
from trimwatt.input._base import Options, Source
from trimwatt.input.assemble import assemble
from trimwatt.input.checks import shown, type_name
from trimwatt.input.original import Given
from trimwatt.workload import Data, Split

FILES = ".csv, .tsv (each may end in .gz), .parquet, .npz, a .zip or folder of class folders of images"
OBJECTS = (
    "a dict of the .npz keys, (train, val, test), (train, test) or (x, y) of arrays, frames or PyTorch data sets, "
    "a DataFrame with target=, or a Data"
)
_HINTS = {
    ".xlsx": "save the sheet as .csv",
    ".xls": "save the sheet as .csv",
    ".json": "save the table as .csv or .parquet",
    ".jsonl": "save the table as .csv or .parquet",
    ".npy": "save rows and target together: np.savez('data.npz', x=x, y=y)",
    ".pkl": "pickled files are never loaded; save arrays with np.savez or a table as .parquet",
    ".pickle": "pickled files are never loaded; save arrays with np.savez or a table as .parquet",
    ".joblib": "pickled files are never loaded; save arrays with np.savez or a table as .parquet",
    ".pt": "pickled files are never loaded; save arrays with np.savez",
    ".onnx": "that is a model; give it first and the data with --data",
    ".keras": "that is a model; give it first and the data with --data",
}


def load(
    source: Any,
    *,
    target: str | None = None,
    split: str | None = None,
    group: str | None = None,
    time: str | None = None,
    task: str = "auto",
    seed: int = 0,
    val_from: Literal["train", "test"] = "train",
    as_stored: bool = False,
    needs: Collection[str] = (),
) -> tuple[Data, str]:
    """Data in three splits, checked, and the name of the task that they are for.

    source: a path (.csv .tsv .parquet .npz .zip, a folder of class folders of images), "package.module:callable", a
    dict of the .npz keys, a tuple (train, val, test), (train, test) or (x, y), a DataFrame, a PyTorch data set or a
    Data. target: the column to predict, for tables. split: the column that says train, val or test (one called
    "split" is found). group: rows of one group stay in one split. time: the latest rows are the test. task: auto, or
    the name of a task. val_from: "test" makes validation of half the test rows, for models that saw the training rows.
    as_stored: keep every column, dates as text and images in their layout, as a given model wants them. needs: columns
    that it was fitted on, which it gets even where they part the rows.

    Raises InputError, in one line, for whatever cannot give a trustworthy study. Oddities stand in `Data.warnings`.
    """
    options = Options(target, split, group, time, task, seed, val_from, as_stored, frozenset(needs))
    text = isinstance(source, str | Path)
    data = _from_text(source, options) if text else _from_object(source, options, "data")
    return data, data.task.name


def _from_text(source: str | Path, options: Options) -> Data:
    path = Path(source)
    if isinstance(source, str) and calls.is_spec(source) and not path.exists():
        made = calls.call(calls.resolve(source), source, "a dict of the .npz keys")
        name = source.rpartition(":")[2].rpartition(".")[2]
        try:
            return _from_object(made, options, name)
        except InputError as error:
            raise InputError(f"{source}: {error}") from error
    return assemble(_from_path(existing(path), options), options)


def check_exists(source: Any) -> None:
    """Raise InputError for a path that leads nowhere, before anything else is opened."""
    if isinstance(source, Path) or (isinstance(source, str) and not calls.is_spec(source)):
        existing(Path(source))


def existing(path: Path) -> Path:
    """`path`, or an InputError with a near name where there is nothing."""
    if path.exists():
        return path
    folder = path.parent
    siblings = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    close = difflib.get_close_matches(path.name, siblings, n=1, cutoff=0.6)
    hint = f"; did you mean {folder / close[0]}?" if close else f"; {FILES} or package.module:callable are allowed"
    raise InputError(f"there is no file or folder {shown(str(path), 120)}{hint}")


def data_name(path: Path) -> str:
    """A short name for what lies at `path`: "adult" for adult.csv.gz."""
    name = path.resolve().name
    while path.is_file() and Path(name).suffix.lower() in {".gz", ".csv", ".tsv", ".parquet", ".npz", ".zip"}:
        name = Path(name).stem
    return name or "data"


def _from_path(path: Path, options: Options) -> Source:
    name, low = data_name(path), path.name.lower()
    if path.is_dir() or low.endswith(".zip"):
        return images.source(path, options, name)
    if low.endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz")):
        return table.source(csvtable.read(path, _labels(options), options.as_stored), options, name)
    if low.endswith(".parquet"):
        named = (options.target, options.group, options.time, options.split, *options.needs)
        exact = [label for label in named if label is not None]
        return table.source(frames.read_parquet(path, exact, options.as_stored), options, name)
    if low.endswith(".npz"):
        return npz.source(path, options, name)
    hint = _HINTS.get(path.suffix.lower(), "save it as one of these")
    raise InputError(f"{path.name} is of no kind that is read here; {FILES} are allowed; {hint}")


def _labels(options: Options) -> frozenset[str]:
    return frozenset(label for label in (options.split, options.group) if label)


def _from_object(source: Any, options: Options, name: str) -> Data:
    if isinstance(source, Data):
        return _given(source, options)
    if isinstance(source, Mapping):
        found = arrays.from_dict(source, options, name)
    elif isinstance(source, tuple):
        found = _from_tuple(source, options, name)
    elif frames.is_frame(source):
        found = table.source(frames.from_frame(source, name), options, name, given={"all": Given(source)})
    elif torchset.is_dataset(source):
        found = arrays.from_pairs({"all": torchset.rows(source, name)}, options, name)
    else:
        raise InputError(f"data came as {type_name(source)}; {OBJECTS} is allowed")
    return assemble(found, options)


def _given(data: Data, options: Options) -> Data:
    if options.task not in ("auto", data.task.name):
        raise InputError(f"task {options.task!r} was asked, but this Data is for {data.task.name}; leave the task out")
    return independent.check_given(data)


def _from_tuple(members: tuple[Any, ...], options: Options, name: str) -> Source:
    if len(members) not in (2, 3):
        raise InputError(
            f"data came as a tuple of {len(members)}; (train, val, test), (train, test) or (x, y) are allowed"
        )
    whole_frames = all(frames.is_frame(member) for member in members)
    if len(members) == 2 and not _is_split(members[0]) and not (whole_frames and options.target):
        return arrays.from_pairs({"all": (members[0], members[1])}, options, name)
    names = ("train", "val", "test") if len(members) == 3 else ("train", "test")
    given = dict(zip(names, members, strict=True))
    if whole_frames:
        whole = {split: frames.from_frame(member, f"{name} {split}") for split, member in given.items()}
        own = {split: Given(member) for split, member in given.items()}
        return arrays.from_tables(whole, replace(options, split=None), name, own)
    return arrays.from_pairs({split: arrays.pair_of(member, split) for split, member in given.items()}, options, name)


def _is_split(member: Any) -> bool:
    """Whether a tuple's first member is a split of its own rather than plain rows."""
    if isinstance(member, Split) or torchset.is_dataset(member):
        return True
    return isinstance(member, tuple) and len(member) == 2
