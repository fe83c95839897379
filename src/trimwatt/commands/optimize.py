"""trimwatt optimize: find the model that does the job for the least energy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from trimwatt.commands import _fields, _study
from trimwatt.errors import InputError
from trimwatt.study.options import Options

_SOURCE = typer.Argument(
    metavar="DATA|MODEL",
    show_default=False,
    help="Data: .csv, .tsv, .parquet, .npz, a folder or .zip of class folders of images, or package.module:callable. "
    "With --data: a model, as .onnx or package.module:callable.",
)
_DATA = typer.Option(help="Data for the MODEL given.", metavar="DATA", rich_help_panel="What is given")
_JSON = typer.Option("--json", help="Print study.json, and only that, on stdout.", rich_help_panel="Output")


@_fields.takes(Options)
def optimize(
    data_or_model: Annotated[str, _SOURCE],
    data: Annotated[str | None, _DATA] = None,
    *,
    json: Annotated[bool, _JSON] = False,
    **options: Any,
) -> None:
    """Find the model that does the job for the least energy, and prove it.

    trimwatt optimize adult.csv --target income --metric f1

    trimwatt optimize model.onnx --data images.zip --max-drop 0.005
    """
    asked = Options(**options)
    model, source = (None, data_or_model) if data is None else (data_or_model, data)
    _hint_model(data_or_model, data)
    _study.run("optimize", lambda: (model, source, asked), as_json=json)


def _hint_model(given: str, data: str | None) -> None:
    if data is None and given.lower().endswith((".onnx", ".keras", ".pt", ".pth", ".pkl", ".joblib")):
        raise InputError(f"{given} is a model, which needs rows to be judged on; add --data DATA")
