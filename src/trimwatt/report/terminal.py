"""The outcome of a study in a terminal of 80 columns or more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimwatt._printable import visible
from trimwatt.report import _study, _text
from trimwatt.report.live import Live, line, symbol

_MOST = 6
__all__ = ["Live", "line", "outcome", "places", "summary", "table"]


def table(study: dict[str, Any]) -> Table:
    """The measured trials, the cheapest first: a figure above, its interval or grade below.

    The recommended one carries a star and the word. Of those that miss the floor, the first `_MOST` are shown.
    """
    asked = _study.asked_line(study)
    result = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), expand=False, header_style="dim", caption_justify="left",
        caption=Text(_text.plain(asked and f"energy and latency: {asked}")), caption_style="dim",
    )  # fmt: skip
    result.add_column("", width=1)
    result.add_column("candidate", min_width=16, ratio=1, overflow="fold")
    for name in (_text.plain(study.get("metric") or "quality"), "energy", "vs baseline", "latency\nsize", "to find"):
        result.add_column(name, no_wrap=name.startswith("lat"))
    for trial in _shown(study)[0]:
        result.add_row(*_cells(study, trial))
    return result


def _shown(study: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The measured trials to show, and how many that miss the floor are not."""
    done = [trial for trial in _study.ranked(study) if trial["status"] == "done"]
    kept = [trial for trial in done if trial.get("meets_floor") or _study.marks(study, trial)]
    missed = [trial for trial in done if trial not in kept]
    return kept + missed[:_MOST], len(missed[_MOST:])


def _cells(study: dict[str, Any], trial: dict[str, Any]) -> list[Text]:
    roles = _study.marks(study, trial)
    mark, style = ("★", "bold green") if "recommended" in roles else symbol(trial)
    bold = "bold" if "recommended" in roles else ""
    energy, ratio = _text.energy(trial.get("energy_per_prediction")), _text.ratio(trial.get("ratio_to_baseline"))
    quality = f"{_text.quality(trial.get('quality'))[0]} {_text.half_width(trial.get('quality'))}"
    return [
        Text(mark, style),
        _two(trial["name"], ", ".join(roles) or trial["runtime"], bold),
        _two(quality.strip(), _text.grade(trial), bold),
        _two(*energy, bold),
        _two(*(("1 (itself)", "") if "baseline" in roles else ratio), bold),
        _two(_text.seconds((trial.get("latency_s") or {}).get("p50")), _text.size(trial.get("size_bytes")), bold),
        Text(_text.energy(trial.get("cost"))[0], bold),
    ]


def _two(above: str, below: str, style: str) -> Text:
    return Text.assemble((_text.plain(above), style), "\n", (_text.plain(below), "dim"))


def left_out(study: dict[str, Any]) -> list[Text]:
    """A line for each trial that failed, was skipped or stopped, with its reason."""
    more = _shown(study)[1]
    lines = [Text(f"  and {more} more that miss the floor: see the report", "dim")] if more else []
    for trial in _study.ranked(study):
        if trial["status"] != "done":
            mark, style = symbol(trial)
            why = f"{trial['status']}: {trial.get('reason') or 'no reason given'}"
            lines.append(
                Text.assemble((f"{mark} ", style), _text.plain(trial["name"]), ("  " + _text.plain(why), "dim"))
            )
    return lines


def _facts(study: dict[str, Any]) -> list[tuple[str, str]]:
    chosen = _study.recommended(study)
    facts = [("floor", _study.floor_line(study))]
    if chosen:
        asked = _study.asked_line(study)
        energy = f"{_text.energy_line(chosen.get('energy_per_prediction'))}, a prediction"
        facts.append(("energy", f"{energy}; {asked}" if asked else energy))
        for where, held in _study.qualities(study, chosen):
            value, interval = _text.quality(held)
            facts.append(("quality", f"{study['metric']} {value} [{interval}] on {held['rows']:,} {where}"))
    facts += [("pays back", text) for text in _study.payback_lines(study)]
    if spent := _study.total(study):
        facts.append(("study", _text.energy_line(spent)))
    facts += [("origin", text) for text in _study.origin_lines(study)]
    return facts + [("warning", str(text)) for text in study.get("warnings") or []]


def summary(study: dict[str, Any]) -> Group:
    """The verdict, what it rests on, when it pays back, and what is estimated."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    previous = None
    for name, text in _facts(study):
        grid.add_row("" if name == previous else name, escape(_text.plain(text)))
        previous = name
    return Group(Padding(Text(_text.plain(_study.verdict(study)), "bold"), (1, 0)), grid)


def outcome(study: dict[str, Any]) -> Group:
    """Table, what was left out, and summary: all that a study prints when it ends."""
    return Group("", table(study), *left_out(study), summary(study))


def places(files: list[Path], artifact: Path, digest: str | None = None) -> Text:
    """Where the outcome is, by which digest the artifact can be pinned, and what to type next."""
    lines = [("written   ", visible(path)) for path in files if path.is_file()]
    if (artifact / "manifest.json").is_file():
        shown = visible(artifact)
        lines += [("model     ", f"{shown}{os.sep}"), ("next      ", f"trimwatt predict {shown} DATA")]
        lines += [("elsewhere ", f"... --trust {digest}")] * bool(digest)
    return Text("\n").join([Text(""), *(Text.assemble((name, "dim"), where) for name, where in lines)])
