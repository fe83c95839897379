"""A comparison for people: the claim first, then what it rests on; random error and model error apart."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimwatt import units
from trimwatt.report import _text

_STYLE = {"less": "bold green", "more": "bold red", "tied": "bold", "inconclusive": "bold yellow"}
_BASIS = {"cpu_seconds": "CPU seconds", "dynamic_energy": "dynamic energy"}


def _times(value: float) -> str:
    """A ratio with three digits: 0.0949x, 1.26x, 153x."""
    return f"{units.three(value)}x"


def outcome(record: dict[str, Any]) -> Group:
    """All that `trimwatt compare` prints, from the JSON of a comparison of two arms or of many."""
    return _many(record) if "arms" in record else _two(record)


def claim(record: dict[str, Any]) -> str:
    """The finding in a sentence: `f takes 1.26x [1.20x to 1.33x] the CPU seconds of g: more`."""
    names = (_text.plain(record[side]["name"]) for side in ("a", "b"))
    a, b = names
    between = f"{_times(record['low'])} to {_times(record['high'])}"
    what = _BASIS.get(record["basis"], str(record["basis"]).replace("_", " "))
    beside = f", {record['waiting']}" if record.get("waiting") else ""
    return f"{a} takes {_times(record['ratio'])} [{between}] the {what} of {b}: {record['verdict']}{beside}"


def recorded(sentence: str, record: dict[str, Any]) -> Group:
    """What `trimwatt compare --from-csv` prints: the finding, quality beside it, the runs it would have needed."""
    facts = [("group", _text.plain(f"{name}: {_in_group(group)}")) for name, group in record["groups"].items()]
    for name, q in record["quality"].items():
        if "difference" in q:
            facts.append(("quality", f"{name} {q['difference']:+.3g} [{q['low']:+.3g} to {q['high']:+.3g}]"))
    needed = [f"{runs} for {what}" for what, runs in record["needed"].items() if runs is not None]
    facts += [("runs an arm", ", ".join(needed))] if needed else []
    if claimed := record["claim"]:
        facts.append(("claim", f"{_times(claimed['ratio'])}: {claimed['verdict']}{_counted(claimed.get('groups'))}"))
    facts += [("warning", text) for text in record["warnings"]]
    return Group(Text(_text.plain(sentence), _STYLE.get(record["verdict"], "bold")), "", _facts(facts))


def _in_group(group: dict[str, Any]) -> str:
    if group["ratio"] is None:
        return f"{group['verdict']}, {group['reason']}"
    between = f"{_times(group['low'])} to {_times(group['high'])}"
    claimed = f", claim: {group['claim']['verdict']}" if group["claim"] else ""
    return f"{_times(group['ratio'])} [{between}]: {group['verdict']}{claimed}"


def _counted(groups: dict[str, int] | None) -> str:
    return f" ({', '.join(f'{verdict}: {n}' for verdict, n in groups.items())})" if groups else ""


def _two(record: dict[str, Any]) -> Group:
    found = Text(claim(record), _STYLE.get(record["verdict"], "bold"))
    arms = [record["a"], record["b"]]
    return Group(Padding(found, (0, 0, 1, 0)), _arms(arms), "", _facts(_of_pair(record) + _common(record)))


def _many(record: dict[str, Any]) -> Group:
    pairs = [Text(claim(p), _STYLE.get(p["verdict"], "bold")) for p in record["pairs"]]
    tied = [_text.plain(arm["name"]) for arm in record["arms"] if arm["tied_with_cheapest"]]
    others = [name for name in tied if name != _text.plain(record["cheapest"])]
    head = f"cheapest: {_text.plain(record['cheapest'])}" + (f", tied with {', '.join(others)}" if others else "")
    facts = [("pairs", f"{record['rounds']} rounds of all arms; {record['stopped']}; differences by Holm's rule")]
    first = record["pairs"][0]
    facts += [("self-test", _self_test(first["self_test"]))] if first["self_test"] else []
    return Group(Text(head, "bold green"), *pairs, "", _arms(record["arms"]), "", _facts(facts + _common(record)))


def _arms(arms: list[dict[str, Any]]) -> Table:
    """A line an arm: seconds and joules a request, and its rank where there are many."""
    ranked = any(arm.get("rank") for arm in arms)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("arm", overflow="fold", ratio=1)
    names = ["CPU", "wall", "dynamic energy", "gross energy", *(["rank"] if ranked else [])]
    for name in names:
        table.add_column(name, no_wrap=name in ("CPU", "wall"))
    for arm in arms:
        energies = [_text.energy_line(arm[f"{kind}energy_per_request"]) for kind in ("", "gross_")]
        cells = [_text.plain(arm["name"]), _text.seconds(arm["cpu_s_per_request"])]
        cells += [_text.seconds(arm["wall_s_per_request"]), *energies, *([_rank(arm["rank"])] if ranked else [])]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _rank(rank: dict[str, int]) -> str:
    low, high = rank["low"], rank["high"]
    return f"{rank['value']}" if low == high else f"{rank['value']} [{low} to {high}]"


def _of_pair(record: dict[str, Any]) -> list[tuple[str, str]]:
    won = f"a took less in {record['won']:.0%}"
    facts = [("pairs", f"{record['pairs']} in {record['sittings']} sittings; {won}; {record['stopped']}")]
    if random := record["random_error"]:
        between = f"{_times(random['low'])} to {_times(random['high'])}"
        facts.append(("random error", f"{between}, narrower with more pairs"))
    if model := record["model_error"]:
        facts.append(("model error", _model(model)))
    if gross := record["gross"]:
        between = f"{_times(gross['low'])} to {_times(gross['high'])}"
        facts.append(("gross", f"{_times(gross['value'])} [{between}] with the idle share by wall time"))
    return facts + ([("self-test", _self_test(record["self_test"]))] if record["self_test"] else [])


def _model(model: dict[str, Any]) -> str:
    if model["cancels"]:
        return f"none in the ratio: {model['why']}"
    high = "unknown" if model["high"] is None else f"x{model['high']:.2f}"
    return f"as energy the ratio may be off by x{model['low']:.2f} to {high}, whatever the pairs: {model['why']}"


def _self_test(test: dict[str, Any]) -> str:
    between = f"{_times(test['low'])} to {_times(test['high'])}"
    return f"the last arm against itself: {between} ({'passed' if test['passed'] else 'missed 1'})"


def _common(record: dict[str, Any]) -> list[tuple[str, str]]:
    facts = []
    if parity := record.get("parity"):
        equal = f"{parity['equal']:.1%} equal: " if parity.get("equal") is not None else "not compared: "
        facts.append(("results", equal + str(parity.get("what") or parity.get("why"))))
    return facts + [("warning", str(text)) for text in record.get("warnings") or []]


def _facts(facts: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for name, text in facts:
        grid.add_row(name, Text(_text.plain(text)))
    return grid
