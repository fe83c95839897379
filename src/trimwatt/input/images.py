"""Folders and zips of class folders of images, with or without train/, val/, test/ above them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.input import archive, pixels
from trimwatt.input._base import Options, Part, Source
from trimwatt.input.arrays import refuse_columns
from trimwatt.input.checks import check_fits, listed, shown
from trimwatt.rows import cells
from trimwatt.workload import Array

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm"])
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class _Place:
    """Where an image belongs."""

    file: str
    split: str
    label: str


def source(path: Path, options: Options, name: str) -> Source:
    """Images `(n, h, w)` where all are grey, else `(n, h, w, 3)`, labelled by folder.

    Raises InputError for images of different or absurd sizes, unreadable ones, and folders without classes.
    """
    refuse_columns(options, path.name)
    with archive.opened(path) as files:
        images, notes = _only_images(files, path.name)
        places, more = _placed(images, path.name)
        decoded = decode([(place.file, files[place.file]) for place in places], path.name)
    x = decoded.x
    labels = cells.text(place.label for place in places)
    which = np.array([place.split for place in places])
    parts = {split: Part(x[which == split], labels[which == split]) for split in dict.fromkeys(which.tolist())}
    if set(parts) == {"all"}:
        parts = {"all": Part(x, labels)}
    derive = {} if decoded.divide is None else {"levels": {"kind": "depth", "divide": decoded.divide}}
    return Source(parts, "image", name, "the class folder", (*notes, *more, *decoded.notes), derive)


def _only_images(files: Iterable[str], name: str) -> tuple[list[str], list[str]]:
    images: list[str] = []
    others: list[str] = []
    for file in files:
        (images if PurePosixPath(file).suffix.lower() in SUFFIXES else others).append(file)
    if not images:
        found = f"{len(others)} other files ({listed(others, 4)})" if others else "no files"
        raise InputError(f"{name} holds no images but {found}; {listed(sorted(SUFFIXES))} in class folders are allowed")
    return images, [f"left out because they are no images: {listed(others, 4)}"] if others else []


def _placed(images: list[str], name: str) -> tuple[list[_Place], list[str]]:
    parts = {file: PurePosixPath(file).parts for file in images}
    parts = _unwrapped(parts)
    split_above = any(len(path) > 2 and path[0].casefold() in _SPLITS for path in parts.values())
    places, strays = [], []
    for file, path in parts.items():
        split = _SPLITS.get(path[0].casefold()) if split_above else "all"
        folders = path[1:-1] if split_above else path[:-1]
        if split is None or not folders:
            strays.append(file)
        else:
            places.append(_Place(file, split, folders[0]))
    if not places:
        raise InputError(
            f"{name}: its images ({listed(images, 3)}) lie in no class folder; "
            "put each class into a folder of its own, perhaps below train/ val/ test/"
        )
    return places, [f"left out because they are outside class folders: {listed(strays, 4)}"] if strays else []


def _unwrapped(parts: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Without folders that hold all the rest, as zips often have."""
    while True:
        first = {path[0] for path in parts.values()}
        deep = all(len(path) > 2 for path in parts.values())
        if len(first) > 1 or not deep or next(iter(first)).casefold() in _SPLITS:
            return parts
        parts = {file: path[1:] for file, path in parts.items()}


def decode(
    files: list[tuple[str, Callable[[], bytes]]], name: str, size: tuple[int, int] | None = None,
    divide: int | None = None,
) -> Decoded:  # fmt: skip
    """Images as one array in the order given: uint8, or uint16 where grey ones use more than 8 bits.

    size: (width, height) that all must have. divide: what 16-bit levels are divided by to be 8 bits, 0 for those that
    are kept, as these images' training settled it; None settles it by the images themselves.
    """
    require("PIL", "images", "Reading images")
    read: list[pixels.Picture] = []
    first_name = files[0][0]
    for file, content in files:
        picture = pixels.read(content(), f"{name}: {shown(file)}", _FORMATS)
        found = (picture.values.shape[1], picture.values.shape[0])
        if size is None:
            size = found
            check_fits(len(files) * found[0] * found[1] * 3 * 2, name)
        if found != size:
            other = f"{shown(first_name)} is" if read else "the model takes"
            raise InputError(
                f"{name}: {other} {size[0]} x {size[1]} pixels, {shown(file)} {found[0]} x {found[1]}; "
                "all images need one size; resize them"
            )
        read.append(picture)
    return _stacked(read, name, divide)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Images `(n, h, w)` or `(n, h, w, 3)`, what their levels were divided by (see `decode`), and what to tell."""

    x: Array
    divide: int | None
    notes: tuple[str, ...] = ()


def _stacked(read: list[pixels.Picture], name: str, divide: int | None) -> Decoded:
    grey, deep = all(picture.values.ndim == 2 for picture in read), [p for p in read if p.values.dtype == np.uint16]
    notes = pixels.notes(read)
    if deep and divide is None:
        divide = pixels.divisor([picture.values for picture in deep])
    kept = grey and divide == 0
    if deep and not grey and divide == 0:
        levels = pixels.levels(deep)
        notes = (*notes, f"{len(deep)} grey images of 16 bits are among colour ones: {levels} of their levels became "
                 f"{len(np.unique(np.concatenate([np.unique(p.values // 257) for p in deep])))}")  # fmt: skip
        divide = 257
    height, width = read[0].values.shape[:2]
    dtype = np.uint16 if kept else np.uint8
    x = np.empty((len(read), height, width) if grey else (len(read), height, width, 3), dtype)
    for number, picture in enumerate(read):
        values = pixels.of_depth(picture.values, kept, divide, name)
        x[number] = values if grey or values.ndim == 3 else values[:, :, None]
    if kept:
        notes = (*notes, f"images keep their 16 bits: {pixels.levels(deep)} grey levels are used")
        if len(deep) < len(read):
            notes = (*notes, f"{len(read) - len(deep)} images of 8 bits are among them, their levels taken 257 times")
    return Decoded(x, divide if deep or kept else None, notes)


def flat(path: Path, size: tuple[int, int], grey: bool, dtype: np.dtype[Any], divide: int | None) -> Array:
    """All images below `path` by sorted path, for prediction: `(n, h, w)` if `grey`, else `(n, h, w, 3)`.

    dtype, divide: of the images a model was made with.
    """
    with archive.opened(path) as files:
        images, _ = _only_images(files, path.name)
        settled = 0 if dtype == np.uint16 else 257 if divide is None else divide
        x = decode([(file, files[file]) for file in images], path.name, size, settled).x
    if grey and x.ndim == 4:
        raise InputError(f"{path.name} holds colour images; the model takes grey ones; convert them")
    if dtype == np.uint16 and x.dtype == np.uint8:
        x = x.astype(np.uint16) * 257
    return x if grey or x.ndim == 4 else np.repeat(x[..., None], 3, axis=3)
