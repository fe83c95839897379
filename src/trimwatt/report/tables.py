"""The candidates of a study as Markdown and CSV."""

from __future__ import annotations

import csv as csvfile
import io
from typing import Any

from trimwatt.report import _study, _text

_HEADS = (
    "candidate", "quality", "on training rows", "on test rows", "energy a prediction", "against baseline", "latency",
    "size", "to find", "floor",
)  # fmt: skip


def markdown(study: dict[str, Any]) -> str:
    """A table with intervals, the recommended row marked, and the verdict above it."""
    lines = [_cell(_study.verdict(study)), "", "| " + " | ".join(_HEADS) + " |", "|" + " --- |" * len(_HEADS)]
    lines += ["| " + " | ".join(_cell(text) for text in _row(study, trial)) + " |" for trial in _study.ranked(study)]
    asked = _study.asked_line(study)
    notes = [
        *([f"energy and latency: {asked}"] if asked else []),
        *_study.origin_lines(study),
        *(study.get("warnings") or []),
    ]
    return "\n".join([*lines, "", *(f"- {_cell(line)}" for line in notes)]) + "\n"


def _row(study: dict[str, Any], trial: dict[str, Any]) -> list[str]:
    roles = _study.marks(study, trial)
    name = trial["name"] + (f" ({', '.join(roles)})" if roles else "")
    if trial["status"] != "done":
        return [name, f"{trial['status']}: {trial.get('reason') or 'no reason given'}", *[""] * (len(_HEADS) - 2)]
    pairs = (
        *(_text.quality(trial.get(name)) for name in ("quality", "train_quality", "test_quality")),
        _text.energy(trial.get("energy_per_prediction")),
        ("1", "") if "baseline" in roles else _text.ratio(trial.get("ratio_to_baseline")),
    )
    figures = [f"{value} [{interval}]" if interval else value for value, interval in pairs]
    latency = _text.seconds((trial.get("latency_s") or {}).get("p50"))
    cost = _text.energy(trial.get("cost"))[0]
    return [name, *figures, latency, _text.size(trial.get("size_bytes")), cost, _text.grade(trial)]


def _cell(text: str) -> str:
    """Text that stays inside its cell and is no markup."""
    return "".join("\\" + c if c in "\\`*_[]<>|" else c for c in _text.plain(text))


# what a spreadsheet takes for the beginning of a formula
_FORMULA = ("=", "+", "-", "@")


def csv(study: dict[str, Any], raw: bool = False) -> str:
    """One row a trial, figures in SI units, unknown ones empty.

    A text that a spreadsheet would run as a formula gets a ' before it, unless `raw`. Control characters are left out.
    """
    rows = [{name: _field(value, raw) for name, value in flat(trial).items()} for trial in _study.trials(study)]
    file = io.StringIO()
    writer = csvfile.DictWriter(file, fieldnames=list(flat({})), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _field(value: Any, raw: bool) -> Any:
    if not isinstance(value, str):
        return value
    text = _text.plain(value)
    return f"'{text}" if text.startswith(_FORMULA) and not raw else text


def flat(trial: dict[str, Any]) -> dict[str, Any]:
    """The figures of a trial under one name each: `energy_per_prediction_joules`, `ratio_to_baseline_low`, ..."""
    row = {name: trial.get(name) for name in ("id", "name", "family", "runtime", "status", "reason")}
    row["recipe"] = " > ".join(str(step.get("technique")) for step in trial.get("recipe") or [])
    row |= {name: trial.get(name) for name in ("meets_floor", "floor_test", "on_front")}
    parts = {
        "quality": ("metric", "value", "low", "high", "rows"), "train_quality": ("value", "low", "high", "rows"),
        "test_quality": ("value", "low", "high", "rows"),
        "energy_per_prediction": ("joules", "low", "high", "origin"),
        "ratio_to_baseline": ("value", "low", "high", "pairs", "verdict", "basis"),
        "latency_s": ("p50", "p95"), "cost": ("joules", "low", "high", "origin"),
    }  # fmt: skip
    for name, keys in parts.items():
        row |= {f"{name}_{key}": (trial.get(name) or {}).get(key) for key in keys}
    plain = ("cpu_s_per_prediction", "size_bytes", "peak_rss_bytes", "parameters", "macs")
    return row | {name: trial.get(name) for name in plain}
