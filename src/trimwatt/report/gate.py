"""What the gate found, as lines for a terminal and as Markdown for a pull request."""

from __future__ import annotations

from typing import Any

from trimwatt import units
from trimwatt.report import _text

_SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?"}
_WORDS = {"pass": "kept", "fail": "broken", "inconclusive": "not settled"}
_UNITS = {"dynamic_energy": "energy", "cpu_seconds": "CPU seconds"}


def verdict(outcome: dict[str, Any]) -> str:
    """The whole in one sentence."""
    findings = [finding for check in outcome["checks"] for finding in check["findings"]]
    if not findings:
        return "Nothing was asked of the checks: set a budget, or compare with --against or --baseline."
    count = {status: sum(f["status"] == status for f in findings) for status in _SIGNS}
    if count["fail"]:
        return f"The gate is closed: {count['fail']} of {len(findings)} limits {_are(count['fail'])} broken."
    if count["inconclusive"]:
        end = "which fails under --strict" if outcome["strict"] else "which passes with a warning"
        return f"No limit is broken; {count['inconclusive']} of {len(findings)} could not be settled, {end}."
    return f"All {len(findings)} limits are kept." if len(findings) > 1 else "The limit is kept."


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def lines(outcome: dict[str, Any]) -> list[str]:
    """A heading for each check, a line for each finding, then what a reader must know, and the verdict."""
    result = []
    for check in outcome["checks"]:
        result.append(f"{_text.plain(check['name'])}  {_figures(check)}".rstrip())
        result += [f"  {_SIGNS[f['status']]} {_sentence(f)}" for f in check["findings"]]
        result += [f"  ! {_text.plain(warning)}" for warning in check["warnings"]]
    return [*result, verdict(outcome)]


def _figures(check: dict[str, Any]) -> str:
    sample = check.get("sample") or {}
    if not sample:
        return ""
    parts = [f"{units.seconds(sample['cpu_s']['value'])} CPU", f"{units.seconds(sample['wall_s']['value'])} wall"]
    if sample.get("energy"):
        parts.insert(0, _text.energy_line(sample["energy"]))
    return f"{', '.join(parts)} a {check['request']}"


def _sentence(finding: dict[str, Any]) -> str:
    name, value, interval, limit = _cells(finding)
    shown = f"{value} [{interval}]" if interval else value
    note = f" ({_text.plain(finding['note'])})" if finding["note"] else ""
    return f"{name} {shown}, limit {limit}: {_WORDS[finding['status']]}{note}"


def _cells(finding: dict[str, Any]) -> tuple[str, str, str, str]:
    """What, value, interval, limit."""
    name = finding["what"]
    if finding["against"] != "budget":
        name = f"{_UNITS.get(finding['basis'], name)} against {_text.plain(finding['against'])}"
    low, high = finding["low"], finding["high"]
    if finding["unit"] == "ratio":
        show = _ratio
    elif finding["unit"] == "B":
        show = units.size
    elif finding["unit"] in ("J", "s"):
        value, bounds = _text.scaled(finding["value"], low, high, finding["unit"])
        return name, value, bounds, (units.joules if finding["unit"] == "J" else units.seconds)(finding["limit"])
    else:
        show, name = _text.figure, finding["unit"] if name == "quality" else f"{finding['unit']} {name[8:]}"
    interval = f"{show(low)} to {show(high)}" if low is not None and high is not None else ""
    return name, show(finding["value"]), interval, show(finding["limit"])


def _ratio(value: float) -> str:
    return f"{value:.3f}x"


def markdown(outcome: dict[str, Any]) -> str:
    """A summary for a pull request: the verdict, a table of limits, and what is behind them."""
    mark = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️"}
    text = [f"### trimwatt check: {mark[outcome['status']]} {verdict(outcome)}", ""]
    if any(check["findings"] for check in outcome["checks"]):
        text += ["| check | what | value | 95 % interval | limit | |", "| --- | --- | --- | --- | --- | --- |"]
    for check in outcome["checks"]:
        for finding in check["findings"]:
            cells = [_text.plain(check["name"]), *_cells(finding)]
            status = f"{mark[finding['status']]} {_WORDS[finding['status']]}"
            text.append("| " + " | ".join(_escaped(cell) for cell in [*cells, status]) + " |")
    text.append("")
    for check in outcome["checks"]:
        notes = [*check["warnings"], *(f["note"] for f in check["findings"] if f["note"] not in ("", "unpaired"))]
        text += [f"- {_escaped(check['name'])}: {_escaped(_figures(check))}"]
        text += [f"  - {_escaped(note)}" for note in dict.fromkeys(notes)]
    host = outcome["host"]
    text += ["", f"<sub>{_escaped(str(host['cpu']))}, {host['cores']} cores, {_escaped(str(host['sensor']))}</sub>", ""]
    return "\n".join(text)


def _escaped(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    return "".join("\\" + c if c in "\\`*_[]<>|" else c for c in _text.plain(text))
