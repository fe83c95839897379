"""Whole studies: judged out of fold, fitted again, held to the strongest model, and handed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studying import optimize

from trimwatt.errors import InputError
from trimwatt.study import again, crossing, families

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("known_costs")]


@pytest.fixture(autouse=True)
def _without_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches for parameters have tests of their own, and take longer than all else here."""
    monkeypatch.setattr(families, "FAMILIES", ())


def _table(rows: int, seed: int = 0) -> dict[str, Any]:
    """A target that trees find and lines do not."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(rows, 5)).astype(np.float32)
    y = ((x[:, 0] * x[:, 1] > 0) ^ (rng.random(rows) < 0.05)).astype(int)
    return {"x": x, "y": y}


def _study(folder: Path, rows: int, **asked: Any) -> dict[str, Any]:
    asked = {"budget": "12trials", "techniques": "runtime,classical", "baseline": "linear", **asked}
    return optimize(data=_table(rows), output=folder / "out", **asked).summary


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("folds")


def test_few_rows_are_judged_out_of_fold_and_the_strongest_sets_the_floor(folder: Path) -> None:
    study = _study(folder, 500)
    trials = {trial["id"]: trial for trial in study["trials"]}
    assert study["validation"] == {"folds": 5, "rows": 400} and study["refit"] == "train+val"
    base, reference = trials[study["baseline"]], trials[study["reference"]]
    assert reference["id"] != base["id"] and reference["floor_test"] == "proven" and not base["meets_floor"]
    assert study["floor"]["value"] == pytest.approx(reference["quality"]["value"] - 0.01)
    assert base["quality"]["rows"] == 400 and base["train_quality"]["rows"] == 320
    assert all(t["test_quality"]["rows"] == 100 for t in (base, reference, trials[study["recommended"]]))
    # what misses the floor in the first fold is not fitted in the others
    assert min(t["quality"]["rows"] for t in trials.values() if t["quality"]) < 400
    assert f"set by {reference['name']}" in study["verdict"] or "the strongest model found" in study["verdict"]


def test_a_study_is_not_resumed_with_another_reference(folder: Path) -> None:
    with pytest.raises(InputError, match="started with other options"):
        _study(folder, 500, reference="baseline", resume=True)


def test_resumed_it_comes_to_the_same_reference_without_fitting_again(folder: Path) -> None:
    before = json.loads((folder / "out" / "study.json").read_text())
    after = _study(folder, 500, resume=True)
    assert after["reference"] == before["reference"] and after["floor"] == before["floor"]
    fits = [[e for e in study["ledger"] if e["stage"] == "train"] for study in (before, after)]
    assert len(fits[0]) == len(fits[1])


def test_held_to_the_baseline_where_that_is_asked(tmp_path: Path) -> None:
    study = _study(tmp_path, 300, reference="baseline")
    assert study["reference"] == study["baseline"] and "set by" not in study["verdict"]


def test_many_rows_are_judged_on_one_split_and_what_is_handed_over_is_fitted_again(tmp_path: Path) -> None:
    study = _study(tmp_path, 7000, baseline="tree", refit="all")
    trials = {trial["id"]: trial for trial in study["trials"]}
    chosen, base = trials[study["recommended"]], trials[study["baseline"]]
    assert study["validation"]["folds"] is None and study["validation"]["rows"] == study["data"]["rows"]["val"]
    assert again.NOTE in base["notes"] and (chosen["id"] == base["id"] or again.NOTE in chosen["notes"])
    assert study["refit"] == ("all" if study["confirmed"] else "train+val")
    assert any("fitted again after confirmation" in line for line in study["warnings"]) is study["confirmed"]
    manifest = json.loads((tmp_path / "out" / "artifact" / "manifest.json").read_text())
    assert manifest["refit"] == study["refit"]


def test_a_budget_too_small_for_folds_falls_back_to_one_split_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crossing, "_FOLDS_SHARE", 0.0)
    study = _study(tmp_path, 300, baseline="tree")
    assert study["validation"] == {"folds": None, "rows": 60}
    assert any("judged on 60 validation rows alone" in line for line in study["warnings"])
    assert study["refit"] == "train+val"


@pytest.mark.parametrize(("name", "value"), [("reference", "strongest"), ("refit", "test")])
def test_unknown_words_are_refused_with_those_allowed(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{name} is one of"):
        _study(tmp_path, 300, **{name: value})
    assert not (tmp_path / "out").exists()
