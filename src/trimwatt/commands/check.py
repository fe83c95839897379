"""trimwatt check: the gate for continuous integration."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimwatt import units
from trimwatt._printable import visible
from trimwatt.commands import _output
from trimwatt.errors import InputError

if TYPE_CHECKING:
    from trimwatt.gate.config import Check

_NAMES = typer.Argument(metavar="[NAME]...", help="Checks to run; all of them unless named.", show_default=False)
_AGAINST = "Compare with this commit, checked out beside the working tree: main, HEAD~1, a tag."
_CONFIG = "TOML file with [tool.trimwatt.check.NAME]; its folder is where the checks run."


def check(
    names: Annotated[list[str] | None, _NAMES] = None,
    against: Annotated[str | None, typer.Option(metavar="REV", help=_AGAINST, show_default=False)] = None,
    baseline: Annotated[Path | None, typer.Option(help="Compare with what --save wrote.", show_default=False)] = None,
    save: Annotated[Path | None, typer.Option(help="Write what was found as a baseline.", show_default=False)] = None,
    config: Annotated[Path, typer.Option(help=_CONFIG)] = Path("pyproject.toml"),
    budget: Annotated[str, typer.Option(help="The most time the pairs of one check may take.")] = "2min",
    pairs: Annotated[int, typer.Option(min=5, help="The most pairs of one check.")] = 200,
    seed: Annotated[int | None, typer.Option(help="Of the order of runs; by chance unless given.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 4 where a limit is not settled.")] = False,
    static: Annotated[bool, typer.Option("--static", help="Only read the file, and say whether it is valid.")] = False,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the summary for a pull request; - appends it to $GITHUB_STEP_SUMMARY.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the files of --save and --markdown.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON, and only that.")] = False,
) -> None:
    """Hold budgets and baselines of pyproject.toml; end with code 1 where one is broken.

    trimwatt check --against main

    trimwatt check --save baseline.json, and later: trimwatt check --baseline baseline.json
    """
    from trimwatt.gate import config as files

    wanted = _named(files.read(config), names or [])
    if static:
        _tell_static(wanted, json)
        return
    most = units.parse_duration(budget)
    if not most > 0:
        raise InputError(f"--budget {budget} pays for nothing; give time above zero, like 2min")
    targets = _targets(save, markdown, force)
    from trimwatt.gate import baseline as saved
    from trimwatt.gate import run

    options = run.Options(
        against=against, saved=saved.read(baseline) if baseline else None, most_s=most, most_pairs=pairs, seed=seed,
        strict=strict, progress=_output.say,
    )  # fmt: skip
    with _ending_cleanly():
        ran = run.run(wanted, config.resolve().parent, options)
    _tell(ran.outcome.to_dict(), json, targets["markdown"])
    if save:
        _put(save, run.dumps(ran.baseline))
        _output.say(f"saved {save}")
    raise typer.Exit(ran.outcome.exit_code)


@contextlib.contextmanager
def _ending_cleanly() -> Iterator[None]:
    """A terminated run must still take its work tree away."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _named(checks: tuple[Check, ...], names: list[str]) -> tuple[Check, ...]:
    known = {one.name: one for one in checks}
    for name in names:
        if name not in known:
            raise InputError(f"there is no check {name!r}; the file has {', '.join(known)}")
    return tuple(known[name] for name in names) if names else checks


def _tell_static(checks: tuple[Check, ...], as_json: bool) -> None:
    listed = [one.name for one in checks]
    if as_json:
        _output.print_json({"valid": True, "checks": listed})
    else:
        _output.write(f"valid: {', '.join(listed)}\n")


def _targets(save: Path | None, markdown: Path | None, force: bool) -> dict[str, Path | None]:
    """Where to write, refused before anything is measured."""
    if save:
        _free(save, force)
    if markdown is None:
        return {"markdown": None}
    if str(markdown) == "-":
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if not summary:
            raise InputError("--markdown - appends to $GITHUB_STEP_SUMMARY, which is not set; name a file")
        return {"markdown": Path(summary)}
    return {"markdown": _free(markdown, force)}


def _free(path: Path, force: bool) -> Path:
    if path.exists() and not force:
        raise InputError(f"{path} exists; give --force to replace it or name another file")
    if not path.resolve().parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist; make it or name another file")
    return path


def _tell(outcome: dict[str, Any], as_json: bool, markdown: Path | None) -> None:
    from trimwatt.report import gate

    if as_json:
        _output.print_json(outcome)
    else:
        _output.write(visible("\n".join(gate.lines(outcome))) + "\n")
    if markdown is None:
        return
    text = gate.markdown(outcome)
    if os.environ.get("GITHUB_STEP_SUMMARY") == str(markdown):
        with markdown.open("a", encoding="utf-8") as file:
            file.write(text)
    else:
        _put(markdown, text)


def _put(path: Path, text: str) -> None:
    from trimwatt.report import put

    put(path, text)
