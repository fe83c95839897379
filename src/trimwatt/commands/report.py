"""trimwatt report: build the report of a study again, or its candidates in another format."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trimwatt.commands import _output, _unfinished
from trimwatt.errors import InputError

SCHEMA = "trimwatt/study/1"
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
) -> None:  # fmt: skip
    """Build report.html again from study.json, also of a study that was stopped; or print its candidates."""
    if format not in FORMATS:
        raise InputError(f"--format is one of {', '.join(FORMATS)}, got {format!r}")
    path = folder / "study.json" if folder.is_dir() else folder
    study = read(path)
    if output is None and format != "html":
        sys.stdout.write(_render(study, format))
        return
    # the report that stands in the study's own folder was made from the same file
    target = _output.free(output, force) if output else path.with_name("report.html")
    from trimwatt.report import put

    typer.echo(put(target, _render(study, format)))


def read(path: Path) -> dict[str, Any]:
    """The study in `path`; raises InputError for anything else."""
    if not path.is_file() and (stopped := _unfinished.read(path.parent)):
        return stopped
    if not path.is_file():
        raise InputError(f"{path} does not exist; give the folder that `trimwatt optimize` wrote")
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
        schema = study.get("schema")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{path} is not a study ({error}); give the folder that `trimwatt optimize` wrote") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {schema!r}, this version reads {SCHEMA!r}; make the study again")
    return dict(study)


def _render(study: dict[str, Any], format: str) -> str:
    from trimwatt.report import html, tables

    if format == "html":
        return html.render(study)
    if format == "json":
        return json.dumps(study["trials"], indent=2, ensure_ascii=False) + "\n"
    return tables.markdown(study) if format == "md" else tables.csv(study)
