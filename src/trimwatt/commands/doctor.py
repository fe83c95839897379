"""trimwatt doctor: which sensors there are, what opens them, what readings are worth here; and calibration."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from trimwatt.commands import _output
from trimwatt.errors import InputError, SensorAbsent

SCHEMA = "trimwatt/doctor/1"


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, and only that.")] = False,
    require: Annotated[
        str | None, typer.Option(show_default=False, help="measured: end with code 3 where anything is estimated.")
    ] = None,
    fix_script: Annotated[
        Path | None,
        typer.Option(show_default=False, help="Write a shell file that opens closed counters to a group; read it, "
                     "then run it as root."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace that file, or that of --save-load.")] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit the CPU model to a trusted reading and keep it for this machine.")
    ] = False,
    counters: Annotated[bool, typer.Option("--counters", help="... which is the processor's energy counters.")] = False,
    battery: Annotated[bool, typer.Option("--battery", help="... which is the battery, while it discharges.")] = False,
    trace: Annotated[
        Path | None, typer.Option(show_default=False, help="... which is a power log (CSV), such as a plug's.")
    ] = None,
    phases: Annotated[
        str, typer.Option(help="How long to idle, keep one thread busy, and all: one time for each, or three.")
    ] = "30s",
    save_load: Annotated[
        Path | None,
        typer.Option(show_default=False, help="Keep what ran when, for a power log that is exported later."),
    ] = None,
    load: Annotated[
        Path | None, typer.Option(show_default=False, help="What --save-load kept; nothing is run again.")
    ] = None,
) -> None:  # fmt: skip
    """Say which energy sensors this machine has, what is missing and how to open it, and how wide readings are.

    Nothing is changed: `--fix-script` only writes a file to read and run. `--calibrate` keeps its result in
    ~/.config/trimwatt/calibration.json.
    """
    if require not in (None, "measured"):
        raise InputError(f"--require is measured, got {require!r}")
    if calibrate:
        asked = {"--counters": counters, "--battery": battery, "--trace": trace, "--save-load": save_load}
        _calibrate(asked, phases, save_load and _output.free(save_load, force), load, as_json=json)
        return
    if given := [n for n, v in {"--counters": counters, "--battery": battery, "--load": load}.items() if v]:
        raise InputError(f"{given[0]} goes with --calibrate; add that")
    target = fix_script and _output.free(fix_script, force)
    found = findings(trace)
    if target:
        _write_script(target, found)
    _show(found, json)
    if require and found["today"]["label"] != "measured":
        raise SensorAbsent(f"measured energy was required, this machine's is {found['today']['label'] or 'not read'}")


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _output.print_json(found)
        return
    from trimwatt.report import doctor as report

    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    _output.write(_encodable(report.text(found, colour)))


def _encodable(text: str) -> str:
    """Without the signs that this terminal's encoding lacks; the words stay."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, errors="replace").decode(encoding)


def findings(trace: Path | None = None) -> dict[str, Any]:
    """All that doctor finds, as JSON of schema trimwatt/doctor/1."""
    from dataclasses import asdict

    from trimwatt import __version__
    from trimwatt.meter import conditions, probe, surroundings

    places = probe.sensors(None if trace is None else str(trace))
    return {
        "schema": SCHEMA,
        "trimwatt": __version__,
        "today": _today(),
        "sensors": [_sensor(place) for place in places],
        "surroundings": [asdict(place) for place in surroundings.look()],
        "conditions": [asdict(condition) for condition in conditions.look()],
        "plugins": _plugins(),
    }


def _plugins() -> list[dict[str, str]]:
    """What other packages add to the registries, and what of it is left out."""
    from trimwatt.technique import REGISTRY

    known = REGISTRY.known
    there = [
        {"kind": REGISTRY.kind, "name": name, "package": package, "state": "ready", "detail": ""}
        for name, package in known.packages.items()
    ]
    return there + [
        {"kind": one.kind, "name": one.name, "package": one.package, "state": "closed", "detail": one.why}
        for one in known.refused
    ]


def _sensor(place: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from trimwatt.meter import opening

    told = {**asdict(place.probe), "mode": place.mode, "owner": place.owner, "group": place.group}
    if opening.closed([place]):
        for_good = f'trimwatt doctor --fix-script open.sh  (a udev rule, group "{opening.GROUP}")'
        return {**told, "fix_for_good": for_good, "why_closed": opening.WHY}
    return {**told, "fix_for_good": "", "why_closed": ""}


def _today() -> dict[str, Any]:
    """The label that a reading gets now, from one of a quarter of a second."""
    import time

    from trimwatt.meter.session import meter

    with meter("doctor") as window:
        time.sleep(0.25)
    energy, name = window.reading.energy, window.sensor.name
    told = {"sensor": name, "coverage": window.reading.coverage, "warnings": list(window.reading.warnings)}
    if energy is None or energy.joules <= 0:
        return {"label": None, "low": None, "high": None, "width": "no energy can be told here", **told}
    low, high = energy.low / energy.joules, energy.high / energy.joules
    width = f"by {name}, 95 % interval x{low:.3g} to x{high:.3g}"
    if energy.origin == "measured":
        width += " in 0.25 s, less in longer windows; how true a counter is to the plug is not known and not in it"
    else:
        width += "; ratios of two models here are known far better than watts"
    return {"label": energy.origin, "low": low, "high": high, "width": width, **told}


def _write_script(target: Path, found: dict[str, Any]) -> None:
    from trimwatt.meter import opening, probe
    from trimwatt.report import put

    places = probe.sensors()
    if not opening.closed(places):
        raise InputError("no counter here is there and closed, so there is nothing for a script to open; see the list")
    try:
        put(target, opening.script(places))
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror or error}; name another file") from error
    _output.say(f"trimwatt: wrote {target}; read it, then run: sudo sh {target}")


def _calibrate(asked: dict[str, Any], phases: str, save_load: Path | None, load: Path | None, as_json: bool) -> None:
    from trimwatt.meter import calibrating

    given = [name for name, value in asked.items() if value]
    if len(given) != 1:
        got = ", ".join(given) or "none"
        raise InputError(f"--calibrate needs one of --counters, --battery, --trace FILE, --save-load FILE, got {got}")
    if load is not None and given[0] != "--trace":
        raise InputError("--load goes with --trace FILE, the log of the time when that load ran")
    seconds = calibrating.times(phases)
    if save_load is not None:
        calibrating.record(save_load, seconds, _output.say)
        _output.say(f"trimwatt: wrote {save_load}; then: trimwatt doctor --calibrate --trace LOG --load {save_load}")
        return
    source: calibrating.Source = asked["--trace"] or ("battery" if asked["--battery"] else "counters")
    found, file = calibrating.calibrate(source, seconds, load, _output.say)
    if as_json:
        from dataclasses import asdict

        _output.print_json({"schema": "trimwatt/calibration/1", "file": str(file), **asdict(found)})
        return
    _output.write(f"{found}\nkept in {file}; readings without a sensor are `estimated` by it from now on\n")
