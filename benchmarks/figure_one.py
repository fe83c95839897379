"""Figure 1: energy a prediction before and after, of a network and of a tree, drawn from recorded studies.

    python benchmarks/figure_one.py          # reads results/resnet20.json and results/demo.json

Of each record: the baseline, the same model in ONNX Runtime, and what was recommended. Whiskers are the interval of
the ratio to the baseline. Written to docs/images/before-after.svg.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import _record
import altair as alt
import vl_convert

from trimwatt import units

SHOWN = {"resnet20": "a network: ResNet-20 on CIFAR-10 images", "demo": "a tree: 200 trees on scikit-learn's digits"}
TARGET = _record.ROOT / "docs" / "images" / "before-after.svg"
INK, PAPER = "#24292f", "#ffffff"
COLOURS = {"before": "#b35806", "runtime": "#998ec3", "after": "#2166ac"}


def bars(name: str) -> list[dict[str, Any]]:
    """Before, the change of runtime alone, and after, as microjoules."""
    study = json.loads((_record.ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["study"]
    trials = {trial["id"]: trial for trial in study["trials"]}
    first, last = trials[study["baseline"]], trials[study["recommended"]]
    moved = next(t for t in study["trials"] if t["family"] == "runtime" and t["runtime"] == "onnxruntime")
    return [
        _bar(study, first, "before", "as it was"), _bar(study, moved, "runtime", "in ONNX Runtime"),
        _bar(study, last, "after", "recommended"),
    ]  # fmt: skip


def _bar(study: dict[str, Any], trial: dict[str, Any], role: str, label: str) -> dict[str, Any]:
    ratio, energy = trial["ratio_to_baseline"], trial["energy_per_prediction"]
    whole = next(t for t in study["trials"] if t["id"] == study["baseline"])["energy_per_prediction"]["joules"] * 1e6
    quality = f"{study['metric']} {trial['quality']['value']:.3f}"
    told = f"{units.joules(whole / 1e6)} ({energy['origin']})"
    size = told if role == "before" else f"{units.three(1 / ratio['value'])} times less"
    return {
        "label": label, "role": role, "joules": whole * ratio["value"], "low": whole * ratio["low"],
        "high": whole * ratio["high"], "text": f"{size}, {quality}",
    }  # fmt: skip


def panel(name: str) -> alt.LayerChart:
    """One record's bars, from nothing to its baseline."""
    rows = bars(name)
    widest = rows[0]["joules"]
    base = alt.Chart(alt.Data(values=rows))
    y = alt.Y("label:N", sort=[row["label"] for row in rows], title=None)
    x = alt.X("joules:Q", title="µJ a prediction", scale=alt.Scale(domain=[0, widest * 1.5]), axis=alt.Axis(grid=False))
    colour = alt.Color("role:N", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())), legend=None)
    drawn = base.mark_bar(height=20).encode(x=x, y=y, color=colour)
    spread = base.mark_rule(color=INK, strokeWidth=1.5).encode(x="low:Q", x2="high:Q", y=y)
    label = base.mark_text(align="left", dx=9, color=INK, fontSize=12).encode(x="high:Q", y=y, text="text:N")
    return (drawn + spread + label).properties(width=620, height=110, title=SHOWN[name])


def main() -> int:
    chart = alt.vconcat(*(panel(name) for name in SHOWN), spacing=26, background=PAPER, padding=12).configure(
        title=alt.TitleConfig(anchor="start", color=INK, fontSize=14),
        axis=alt.AxisConfig(labelColor=INK, titleColor=INK, labelFontSize=12),
        view=alt.ViewConfig(stroke=None),
    )
    TARGET.write_text(vl_convert.vegalite_to_svg(chart.to_json()), encoding="utf-8")
    print(f"drawn: {TARGET.relative_to(_record.ROOT)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
