"""The Python face, as the README shows it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import trimwatt as tw

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")


@pytest.mark.slow
def test_a_fitted_estimator_is_optimized_reported_and_loaded(tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_breast_cancer(return_X_y=True)
    x = x.astype(np.float32)
    splits = ((x[:300], y[:300]), (x[300:430], y[300:430]), (x[430:], y[430:]))
    model = RandomForestClassifier(100, random_state=0).fit(*splits[0])
    study = tw.optimize(
        model, data=splits, metric="accuracy", max_drop=0.02, budget="1h", techniques="runtime", output=tmp_path / "s"
    )
    assert study.recommended is not None and study.recommended.trial.ratio_to_baseline is not None
    assert study.recommended.trial.ratio_to_baseline.value < 0.5
    assert np.array_equal(study.recommended.artifact.open().predict(x[430:]), model.predict(x[430:]))
    assert np.array_equal(tw.load(tmp_path / "s" / "artifact").predict(x[:50]), model.predict(x[:50]))
    page = study.report(tmp_path / "again.html").read_text()
    assert study.recommended.trial.name in page and len(page) > 10_000
    table = study.to_pandas()
    assert list(table["status"]) == ["done"] * len(study.trials)
    assert "quality.value" in table.columns
    assert "<script" not in study._repr_html_()


def test_metering_a_block_stays_callable_once_its_package_is_loaded() -> None:
    code = (
        "import trimwatt as tw, trimwatt.meter.pick\nwith tw.meter('x') as m: sum(range(1000))\nprint(m.reading.energy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "estimated" in done.stdout or "measured" in done.stdout


SCRIPT = """
import numpy as np, torch, trimwatt as tw
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    def forward(self, x):
        return self.layers(x)

rng = np.random.default_rng(0)
x = rng.normal(size=(600, 4)).astype(np.float32)
y = (x[:, 0] + x[:, 1] > 0).astype(int)
parts = [(x[a:b], y[a:b]) for a, b in ((0, 400), (400, 500), (500, 600))]
study = tw.optimize(Mine(), data=parts, train=True, max_drop=0.05, budget="1h", techniques="runtime", output="out")
print(study.recommended.trial.runtime)
"""


@pytest.mark.slow
def test_a_class_that_lives_in_a_script_without_a_guard_works(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "mine.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "onnxruntime"
