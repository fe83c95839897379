from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trimwatt.integrations.sklearn import EnergyCallback

pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    x, y = load_digits(return_X_y=True)
    return x[:300] / 16, y[:300]


def search(n_jobs: int | None = None) -> GridSearchCV:
    return GridSearchCV(LogisticRegression(tol=0.01), {"C": [0.1, 1.0]}, cv=2, n_jobs=n_jobs)


def titles(callback: EnergyCallback) -> list[tuple[str, str | None]]:
    return [(phase.title, phase.within) for phase in callback.energy.phases]


SEARCH = [
    *[(f"GridSearchCV candidate-split-evaluation {i}", "GridSearchCV search") for i in range(4)],
    ("GridSearchCV search 0", "GridSearchCV fit"),
    ("GridSearchCV refit-with-best-params 1", "GridSearchCV fit"),
    ("GridSearchCV fit", None),
]


def test_a_search_has_a_phase_for_each_candidate_and_split(digits: tuple[Any, Any]) -> None:
    callback = EnergyCallback()
    search().set_callbacks(callback).fit(*digits)
    assert titles(callback) == SEARCH
    assert callback.energy.faults == []
    seconds = [phase.reading.duration_s for phase in callback.energy.phases]
    assert sum(seconds[:4]) <= seconds[4] <= seconds[6]
    assert callback.energy.phases[-1].booked[0] is not None


def test_threads_that_work_at_once_are_told_apart(digits: tuple[Any, Any]) -> None:
    import joblib

    callback = EnergyCallback()
    with joblib.parallel_backend("threading", n_jobs=2):
        search().set_callbacks(callback).fit(*digits)
    assert sorted(titles(callback), key=str) == sorted(SEARCH, key=str)
    assert callback.energy.faults == []


@pytest.mark.slow
def test_processes_of_their_own_are_part_of_the_whole(digits: tuple[Any, Any]) -> None:
    callback = EnergyCallback()
    search(n_jobs=2).set_callbacks(callback).fit(*digits)
    assert titles(callback) == SEARCH[4:]


def test_a_pipeline_has_a_phase_for_each_step(digits: tuple[Any, Any]) -> None:
    callback = EnergyCallback()
    make_pipeline(StandardScaler(), LogisticRegression(tol=0.1)).set_callbacks(callback).fit(*digits)
    assert titles(callback) == [
        ("Pipeline fit-transform-standardscaler 0", "Pipeline fit"),
        ("Pipeline fit-final-estimator 1", "Pipeline fit"),
        ("Pipeline fit", None),
    ]


def test_the_answers_are_those_without_it(digits: tuple[Any, Any]) -> None:
    with_it = search().set_callbacks(EnergyCallback()).fit(*digits)
    np.testing.assert_array_equal(with_it.predict(digits[0]), search().fit(*digits).predict(digits[0]))


def test_a_meter_that_is_broken_ends_nothing(digits: tuple[Any, Any]) -> None:
    callback = EnergyCallback(sensor=object())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = search().set_callbacks(callback).fit(*digits)
    assert fitted.best_score_ == search().fit(*digits).best_score_
    assert callback.energy.phases == []
    assert callback.energy.faults


def test_a_fit_that_fails_leaves_nothing_open(digits: tuple[Any, Any]) -> None:
    callback = EnergyCallback()
    x, y = digits
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=-1)).set_callbacks(callback)
    with pytest.raises(ValueError, match="'C' parameter"):
        pipeline.fit(x, y)
    assert callback._windows == {}
    assert not callback.energy.is_open("Pipeline fit")
    assert "ended before its time" in callback.energy.readings["Pipeline fit"].warnings[-1]


def test_clones_share_it_and_copies_keep_what_was_recorded(digits: tuple[Any, Any]) -> None:
    callback = EnergyCallback()
    model = LogisticRegression(tol=0.1).set_callbacks(callback).fit(*digits)
    first = len(callback.energy.phases)
    clone(model).fit(*digits)
    assert len(callback.energy.phases) == 2 * first
    twin = pickle.loads(pickle.dumps(callback))
    assert list(twin.energy.readings) == list(callback.energy.readings)
