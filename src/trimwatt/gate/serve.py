"""Inside the child: a callable of one tree, imported from there and from nowhere else."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from trimwatt.compare import host
from trimwatt.compare.handed import limit_threads
from trimwatt.errors import InputError


def serve(
    tree: str, here: str, path: Sequence[str], target: str, threads: int
) -> Callable[[tuple[Any, ...]], Any]:  # fmt: skip
    """Import `target`, "package.module:function", in `tree`; answer ("run", n) with a Block, ("value",) with a call's.

    here: the working tree, whose folders must not be imported from when `tree` is another.
    """
    os.chdir(tree)
    foreign = {str(Path(here, folder).resolve()) for folder in path} | {str(Path(here).resolve())}
    own = [str(Path(tree, folder).resolve()) for folder in path if Path(tree, folder).is_dir()]
    kept = [entry for entry in sys.path if str(Path(entry or tree).resolve()) not in foreign]
    sys.path[:] = [*own, *kept]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)
    importlib.invalidate_caches()
    function = _resolve(target, [Path(folder) for folder in own])
    limit_threads(threads)

    def handle(message: tuple[Any, ...]) -> Any:
        if message[0] == "run":
            return host.block(lambda _: function(), repeat(None), message[1])
        return _plain(function())

    return handle


def _resolve(target: str, own: Sequence[Path]) -> Callable[[], object]:
    module, _, name = target.partition(":")
    found = importlib.import_module(module)
    home = Path(found.__file__ or "").resolve()
    if not any(home.is_relative_to(folder) for folder in own):
        raise InputError(f"{module} was imported from elsewhere than this tree; set path = [...] to where it lies")
    function = getattr(found, name, None)
    if not callable(function):
        raise InputError(f"{module} has no function {name}")
    result: Callable[[], object] = function
    return result


def _plain(value: Any) -> Any:
    """A number or a mapping of numbers; None for anything else, which is no quality."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if _plain(item) is not None}
    try:
        return None if value is None or isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        return None
