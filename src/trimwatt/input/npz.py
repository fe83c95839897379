"""Arrays in .npz files, never unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import arrays
from trimwatt.input._base import Options, Source
from trimwatt.input.checks import check_fits, listed, shown
from trimwatt.workload import Array


def source(path: Path, options: Options, name: str) -> Source:
    """The splits in an .npz by its keys; raises InputError for damaged files and wrong keys."""
    every = names(path)
    keys, more = arrays.pair_keys(every, path.name), arrays.unlabelled_key(every)
    wanted = read(path, [key for pair in keys.values() for key in pair] + ([more] if more else []))
    found = arrays.from_pairs({split: (wanted[x], wanted[y]) for split, (x, y) in keys.items()}, options, name)
    return found if more is None else arrays.with_unlabelled(found, wanted[more])


def names(path: Path) -> list[str]:
    """The keys of an .npz; raises InputError where it is none, or unfolds to more than fits."""
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty; an .npz with {arrays.EXPECTED} is allowed")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except Exception as error:  # zipfile raises many kinds on damaged bytes
        raise InputError(f"{path.name} is not a readable .npz ({shown(str(error))}); write it with np.savez") from error
    check_fits(sum(member.file_size for member in members), path.name)
    return [member.filename.removesuffix(".npy") for member in members]


def read(path: Path, keys: list[str]) -> dict[str, Array]:
    """The arrays of `keys`."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: np.asarray(archive[key]) for key in keys}
    except Exception as error:  # numpy, zlib and zipfile raise many kinds on damaged bytes
        if "allow_pickle" in str(error):
            raise InputError(
                f"{path.name}: {listed(keys)} hold Python objects, which are never unpickled; "
                "save plain numbers, or text as fixed-width strings (astype('U'))"
            ) from error
        reason = shown(str(error)) or type(error).__name__
        raise InputError(f"{path.name} is damaged ({reason}); write it again") from error
