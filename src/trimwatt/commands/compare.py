"""trimwatt compare: which of two or more takes less."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from trimwatt.commands import _output, _recorded
from trimwatt.errors import Inconclusive, InputError


def _log(help: str) -> Any:
    return typer.Option(help=help, rich_help_panel="Runs recorded elsewhere")


def compare(
    artifacts: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARTIFACT...", help="Artifact folders, with --data.", show_default=False),
    ] = None,
    a: Annotated[str | None, typer.Option("--a", help="A command, split into words as a shell would.")] = None,
    b: Annotated[str | None, typer.Option("--b", help="The command to compare it with.")] = None,
    data: Annotated[str | None, typer.Option(help="Rows that the artifacts are asked with.")] = None,
    cap: Annotated[str | None, typer.Option(help="Most to spend: pairs (50), time (30s) or energy (200J).")] = None,
    precision: Annotated[str, typer.Option(help="Half-width of the interval at which to stop.")] = "2%",
    no_parity: Annotated[bool, typer.Option("--no-parity", help="Compare arms whose results differ too.")] = False,
    batch_size: Annotated[int, typer.Option(help="Rows a request, for artifacts.")] = 1,
    threads: Annotated[int, typer.Option(help="Cores that both arms of a pair are kept on.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the random order.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="End with code 4 where nothing can be claimed.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show what the commands print, on stderr.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for every raw block, as CSV.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file given with -o.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON, and only that.")] = False,
    from_csv: Annotated[Path | None, _log("A log of runs recorded elsewhere; --a and --b are then values.")] = None,
    arm: Annotated[str | None, _log("Column that says which arm a run is of.")] = None,
    value: Annotated[str | None, _log("Column compared, as COLUMN or COLUMN:unit.")] = None,
    group: Annotated[str | None, _log("Column to compare within.")] = None,
    where: Annotated[list[str] | None, _log("COLUMN=VALUE: only such runs; again for more.")] = None,
    quality: Annotated[list[str] | None, _log("Column whose loss is told beside; again for more.")] = None,
    claim: Annotated[float | None, _log("A ratio that was claimed: 0.08 for 92 % less.")] = None,
) -> None:
    """Compare two commands, or artifacts on the same rows: how much one takes over the other, with an interval.

    trimwatt compare --a 'python old.py' --b 'python new.py'

    trimwatt compare study/artifact other/artifact --data rows.csv

    trimwatt compare --from-csv runs.csv --arm model --a small --b large --value energy_J
    """
    if from_csv is not None:
        if artifacts or data is not None or output is not None:
            raise InputError("--from-csv reads runs that were made: leave artifacts, --data and -o away")
        asked = _recorded.Asked(arm, a, b, value, group, where or [], quality or [], claim)
        return _recorded.run(from_csv, asked, strict, json)
    arms = _arms(artifacts or [], a, b, data)
    share, budget = _share(precision), _budget(cap)
    target = _output.free(output, force) if output else None
    from trimwatt.compare import api

    found = api.compare(
        arms, data=data, budget=budget, precision=share, parity=not no_parity, batch_size=batch_size, threads=threads,
        seed=seed, show=verbose,
    )  # fmt: skip
    if target is not None:
        found.to_csv(target)
    _print(found.to_dict(blocks=json), json, target)
    _end(found, strict)


def _arms(artifacts: list[str], a: str | None, b: str | None, data: str | None) -> dict[str, Any] | list[Any]:
    if a is not None or b is not None:
        if artifacts or data is not None:
            raise InputError("compare takes two commands (--a, --b) or artifacts with --data, not both; leave one away")
        if a is None or b is None:
            raise InputError(f"{'--b' if b is None else '--a'} is missing: give both commands, --a 'CMD' --b 'CMD'")
        return [_words("--a", a), _words("--b", b)]
    if len(artifacts) < 2:
        raise InputError(f"compare needs two commands (--a, --b) or two artifacts, got {len(artifacts)} of them")
    return list(artifacts)


def _words(option: str, command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{option} {command!r} cannot be split into words ({error}); close its quotes") from error
    if not words:
        raise InputError(f"{option} is empty; give a program and its words")
    return words


def _share(text: str) -> float:
    """0.02 from "2%" or "0.02"."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise InputError(f"--precision is a share, got {text!r}; write it like 2%") from None
    if not 0 < value < 1:
        raise InputError(f"--precision lies between 0 and 1, got {text}; write it like 2%")
    return value


def _budget(cap: str | None) -> str | int | None:
    return int(cap) if cap is not None and cap.strip().isdigit() else cap


def _print(record: dict[str, Any], as_json: bool, target: Path | None) -> None:
    if as_json:
        _output.print_json(record)
    else:
        from rich.console import Console

        from trimwatt.report import comparison

        Console(soft_wrap=False, highlight=False).print(comparison.outcome(record))
    if target is not None:
        _output.say(f"raw blocks in {target}")


def _end(found: Any, strict: bool) -> None:
    verdicts = [pair.verdict for pair in found.pairs.values()] if hasattr(found, "names") else [found.verdict]
    if strict and "inconclusive" in verdicts:
        raise Inconclusive("the evidence does not settle it: raise --cap, or accept a coarser --precision")
