"""The gate on a delivered model: its quality on rows, its size, and another commit's model on the same rows."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
GIT = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
CHECK = """
[tool.trimwatt.check.digits]
artifact = "artifact"
data = "rows.npz"
latency = "1 h"
size = "10 MB"
quality = { metric = "accuracy", floor = 0.6, max_drop = 0.01, target = "y" }
"""


@pytest.fixture
def repo(delivered: dict[str, Path], tmp_path: Path) -> Path:
    from trimwatt.testing import samples

    folder = tmp_path / "repo"
    folder.mkdir()
    rows, test = samples.digits().rows, samples.digits().rows.test
    assert rows.classes is not None
    labels = np.array([rows.classes[code] for code in test.y])
    np.savez(folder / "rows.npz", x=test.x, y=labels)
    shutil.copytree(delivered["digits"], folder / "artifact")
    (folder / "pyproject.toml").write_text(CHECK, encoding="utf-8")
    for words in (["init", "-q", "-b", "main"], ["add", "-A", "-f"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *words], cwd=folder, check=True)
    return folder


def test_a_delivered_model_is_held_to_its_budgets_and_the_last_commits(repo: Path, run: Callable[..., Any]) -> None:
    code, out, err = run(
        "check", "--config", repo / "pyproject.toml", "--against", "HEAD", "--pairs", 10, "--seed", 0, "--json"
    )
    assert code == 0, err
    (check,) = json.loads(out)["checks"]
    found = {f"{f['what']} {f['against']}": f for f in check["findings"]}
    assert {name: f["status"] for name, f in found.items() if not name.startswith(("energy", "latency H"))} == {
        "size HEAD": "pass", "quality HEAD": "pass", "latency budget": "pass", "size budget": "pass",
        "quality budget": "pass",
    }  # fmt: skip
    quality = found["quality budget"]
    assert quality["low"] < quality["value"] < quality["high"] <= 1
    assert quality["value"] == pytest.approx(0.783, abs=0.05)
    assert "these rows resolve" in found["quality HEAD"]["note"]
    assert found["energy HEAD"]["status"] != "fail"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({'target = "y"': 'target = "z"'}, "has no array 'z'"),
        ({'metric = "accuracy"': 'metric = "acuracy"'}, "metric 'acuracy' is unknown"),
        ({'data = "rows.npz"': 'data = "gone.npz"'}, "gone.npz"),
    ],
)
def test_what_does_not_fit_is_refused(
    repo: Path, run: Callable[..., Any], change: dict[str, str], message: str
) -> None:
    text = CHECK
    for old, new in change.items():
        text = text.replace(old, new)
    (repo / "pyproject.toml").write_text(text, encoding="utf-8")
    code, out, err = run("check", "--config", repo / "pyproject.toml", "--pairs", 5)
    assert (code, out) == (2, "")
    assert message in err.splitlines()[-1]
