"""A network that a study trained is there again after a restart; weights that somebody changed are not taken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from known_costs import known_costs
from studying import optimize

from trimwatt.study.candidate import Candidate
from trimwatt.study.weights import FILE, trained
from trimwatt.technique import registry
from trimwatt.technique.train import Train
from trimwatt.workload import Workload

pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.slow


def untrained() -> Workload:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(),
                                  torch.nn.Linear(32, 10))  # fmt: skip
    return Workload(model=network, form="torch", trainer=Train(epochs=3))


def run(digits: Path, folder: Path, **more: Any) -> dict[str, Any]:
    with known_costs():
        done = optimize(untrained(), data=digits, techniques="runtime", budget="1h", output=folder, **more)
    return dict(json.loads((done.folder / "study.json").read_text()))


def steps(study: dict[str, Any]) -> list[str]:
    return [entry["step"] for entry in study["ledger"] if (entry["step"] or "").startswith("train")]


@pytest.fixture(scope="module")
def first(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A study and its folder, to be copied before it goes on."""
    folder = tmp_path_factory.mktemp("first") / "out"
    return folder, run(digits, folder)


def test_a_restart_trains_nothing_again(digits: Path, first: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, study = first
    again = run(digits, Path(shutil.copytree(folder, tmp_path / "out")), resume=True)
    assert steps(study) == steps(again) == ["train"] * 6  # once on the training rows, once in each fold
    assert [t["quality"] for t in again["trials"]] == [t["quality"] for t in study["trials"]]


def test_other_weights_than_were_left_are_not_read(
    digits: Path, first: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(first[0], tmp_path / "out"))
    (path,) = folder.rglob(FILE)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    assert steps(run(digits, folder, resume=True)) == [*steps(first[1]), "train (after a restart)"]


def test_only_what_was_trained_in_pytorch_is_kept() -> None:
    kinds = registry()
    network, train, lower = kinds["mlp-torch"](), kinds["train"](), kinds["lower"]()
    assert trained(Candidate((network, train, lower))) == (network, train)
    assert trained(Candidate((kinds["forest"](),))) == ()
    assert trained(Candidate(())) == ()
