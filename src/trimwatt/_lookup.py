"""Where modules are looked up: the current folder only while a callable that the user named is resolved, and last.

A folder of data may hold a `numpy.py` or a `queue.py`. Nothing of it runs unless the user names a callable there, and
even then the standard library and what is installed come first.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_named: list[str] = []


@contextlib.contextmanager
def current_folder() -> Iterator[None]:
    """The current folder is importable, last; processes started from now on find its modules too, also last."""
    folder = os.getcwd()
    if folder not in _named:
        _named.append(folder)
    added = folder not in sys.path
    if added:
        sys.path.append(folder)
    try:
        yield
    finally:
        if added:
            # the last one is ours: a module may have put the folder first itself
            kept = sys.path[::-1]
            with contextlib.suppress(ValueError):
                kept.remove(folder)
            sys.path[:] = kept[::-1]


def search_path() -> list[str]:
    """Where a child process imports from: as this one does, then the folders of callables that were named."""
    here = os.getcwd() if "" in sys.path else ""
    return list(dict.fromkeys([*(entry or here for entry in sys.path), *_named, package_folder()]))


def package_folder() -> str:
    """The folder that trimwatt itself was imported from."""
    return str(Path(__file__).resolve().parents[1])
