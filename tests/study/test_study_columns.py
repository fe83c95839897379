"""A study on a table most of whose columns say nothing: what is handed over asks only for those that do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from studying import optimize

import trimwatt as tw

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")
# so many and so long that a file which knows them weighs clearly more than one that does not
WORDS = [f"one of forty words, number {n}" for n in range(40)]


@pytest.mark.slow
@pytest.mark.usefixtures("known_costs")
def test_what_is_handed_over_asks_only_for_the_columns_it_reads(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"word {n}": rng.choice(WORDS, 1500) for n in range(9)})
    frame["size"] = rng.normal(size=1500).round(3)
    frame["big"] = np.where(frame["size"] > 0.2, "yes", "no")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    asked = {"target": "big", "baseline": "boosted", "techniques": "inputs", "budget": "1h", "output": tmp_path / "out"}
    done = optimize(data=tmp_path / "rows.csv", **asked)
    found = json.loads((done.folder / "study.json").read_text())
    chosen = next(trial for trial in found["trials"] if trial["id"] == found["recommended"])
    assert "select-columns" in chosen["name"]
    columns = [
        column["name"]
        for column in json.loads((done.folder / "artifact/manifest.json").read_text())["input"]["columns"]
    ]
    assert "size" in columns and len(columns) < 10
    assert any(f"reads {len(columns)} of the 10 columns" in warning for warning in found["warnings"])
    answers = tw.load(done.folder / "artifact").predict(frame[columns])
    assert np.mean(answers == frame["big"]) > 0.98
    again = optimize(data=tmp_path / "rows.csv", **asked, resume=True)
    assert [
        c["name"] for c in json.loads((again.folder / "artifact/manifest.json").read_text())["input"]["columns"]
    ] == columns
