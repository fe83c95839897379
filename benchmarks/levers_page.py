"""docs/levers.md, made from the records of levers.py, peers.py and layer_costs.py. Run this file to write it anew."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import _record

RESULTS, PAGE = _record.ROOT / "benchmarks" / "results", _record.ROOT / "docs" / "levers.md"
TITLES = {
    "resnet20": "ResNet-20 on CIFAR-10 images", "small_cnn": "A small CNN on PneumoniaMNIST",
    "mobilenet_v2": "MobileNet v2 on PneumoniaMNIST", "mlp_adult": "An MLP on Adult",
    "gru_occupancy": "A GRU on room occupancy", "minilm_banking77": "A MiniLM encoder on Banking77",
}  # fmt: skip
SHORT = {
    "resnet20": "ResNet-20", "small_cnn": "small CNN", "mobilenet_v2": "MobileNet v2", "mlp_adult": "MLP",
    "gru_occupancy": "GRU", "minilm_banking77": "MiniLM",
}  # fmt: skip
UNLIKE = (
    "PneumoniaMNIST's test rows are unlike its training and validation rows: the untouched network itself reaches far"
    " less on them. A floor proven on the one need not hold on the other, least where a network was trained further.\n"
)
NOTES = {
    "small_cnn": UNLIKE,
    "mobilenet_v2": UNLIKE,
    "resnet20": (
        "The rows with `tucker` were recorded before its ranks went up in whole blocks of channels, which are faster;"
        " the small CNN's table has newer ones.\n"
    ),
    "mlp_adult": (
        "Most of its time is not the network's: a single tree in its place (`distill-tree(depth=8)`) takes nearly as"
        " long, for reading 14 columns and encoding their text. What shrinks the network can save little here, reading"
        " fewer columns (`select-columns`) saves much.\n"
    ),
}
HEAD = """# Levers

What each lever does to small networks, alone and in chains: written from the records under `benchmarks/results/` by
`python benchmarks/levers_page.py`, which a test repeats. Each table is one run of `python benchmarks/levers.py CASE` on
an otherwise idle machine of two cores without an energy sensor, so time is CPU time, batch 1, one thread. Every
candidate was opened in a process of its own and compared in random pairs with the same network in PyTorch eager and in
ONNX Runtime, float32; brackets are 95 % intervals. The floor is one point below the untouched network on validation
rows. **Saves**, **saves nothing** and **hurts** are beside ONNX Runtime, as the change of runtime is another lever;
**only shrinks** means a smaller file that is not cheaper. To make a candidate costs energy, which is estimated from CPU
time and includes the steps that it shares with others.
"""


def page() -> str:
    """The whole page."""
    cases = [line for name in TITLES for line in case(name)]
    return "\n".join([HEAD, *_summary(), *verdicts(), *peers(), *widths(), *cases]).rstrip() + "\n"


def case(name: str) -> Iterator[str]:
    """The section of one network, or nothing where it was not recorded."""
    found = _read(f"levers_{name}")
    if found is None:
        return
    about = found["references"]
    eager, plain = about["cpu_s"]["eager"], about["cpu_s"]["onnxruntime fp32"]
    rows = about["rows"]
    yield f"## {TITLES[name]}\n"
    yield (
        f"Untouched: {about['metric']} {_quality(about['quality'])}, {_time(eager)} in PyTorch eager and {_time(plain)}"
        f" in ONNX Runtime, {_size(about['size_bytes']['onnxruntime fp32'])}, {about['parameters']:,} parameters;"
        f" {rows['val']:,} validation rows. Recorded {found['date'][:10]} in {found['wall_s'] / 60:.0f} minutes.\n"
    )
    yield _self_test(found["self_test"])
    if name in NOTES:
        yield NOTES[name]
    yield f"| lever | {about['metric']} | of eager | of ONNX Runtime | time | file | memory | to make | verdict |"
    yield "|---|---|---|---|---|---|---|---|---|"
    done = [row for row in found["rows"] if row["status"] == "done"]
    yield from map(_row, sorted(done, key=lambda row: row["ratio"]["onnxruntime"]["value"]))
    yield ""
    failed = [row for row in found["rows"] if row["status"] != "done"]
    yield from (f"- `{row['name']}` failed: {row['reason']}" for row in failed)
    yield from [""] if failed else []
    yield from _tested(found)


def _tested(found: dict[str, Any]) -> Iterator[str]:
    said = {"best": "The cheapest that met the floor", "safest": "The cheapest proven to meet it"}
    for what, words in said.items():
        test = found.get(what)
        if not test or (what == "safest" and test["name"] == found["best"]["name"]):
            continue
        row = next(row for row in found["rows"] if row["name"] == test["name"])
        yield (
            f"{words}, `{test['name']}`, took {_ratio(row['ratio']['eager'])} of eager and"
            f" {_ratio(row['ratio']['onnxruntime'])} of ONNX Runtime; on test rows it reached"
            f" {test['quality']['value']:.4f}, the untouched network {test['untouched']['value']:.4f}"
            f" ({'within' if test['within_a_point'] else 'not within'} a point).\n"
        )


def _self_test(test: dict[str, Any]) -> str:
    """What the host could not tell apart in that run."""
    differed = f"identical arms differed by {test['ratio'] - 1:+.1%} [{test['low']:.3f}, {test['high']:.3f}]"
    passed = "" if test["passed"] else ": two processes of one network can, for as long as they live"
    return f"Self-test: {differed}{passed}. Effects below {test['resolution']:.1%} are not claimed.\n"


def _row(row: dict[str, Any]) -> str:
    ratio, cost = row["ratio"], row["cost"]
    cells = (
        f"`{row['name']}`", _quality(row["quality"]), _ratio(ratio["eager"]), _ratio(ratio["onnxruntime"]),
        _time(row["cpu_s"]), _size(row["size_bytes"]), _size(row["peak_rss_bytes"]),
        f"{_figures(cost['joules'])} J" if cost else "unknown", row["verdict"],
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _summary() -> Iterator[str]:
    """The cheapest that met the floor on each network, and the cheapest proven to where that is another."""
    yield "## At a glance\n"
    yield "| network | cheapest that | lever | of eager | of ONNX Runtime | test rows, untouched | test rows |"
    yield "|---|---|---|---|---|---|---|"
    for name, title in TITLES.items():
        found = _read(f"levers_{name}") or {}
        for what, said in (("best", "met the floor"), ("safest", "was proven to")):
            test = found.get(what)
            if not test or (what == "safest" and test["name"] == found["best"]["name"]):
                continue
            row = next(row for row in found["rows"] if row["name"] == test["name"])
            ratio = row["ratio"]
            if row["verdict"] != "saves":
                yield f"| {title} | {said} | none saves beside ONNX Runtime | | | {test['untouched']['value']:.4f} | |"
                continue
            yield (
                f"| {title} | {said} | `{test['name']}` | {_ratio(ratio['eager'])} | {_ratio(ratio['onnxruntime'])} |"
                f" {test['untouched']['value']:.4f} | {test['quality']['value']:.4f} |"
            )
    yield ""


def verdicts() -> Iterator[str]:
    """Each lever alone on each network: the cheapest of its forms that met the floor, or the first of them."""
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for name in TITLES:
        for row in (_read(f"levers_{name}") or {"rows": []})["rows"]:
            lever = _alone(row["name"])
            if lever and row["status"] == "done":
                before = cells.setdefault(lever, {}).get(name)
                cells[lever][name] = row if before is None or _order(row) < _order(before) else before
    if not cells:
        return
    yield "## Each lever alone\n"
    yield "At most with fine-tuning before or after it: time beside ONNX Runtime, float32, and the verdict.\n"
    recorded = [name for name in SHORT if _read(f"levers_{name}")]
    yield f"| lever | {' | '.join(SHORT[name] for name in recorded)} |"
    yield "|---" * (len(recorded) + 1) + "|"
    for lever, found in sorted(cells.items()):
        said = [_cell(found[name]) if name in found else "" for name in recorded]
        yield f"| `{lever}` | {' | '.join(said)} |"
    yield ""


def _alone(label: str) -> str | None:
    """The one lever of a chain, by name; None where there are several or none."""
    levers = {step.partition("(")[0] for step in label.split(" + ")} - {"finetune"}
    if ", openvino" in label or len(levers) > 1:
        return None
    return levers.pop() if levers else "finetune"


def _order(row: dict[str, Any]) -> tuple[bool, float]:
    return not row["meets_floor"], row["ratio"]["onnxruntime"]["value"] if row["meets_floor"] else 0.0


def _cell(row: dict[str, Any]) -> str:
    return f"{row['ratio']['onnxruntime']['value']:.2f} {row['verdict']}"


def peers() -> Iterator[str]:
    """Beside other tools."""
    found = _read("peers")
    if found is None:
        return
    used = {"onnxruntime": found["host"]["packages"]["onnxruntime"], **found["peers"]}
    versions = ", ".join(f"{name} {version}" for name, version in used.items())
    yield "## Beside other tools\n"
    yield (
        "`python benchmarks/peers.py`: the same lever by another tool, from the same network, rows and training, in the"
        " same run. Time is ours over theirs. Quality is ours less theirs, on validation and test rows together, of a"
        " chain, whose parts were chosen by the former, on test rows alone; where both train it is the mean over"
        " several seeds of that training, and its interval includes them. A chain of theirs is put together from two"
        f" tools, as none has one. With {versions}.\n"
    )
    yield "| network | lever | other tool | time, ours over theirs | quality gained | file, ours and theirs |"
    yield "|---|---|---|---|---|---|"
    for name, rows in found["cases"].items():
        for row in rows:
            start = f"| {TITLES[name]} | {row['lever']} | {row['peer']} |"
            if row["status"] != "done":
                yield f"{start} failed: {row['reason']} | | |"
                continue
            gained, sizes = _gain(row["quality_gained"]), [_size(size) for size in row["size_bytes"]]
            yield f"{start} {_ratio(row['time_ours_over_theirs'])} | {gained} | {', '.join(sizes)} |"
    yield ""


def widths() -> Iterator[str]:
    """Widths from measured costs beside the same share everywhere."""
    records = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("layer_costs_*.json"))]
    if not records:
        return
    yield "## Widths from measured costs\n"
    yield (
        "`python benchmarks/layer_costs.py`: channels removed by `prune-budget`, told to take no more time than the"
        " same share of every layer removed takes; both fine-tuned alike. Accuracy is on validation and test rows"
        " together, as nothing is chosen by them; gained is costs less uniform, as pruned and after fine-tuning, where"
        " it is the mean over seeds and its interval includes them (only rows in a record without the former).\n"
    )
    yield "| network | precision | share | seeds | rows | uniform | from costs | gained | as pruned | time |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for found in records:
        case, _, share = found["name"].removeprefix("layer_costs_").rsplit("_", 2)
        uniform, budget = found["networks"]["uniform"], found["networks"]["budget"]
        yield (
            f"| {TITLES[case]} | {found['precision']} | {share} | {found['seeds']} | {found['judged_rows']:,} |"
            f" {uniform['accuracy']:.4f} | {budget['accuracy']:.4f} | {_gain(found['accuracy_gained'])} |"
            f" {_gain(found.get('gained_as_pruned'))} | {_ratio(found['budget_over_uniform'])} |"
        )
    yield ""


def _gain(gap: dict[str, float] | None) -> str:
    if gap is None:
        return ""
    return f"{gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _ratio(ratio: dict[str, Any]) -> str:
    return f"{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}]"


def _quality(quality: dict[str, Any]) -> str:
    return f"{quality['value']:.4f} [{quality['low']:.4f}, {quality['high']:.4f}]"


def _time(seconds: float) -> str:
    return f"{_figures(seconds * 1e6)} µs" if seconds < 1e-3 else f"{_figures(seconds * 1e3)} ms"


def _size(size: float) -> str:
    return f"{_figures(size / 1e6)} MB" if size >= 1e6 else f"{_figures(size / 1e3)} kB"


def _figures(value: float) -> str:
    """Three figures, never as a power of ten."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):,.{max(0, digits)}f}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
