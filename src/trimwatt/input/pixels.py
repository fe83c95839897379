"""One image file to its pixels: as it is meant to be seen, with all the grey levels it holds."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input.checks import check_sides, shown
from trimwatt.workload import Array

# what 8 bits are multiplied by to span 16: 255 becomes 65535
_SPAN = 257
_GREY = frozenset(["1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N", "I"])
_ORIENTATION = 0x0112
_ADDRESS = re.compile(r"\s*<[^>]* at 0x[0-9a-fA-F]+>")


@dataclass(frozen=True, eq=False)
class Picture:
    """values: `(h, w)` uint8 or uint16, or `(h, w, 3)` uint8. turned: its file says that it is to be turned. cut: its
    colours have 16 bits, of which the upper 8 are read.
    """

    values: Array
    turned: bool = False
    cut: bool = False


def read(content: bytes, what: str, formats: tuple[str, ...]) -> Picture:
    """The pixels of an image file, turned as its EXIF orientation says; raises InputError naming `what`."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            with Image.open(io.BytesIO(content), formats=formats) as image:
                check_sides(image.height, image.width, what)
                return _converted(image)
        except InputError:
            raise
        except Exception as error:  # decoders raise anything, from SyntaxError to struct.error
            reason = shown(_ADDRESS.sub("", str(error)), 80) or type(error).__name__
            raise InputError(f"{what} is not a readable image ({reason}); mend or remove it") from error


def _converted(image: Any) -> Picture:
    from PIL import ImageOps

    if image.mode == "F":
        raise ValueError("its pixels are floats; save them with 8 bits")
    cut = any(";16" in str(part[3]) for part in image.tile) and image.mode not in _GREY
    turned = image.getexif().get(_ORIENTATION, 1) not in (0, 1)
    image = ImageOps.exif_transpose(image) if turned else image
    if image.mode not in _GREY:
        return Picture(np.asarray(image if image.mode == "RGB" else image.convert("RGB")), turned, cut)
    if not image.mode.startswith("I"):
        return Picture(np.asarray(image if image.mode == "L" else image.convert("L")), turned)
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(f"its pixels go from {values.min()} to {values.max()}; save them with 16 bits")
    return Picture(values.astype(np.uint16), turned)


def divisor(deep: Sequence[Array]) -> int:
    """What levels of 16 bits are divided by to be the same in 8, 0 where they would not be."""
    if all(int(values.max(initial=0)) <= 255 for values in deep):
        return 1
    return _SPAN if all(not (values % _SPAN).any() for values in deep) else 0


def of_depth(values: Array, kept: bool, divide: int | None, name: str) -> Array:
    """Pixels in the depth that all are given in: 16 bits where `kept`, else 8, deep ones divided by `divide`."""
    if values.dtype == np.uint8:
        return values.astype(np.uint16) * _SPAN if kept else values
    if kept:
        return values
    if divide == 1 and values.max(initial=0) > 255:
        raise InputError(
            f"{name} holds images with levels up to {values.max()}, the model was made with levels up to 255; "
            "scale them in the same way"
        )
    return (values // (divide or _SPAN)).astype(np.uint8)


def levels(deep: Sequence[Picture]) -> int:
    """How many different grey levels the pictures use."""
    seen = np.zeros(65536, dtype=bool)
    for picture in deep:
        seen[picture.values.reshape(-1)] = True
    return int(seen.sum())


def notes(read: Sequence[Picture]) -> tuple[str, ...]:
    """What was done to pictures that a reader would not expect."""
    found = []
    if turned := sum(picture.turned for picture in read):
        found.append(f"{turned} images were turned as their EXIF orientation says")
    if cut := sum(picture.cut for picture in read):
        found.append(f"{cut} colour images have 16 bits a channel, of which the upper 8 are read: 256 of 65,536 levels")
    return tuple(found)
