"""What the verbs share: printing text and JSON, refusing to overwrite, telling where things are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from trimwatt._printable import json_text, visible
from trimwatt.errors import InputError


def write(text: str) -> None:
    """Write a result to stdout as it is."""
    sys.stdout.write(text)


def print_json(value: Any) -> None:
    """Print `value` as the only thing on stdout; NaN has no place in JSON and is refused."""
    write(json_text(value) + "\n")


def free(path: Path, force: bool) -> Path:
    """`path` where nothing stands there or `force` was given; raises InputError otherwise."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file with -o")
    if path.exists() and not force:
        raise InputError(f"{path} exists; give --force to replace it or name another file with -o")
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; make it or name another file with -o")
    return path


def say(text: str) -> None:
    """A line about progress or an error, on stderr; a name in it does not steer the terminal."""
    print(visible(text), file=sys.stderr)
