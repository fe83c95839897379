"""What is fitted again: put in the place of what was judged only where it opens and keeps the limits."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trimwatt.energy import Energy
from trimwatt.errors import TrialFailed
from trimwatt.runtime._base import Artifact
from trimwatt.study import again, summary
from trimwatt.study.candidate import Candidate
from trimwatt.study.engine import Found
from trimwatt.study.options import Options
from trimwatt.study.worker import Outcome
from trimwatt.study.workshop import Made
from trimwatt.technique import make
from trimwatt.testing import samples
from trimwatt.trial import Ratio, Trial


def _joules(value: float) -> Energy:
    return Energy(value, value, value, "measured")


def _trial(name: str) -> Trial:
    return Trial(
        name, name, "tree", [], "onnxruntime", name, meets_floor=True, floor_test="proven", size_bytes=1000,
        latency_s={"p50": 0.001, "p95": 0.002}, peak_rss_bytes=1000, cost=_joules(1.0),
        energy_per_prediction=_joules(1.0), ratio_to_baseline=Ratio(0.5, 0.4, 0.6, 20, "less", "cpu_seconds"),
    )  # fmt: skip


class Fakes:
    """An engine of two trials whose models take `size` bytes once they are fitted again; `fails`: at that moment."""

    def __init__(self, folder: Path, size: int = 1500, fails: str = "", **options: Any) -> None:
        trials = {name: _trial(name) for name in ("base", "small")}
        self.closed = 0
        self.size, self.fails, self.trials = size, fails, trials
        bench = SimpleNamespace(
            open=self._open, close=self._close, baseline="as judged", alone=self._alone,
            screen=lambda arm, most_s: SimpleNamespace(to_ratio=lambda: trials["small"].ratio_to_baseline),
        )  # fmt: skip
        artifact = Artifact(folder, "onnxruntime", ())
        made = Made(Outcome(artifact=artifact), _joules(5.0), ())
        self.engine: Any = SimpleNamespace(
            judging=SimpleNamespace(validation=SimpleNamespace(is_crossed=False)), workload=samples.digits(rows=100),
            candidates={name: Candidate((make("tree"),)) for name in trials}, fitted_again=set(), pace_s=1.0,
            artifacts=dict.fromkeys(trials, "as judged"), unspent_s=lambda: 1e3, fitting_s=lambda name: 1.0,
            event=lambda *a, **k: None, place=lambda name: folder / name, by_id=trials.__getitem__, amend=self._amend,
            ledger=SimpleNamespace(booking=lambda *a: nullcontext(), book=lambda *a: None), bench=bench,
            workshop=SimpleNamespace(use=lambda *a: None, make=lambda *a: made), options=Options(**options),
            threshold=lambda trial: None,
            figures=lambda arm, artifact: {"latency_s": {"p50": 0.001}, "size_bytes": size, "peak_rss_bytes": 1},
        )  # fmt: skip
        self.found = Found(trials["base"], trials["base"], 0.9)

    def _open(self, artifact: Any, name: str) -> Any:
        if self.fails == "open":
            raise TrialFailed("it does not open")

        @contextmanager
        def arm() -> Any:
            yield name

        return arm()

    def _close(self) -> None:
        self.closed += 1

    def _alone(self, arm: Any) -> Any:
        if self.fails == "measure":
            raise TrialFailed("its process is gone")
        return SimpleNamespace(energy=_joules(2.0), cpu_s=1.0)

    def _amend(self, trial: Trial) -> Trial:
        self.trials[trial.id] = trial
        return trial


def test_what_was_fitted_again_has_its_own_figures_and_what_that_took(tmp_path: Path) -> None:
    fakes = Fakes(tmp_path)
    again.fit_again(fakes.engine, fakes.found, [fakes.trials["small"]])
    assert {t.size_bytes for t in fakes.trials.values()} == {1500}
    assert all(t.cost == _joules(6.0) and t.notes == [again.NOTE] for t in fakes.trials.values())
    assert fakes.found.baseline is fakes.found.reference is fakes.trials["base"]
    assert fakes.engine.fitted_again == {"base", "small"} and fakes.closed == 1 and not fakes.found.notes


@pytest.mark.parametrize("fails", ["open", "measure"])
def test_a_baseline_that_does_not_come_up_again_stays_the_one_that_was_judged(tmp_path: Path, fails: str) -> None:
    fakes = Fakes(tmp_path, fails=fails)
    again.fit_again(fakes.engine, fakes.found, [])
    assert fakes.engine.artifacts["base"] == "as judged" == fakes.engine.bench.baseline and not fakes.closed
    assert not fakes.engine.fitted_again and "stays as it was fitted" in fakes.found.notes[0]


def test_a_model_that_breaks_a_limit_once_it_is_fitted_again_stays_the_one_that_was_judged(tmp_path: Path) -> None:
    fakes = Fakes(tmp_path, max_size=1200)
    again.fit_again(fakes.engine, fakes.found, [fakes.trials["small"]])
    assert fakes.engine.fitted_again == {"base"} and fakes.trials["small"].size_bytes == 1000
    assert "breaks the limit on size" in fakes.found.notes[0]
    # a reference that never kept it sets the floor all the same, as it is once fitted on the same rows
    dear = Fakes(tmp_path, max_size=900)
    again.fit_again(dear.engine, dear.found, [dear.trials["small"]])
    assert dear.engine.fitted_again == {"base", "small"}


def test_test_rows_are_not_added_where_that_breaks_a_limit(tmp_path: Path) -> None:
    for size, refitted in ((1500, False), (1100, True)):
        fakes = Fakes(tmp_path, size=size, max_size=1200, refit="all")
        found = replace(fakes.found, recommended=fakes.trials["small"], confirmed=True)
        again.fit_on_all(fakes.engine, found)
        assert found.refitted is refitted and (fakes.engine.artifacts["small"] == "as judged") is not refitted
        assert summary._refit(fakes.engine, found) == ("all" if refitted else "train")
        # a rival of a model that came fitted is fitted on what is said, too
        fakes.engine.workload = replace(fakes.engine.workload, form="sklearn", trainer=None)
        assert summary._refit(fakes.engine, found) == ("all" if refitted else None)
