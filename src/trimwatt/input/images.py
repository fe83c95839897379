"""Folders and zips of class folders of images, with or without train/, val/, test/ above them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.input import archive, cells
from trimwatt.input._base import Options, Part, Source
from trimwatt.input.arrays import refuse_columns
from trimwatt.input.checks import check_fits, check_sides, listed, shown
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
_GREY = frozenset(["1", "L", "LA", "I;16", "I;16B", "I;16L", "I"])


@dataclass(frozen=True)
class _Place:
    """Where an image belongs."""

    file: str
    split: str
    label: str


def source(path: Path, options: Options, name: str) -> Source:
    """Images `(n, h, w)` where all are grey, else `(n, h, w, 3)`, uint8, labelled by folder.

    Raises InputError for images of different or absurd sizes, unreadable ones, and folders without classes.
    """
    refuse_columns(options, path.name)
    with archive.opened(path) as files:
        images, notes = _only_images(files, path.name)
        places, more = _placed(images, path.name)
        x = decode([(place.file, files[place.file]) for place in places], path.name)
    labels = cells.text(place.label for place in places)
    which = np.array([place.split for place in places])
    parts = {split: Part(x[which == split], labels[which == split]) for split in dict.fromkeys(which.tolist())}
    if set(parts) == {"all"}:
        parts = {"all": Part(x, labels)}
    return Source(parts, "image", name, "the class folder", (*notes, *more))


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


def decode(files: list[tuple[str, Callable[[], bytes]]], name: str, size: tuple[int, int] | None = None) -> Array:
    """Images as one uint8 array in the order given; `size` (width, height): what all must have."""
    require("PIL", "images", "Reading images")
    decoded: list[Array] = []
    first_name, greys = files[0][0], 0
    for file, read in files:
        pixels, grey = _pixels(read(), f"{name}: {shown(file)}")
        greys += grey
        found = (pixels.shape[1], pixels.shape[0])
        if size is None:
            size = found
            check_fits(len(files) * pixels.shape[0] * pixels.shape[1] * 3 * 2, name)
        if found != size:
            other = f"{shown(first_name)} is" if decoded else "the model takes"
            raise InputError(
                f"{name}: {other} {size[0]} x {size[1]} pixels, {shown(file)} {found[0]} x {found[1]}; "
                "all images need one size; resize them"
            )
        decoded.append(pixels)
    return _stacked(decoded, all_grey=greys == len(files))


def _stacked(decoded: list[Array], all_grey: bool) -> Array:
    height, width = decoded[0].shape[:2]
    result = np.empty((len(decoded), height, width) if all_grey else (len(decoded), height, width, 3), np.uint8)
    for number, pixels in enumerate(decoded):
        result[number] = pixels if all_grey or pixels.ndim == 3 else pixels[:, :, None]
    return result


def _pixels(data: bytes, what: str) -> tuple[Array, bool]:
    """Pixels `(h, w)` or `(h, w, 3)` as uint8, and whether the image is grey."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                check_sides(image.height, image.width, what)
                return _converted(image)
        except InputError:
            raise
        except Exception as error:
            reason = shown(str(error), 80) or type(error).__name__
            raise InputError(f"{what} is not a readable image ({reason}); mend or remove it") from error


def _converted(image: Any) -> tuple[Array, bool]:
    if image.mode == "F":
        raise ValueError("its pixels are floats; save them with 8 bits")
    if image.mode not in _GREY:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB")), False
    if image.mode.startswith("I"):
        return (np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8), True
    return np.asarray(image if image.mode == "L" else image.convert("L")), True


def flat(path: Path, size: tuple[int, int], grey: bool) -> Array:
    """All images below `path` by sorted path, for prediction: `(n, h, w)` if `grey`, else `(n, h, w, 3)`."""
    with archive.opened(path) as files:
        images, _ = _only_images(files, path.name)
        x = decode([(file, files[file]) for file in images], path.name, size)
    if grey and x.ndim == 4:
        raise InputError(f"{path.name} holds colour images; the model takes grey ones; convert them")
    return x if grey or x.ndim == 4 else np.repeat(x[..., None], 3, axis=3)
