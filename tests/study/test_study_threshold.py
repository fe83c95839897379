"""The threshold that the folds gave: the model that is handed over is fitted on every row, and decides by it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from studying import optimize

import trimwatt as tw
from trimwatt import _handoff, runtime
from trimwatt.metric import get
from trimwatt.store import open_store
from trimwatt.study import families
from trimwatt.study.crossing import Crossed
from trimwatt.study.worker import Handle, Job, Outcome, serve
from trimwatt.technique import make
from trimwatt.testing import samples
from trimwatt.workload import Workload

pytest.importorskip("sklearn")
pytest.importorskip("onnxruntime")

_STEPS = (make("tree", leaf=20), make("threshold"))


def _two_classes() -> Workload:
    """Zeros among digits, which are few: judged by F1."""
    work = samples.digits(rows=400)
    parts = {name: getattr(work.rows, name) for name in ("train", "val", "test")}
    parts = {name: replace(part, y=(part.y == 0).astype(np.int64)) for name, part in parts.items()}
    data = replace(work.rows, classes=(0, 1), **parts)
    return replace(work, data=data, model=None, form="none", prepare=None, decide=None, metric=get("f1"))


def _made(folder: Path, threshold: float | None = None, start: Handle | None = None) -> Outcome:
    folder.mkdir()
    steps = tuple((step, f"step{n}") for n, step in enumerate(_STEPS))
    base = Handle(folder / "base.bin", _handoff.write(_two_classes(), folder / "base.bin"))
    todo = steps if start is None else steps[1:]
    return serve(0)(Job(base, start, todo, folder, "sklearn", folder / "out", threshold=threshold))


def _fit_on(made: Outcome) -> int:
    (_, first), *_ = made.made
    return int(_handoff.read(first.path, first.digest).model.tree_.n_node_samples[0])


def test_a_threshold_known_beforehand_leaves_every_row_to_be_fitted_on(tmp_path: Path) -> None:
    rows = len(_two_classes().rows.train)
    chosen, known = _made(tmp_path / "chosen"), _made(tmp_path / "known", 0.03)
    assert chosen.failure is None and known.failure is None
    assert _fit_on(known) == rows and _fit_on(chosen) == rows - round(0.15 * rows)
    assert chosen.threshold is not None and known.threshold is not None


@pytest.mark.parametrize("threshold", [0.03, 0.97])
def test_it_decides_by_the_threshold_it_was_given(tmp_path: Path, threshold: float) -> None:
    made = _made(tmp_path / "made", threshold)
    assert made.artifact is not None
    session = runtime.get("sklearn").open(made.artifact, _two_classes().scenario)
    rows = _two_classes().rows.test.x
    positive = np.asarray(session.scores(rows))[:, 1]
    assert np.array_equal(np.asarray(session.predict(rows)) == 1, positive >= threshold)


def test_what_was_made_before_decides_by_it_too(tmp_path: Path) -> None:
    first = _made(tmp_path / "first", 0.1)
    again = _made(tmp_path / "again", 0.1, start=first.made[0][1])
    assert again.failure is None and again.threshold == first.threshold


def test_the_folds_give_the_median_of_theirs() -> None:
    assert Crossed(thresholds=[0.2, 0.9, 0.3]).threshold == 0.3
    assert Crossed().threshold is None


@pytest.mark.slow
@pytest.mark.usefixtures("known_costs")
def test_a_study_hands_over_a_model_with_the_threshold_of_its_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "FAMILIES", ())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=500) > 1.5).astype(int)
    asked: dict[str, Any] = {"metric": "f1", "baseline": "linear", "techniques": "runtime", "budget": "2trials"}
    study = optimize(data={"x": x, "y": y}, output=tmp_path / "out", **asked).summary
    with closing(open_store(tmp_path / "out")) as store:
        kept = store.get(f"threshold:{study['recommended']}")
    assert isinstance(kept, float) and 0.0 < kept < 0.5
    model = tw.load(tmp_path / "out" / "artifact")
    positive = model.probabilities(x)[:, 1]
    # it lies in the gap between the scores on either side of what the folds gave
    clear = np.abs(positive - kept) > 0.01
    assert np.array_equal(model.predict(x)[clear] == 1, positive[clear] > kept)
