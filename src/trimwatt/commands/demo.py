"""trimwatt demo: a study of a minute on data that come with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trimwatt.commands import _study
from trimwatt.study.options import Options

_FOLDER = Path("trimwatt-digits")


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the outcome; the demo's own is replaced.")
    ] = _FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Replace another folder given with -o.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print study.json, and only that, on stdout.")] = False,
) -> None:
    """Show a whole study in about a minute: handwritten digits, trees against networks.

    Nothing is downloaded; every figure is computed in this run.
    """

    def ask() -> tuple[Any, Any, Options]:
        from trimwatt.study import digits

        return None, digits.digits(), digits.options(output, force or output == _FOLDER)

    _study.run("demo", ask, as_json=json)
