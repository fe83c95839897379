"""A package outside the tree, installed by pip: its technique is known, proposed and recommended as ours are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.technique import Technique
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")
SOURCE = Path(__file__).parent / "package"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where pip has installed the package."""
    pytest.importorskip("setuptools", minversion="70.1", reason="building a wheel without the network needs setuptools")
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(SOURCE, folder / "source")
    words = ["install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target", folder / "site", source]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def _run(site: Path, *words: Any) -> str:
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "trimwatt", *map(str, words)], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of thirty columns two matter, and a small tree finds what they say."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 30)).astype(np.float32)
    x[:, :2] = np.where(rng.random((900, 2)) < 0.5, -1, 1) * rng.uniform(0.5, 1.5, (900, 2))
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    np.savez(path, x=x, y=(x[:, 0] > 0).astype(int) + (x[:, 1] > 0))
    return path


def test_doctor_names_what_other_packages_add(site: Path) -> None:
    found = json.loads(_run(site, "doctor", "--json"))["plugins"]
    assert found == [{"kind": "technique", "name": "lean-tree", "package": "lean-tree", "state": "ready", "detail": ""}]


@pytest.mark.slow
def test_a_study_proposes_measures_and_recommends_it(site: Path, rows: Path, tmp_path: Path) -> None:
    asked = ["--baseline", "boosted", "--techniques", "lean", "--budget", "5trials", "-o", tmp_path / "out", "--json"]
    study = json.loads(_run(site, "optimize", rows, *asked))
    trials = {trial["name"]: trial for trial in study["trials"]}
    assert {"boosted", "lean-tree", "lean-tree(columns=1)"} <= set(trials)
    ours = trials["lean-tree"]
    assert ours["status"] == "done" and ours["floor_test"] == "proven" and ours["energy_per_prediction"]["joules"] > 0
    assert study["recommended"] == ours["id"]
    assert not trials["lean-tree(columns=1)"]["meets_floor"]
    manifest = json.loads((tmp_path / "out" / "artifact" / "manifest.json").read_text())
    assert manifest["recipe"] == [{"technique": "lean-tree", "columns": 2, "depth": 4}]
    assert "lean-tree" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_its_recipe_runs_as_it_was_printed(site: Path, rows: Path, tmp_path: Path) -> None:
    line = "lean-tree(columns=3, depth=2) @ sklearn"
    asked = ["--baseline", "tree", "--techniques", "runtime", "--recipe", line, "--budget", "2trials", "--json"]
    study = json.loads(_run(site, "optimize", rows, *asked, "--reference", "baseline", "-o", tmp_path / "out"))
    # the change of runtime alone is always tried
    assert [trial["name"] for trial in study["trials"]] == ["tree @ sklearn", line, "tree"]
    assert study["trials"][1]["status"] == "done"


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> Technique:
        from trimwatt import technique as techniques

        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setattr(techniques, "REGISTRY", type(techniques.REGISTRY)(*_same(techniques.REGISTRY)))
        made: Technique = techniques.make("lean-tree", columns=20, depth=8)
        return made

    @pytest.fixture
    def workload(self) -> Workload:
        work = samples.digits(rows=300)
        return replace(work, model=None, form="none", prepare=None, decide=None)


def _same(registry: Any) -> tuple[Any, ...]:
    return registry.kind, registry.package, registry.group, registry.base, registry._fault
