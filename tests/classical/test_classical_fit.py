"""A scikit-learn model that comes unfitted: fitted as a step, once, and left alone in what was given."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.utils.validation import check_is_fitted

from trimwatt.errors import InputError
from trimwatt.scenario import Scenario
from trimwatt.study import setup
from trimwatt.study.space import Space
from trimwatt.technique import apply
from trimwatt.technique.classical import Fit
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Workload


def _workload() -> Workload:
    rows = samples.digits(rows=300).rows
    return setup.workload(
        LogisticRegression(C=0.01, max_iter=1000), rows, metric_name=None, positive=None,
        scenario=Scenario(), seed=0, train=False,
    )  # fmt: skip


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Fit:
        return Fit()

    @pytest.fixture
    def workload(self) -> Workload:
        return _workload()


def test_it_is_scikit_learns_own_fit() -> None:
    work = _workload()
    made = apply(Fit(), work)
    train = work.rows.train
    own = LogisticRegression(C=0.01, max_iter=1000).fit(train.x, np.asarray(work.rows.classes)[train.y])
    np.testing.assert_allclose(made.model.coef_, own.coef_)
    with pytest.raises(NotFittedError):
        check_is_fitted(work.model)


def test_the_study_takes_the_fit_for_the_models_own() -> None:
    work = _workload()
    first = setup.baseline(work, None)
    assert first.recipe == (Fit(),) and first.name == "given @ sklearn"
    assert Space(work, first, "all").first()[0].recipe == (Fit(),)


def test_the_wrong_kind_of_model_is_refused_before_anything_is_fitted() -> None:
    rows = samples.digits(rows=300).rows
    with pytest.raises(InputError, match="LinearRegression is for the other"):
        setup.workload(
            LinearRegression(), rows, metric_name="accuracy",
            positive=None, scenario=Scenario(), seed=0, train=False,
        )  # fmt: skip
