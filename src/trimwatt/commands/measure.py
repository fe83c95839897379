"""trimwatt measure: the energy of a command, or of a process that runs already."""

from __future__ import annotations

import json as _json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimwatt import units
from trimwatt.commands import _output
from trimwatt.errors import InputError

if TYPE_CHECKING:
    from trimwatt.energy import Reading
    from trimwatt.host.counting import Counter
    from trimwatt.meter.command import Run

_COMMAND = typer.Argument(metavar="-- CMD", show_default=False, help="The command, run as it stands, without a shell.")


def measure(
    command: Annotated[list[str] | None, _COMMAND] = None,
    runs: Annotated[int, typer.Option("-r", "--runs", min=1, help="Run it so many times; the median is told.")] = 1,
    warmup: Annotated[int, typer.Option(min=0, help="Runs before those, not counted.")] = 0,
    pid: Annotated[int | None, typer.Option(min=1, help="Measure this running process instead, to its end.")] = None,
    duration: Annotated[str | None, typer.Option(help="With --pid: so long, like 30s; Ctrl-C ends it too.")] = None,
    require: Annotated[str | None, typer.Option(help="measured: end with code 3 where only estimates are.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File for the reading as JSON.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file given with -o.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The reading as JSON, and only that, on stdout.")] = False,
) -> None:
    """Run a command and say what energy it took; its output, input, signals and exit code pass through.

    trimwatt measure -r 10 --warmup 1 -- python train.py

    trimwatt measure --pid 4711 --duration 30s
    """
    if (command is None or not command) == (pid is None):
        raise InputError("give one thing to measure: a command, as in `trimwatt measure -- python train.py`, or --pid")
    if require not in (None, "measured"):
        raise InputError(f"--require is measured, got {require!r}; without it an estimate is taken too")
    _refuse_pairs(pid, duration, runs, warmup)
    target = _writable(_output.free(output, force)) if output else None
    if pid is None:
        code = _command(list(command or ()), runs, warmup, require, target, json)
    else:
        code = _process(pid, duration, require, target, json)
    raise typer.Exit(code)


def _refuse_pairs(pid: int | None, duration: str | None, runs: int, warmup: int) -> None:
    if pid is None and duration is not None:
        raise InputError("--duration is for --pid; a command is measured to its end")
    if pid is not None and (runs, warmup) != (1, 0):
        raise InputError("--runs and --warmup are for a command; a running process cannot be run again")
    if duration is not None and units.parse_duration(duration) <= 0:
        raise InputError(f"--duration {duration} measures nothing; give time above zero, like 30s")


def _writable(path: Path) -> Path:
    """`path` where a file can be made; better now than after hours of the user's work."""
    import os

    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path.parent} cannot be written to; name a file elsewhere with -o")
    return path


def _require(require: str | None) -> None:
    """Raise SensorAbsent, before anything runs, where a measurement is asked of a machine that can only estimate."""
    if require:
        from trimwatt.meter import session

        session.meter(require="measured")


def _process(pid: int, duration: str | None, require: str | None, target: Path | None, json: bool) -> int:
    from trimwatt.meter import command, usage

    usage.Tree(pid)
    _require(require)
    seconds = units.parse_duration(duration) if duration else None
    _output.say(f"measuring process {pid} {f'for {duration}' if duration else 'until it ends'}; Ctrl-C ends it earlier")
    reading = command.follow(pid, seconds)
    _tell(reading, None, target, json, [_unmeasured(reading, require)])
    return 0


def _command(given: list[str], runs: int, warmup: int, require: str | None, target: Path | None, json: bool) -> int:
    from trimwatt.meter import command, launch

    with command.launcher().ready() as counter:
        # sensors may start threads, which must not take the signals that are held back for us
        _require(require)
        try:
            done, dropped = _repeat(given, runs, warmup, json, counter)
        except launch.NotStarted as error:
            _output.say(f"trimwatt: {error}")
            return error.exit_code
    codes = [run.exit_code for run in (*dropped, *done)]
    if not done:
        _output.say("trimwatt: stopped while warming up; nothing was read")
        return next((code for code in codes if code), 0)
    _report(done, len(dropped), codes, runs, require, target, json)
    return next((code for code in codes if code), 0)


def _repeat(
    given: list[str], runs: int, warmup: int, json: bool, counter: Counter | None
) -> tuple[list[Run], list[Run]]:  # fmt: skip
    """The runs, and those to warm up; fewer than asked where a signal told us to stop."""
    from trimwatt.meter import command

    all_runs: list[Run] = []
    for number in range(warmup + runs):
        all_runs.append(command.run(given, stdout_to_stderr=json, counter=counter))
        if all_runs[-1].stopped_by is not None:
            break
        if warmup + runs > 1 and sys.stderr.isatty():
            _output.say(f"run {number + 1} of {warmup + runs}{' (to warm up)' if number < warmup else ''}")
    return all_runs[warmup:], all_runs[:warmup]


def _report(
    done: list[Run], dropped: int, codes: list[int], asked: int, require: str | None, target: Path | None, json: bool
) -> None:
    from trimwatt.meter import runs as many
    from trimwatt.report import reading as page

    reading = done[0].reading if len(done) == 1 else many.together([run.reading for run in done])
    notes = [page.exit_codes(codes), _unmeasured(reading, require)]
    if done[-1].stopped_by is not None:
        notes.append(f"interrupted in run {len(done)} of {asked}" if asked > 1 else "interrupted before its end")
    spread = None
    if asked > 1 or dropped:
        joules = [run.reading.process.joules for run in done if run.reading.process is not None]
        over = many.spread(joules).to_dict() if joules else {}
        spread = {**over, "warmup": dropped, "exit_codes": codes[dropped:]}
    _tell(reading, spread, target, json, notes)


def _unmeasured(reading: Reading, require: str | None) -> str | None:
    origin = reading.process.origin if reading.process else "not known"
    return f"--require measured, but this reading is {origin}" if require and origin != "measured" else None


def _tell(
    reading: Reading, spread: dict[str, Any] | None, target: Path | None, json: bool, notes: list[str | None]
) -> None:
    """Print the reading and write it where asked. What cannot be written is said; the command's code stays its own."""
    from dataclasses import replace

    from trimwatt.carbon import intensity
    from trimwatt.report import put
    from trimwatt.report import reading as page

    reading = replace(reading, warnings=(*(note for note in notes if note), *reading.warnings))
    carbon = intensity.grams(reading.process)
    record = {**reading.to_dict(), "carbon": carbon, **({"runs": spread} if spread else {})}
    if json:
        _output.print_json(record)
    else:
        _output.say(page.text(reading, carbon, spread if spread and "values" in spread else None))
    if target is not None:
        try:
            put(target, _json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            _output.say(f"trimwatt: the reading could not be written to {target}: {error.strerror}")
