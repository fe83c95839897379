"""trimwatt report: build the report of a study again, or its candidates in another format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from trimwatt._printable import json_text, one_line, visible
from trimwatt.commands import _output, _unfinished
from trimwatt.errors import InputError, TrimwattError

SCHEMA = "trimwatt/study/1"
# what reading a value of the wrong form raises
_UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
FORMATS = ("html", "md", "csv", "json")


def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a study, or its study.json.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", show_default=False,
                     help="File to write; report.html in the folder, or stdout for md, csv and json, unless given."),
    ] = None,
    format: Annotated[str, typer.Option(help="html, or the candidates as md, csv or json.")] = "html",
    force: Annotated[bool, typer.Option("--force", help="Replace the file given with -o.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="csv: leave texts that a spreadsheet would run as formulas as they are.")
    ] = False,
) -> None:  # fmt: skip
    """Build report.html again from study.json, also of a study that was stopped; or print its candidates."""
    if format not in FORMATS:
        raise InputError(f"--format is one of {', '.join(FORMATS)}, got {format!r}")
    if raw and format != "csv":
        raise InputError(f"--raw goes with --format csv, got --format {format}")
    path = folder / "study.json" if folder.is_dir() else folder
    study = read(path)
    rendered = _rendered(study, format, raw, path)
    if study.get("verdict") is None:
        for warning in study.get("warnings") or []:
            _output.say(f"trimwatt: {one_line(warning)}")
    if output is None and format != "html":
        _output.write(rendered)
        return
    # the report that stands in the study's own folder was made from the same file
    target = _output.free(output, force) if output else path.with_name("report.html")
    from trimwatt.report import put

    _output.write(f"{visible(put(target, rendered))}\n")


def read(path: Path) -> dict[str, Any]:
    """The study in `path`; raises InputError for anything else."""
    if path.name == "study.json" and not path.exists() and (stopped := _unfinished.read(path.parent)):
        return stopped
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the folder that `trimwatt optimize` wrote")
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
        schema = study.get("schema")
    except (ValueError, AttributeError, RecursionError) as error:
        raise _no_study(path, error) from error
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {schema!r}, this version reads {SCHEMA!r}; make the study again")
    return dict(study)


def _no_study(path: Path, error: Exception) -> InputError:
    cause = one_line(error)[:160]
    return InputError(f"{path} is not a study ({cause}); give the folder that `trimwatt optimize` wrote")


def _rendered(study: dict[str, Any], format: str, raw: bool, path: Path) -> str:
    """The study in `format`; raises InputError where it has another form than `trimwatt optimize` gives it."""
    from jinja2 import UndefinedError

    from trimwatt.report._schema import check_study

    try:
        check_study(study)
        return _render(study, format, raw)
    except TrimwattError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        UndefinedError,
    ) as error:
        # checked, and still not to be shown: its fields contradict each other
        raise _no_study(path, error) from error


def _render(study: dict[str, Any], format: str, raw: bool) -> str:
    from trimwatt.report import html, tables

    if format == "html":
        return html.render(study)
    if format == "json":
        return json_text(study.get("trials") or []) + "\n"
    return tables.markdown(study) if format == "md" else tables.csv(study, raw)
