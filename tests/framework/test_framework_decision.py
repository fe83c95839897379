"""How estimators decide: which scores they give, and by which rule their labels follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, StackingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from trimwatt import framework, runtime
from trimwatt.errors import InputError
from trimwatt.framework import decision, sklearn
from trimwatt.runtime.verify import verify
from trimwatt.testing import samples
from trimwatt.workload import Workload


def _two() -> Workload:
    work = samples.digits(rows=400)
    parts = {name: getattr(work.rows, name) for name in ("train", "val", "test")}
    data = replace(work.rows, classes=("even", "odd"), **{k: replace(v, y=v.y % 2) for k, v in parts.items()})
    return replace(work, data=data, decide=None)


def _linear() -> LogisticRegression:
    return LogisticRegression(max_iter=30)


def _fixed(threshold: float, positive: str, model: Any = None, by: str = "auto") -> Any:
    return FixedThresholdClassifier(model or _linear(), threshold=threshold, pos_label=positive, response_method=by)


THRESHOLDS: dict[str, tuple[Any, int]] = {
    "of the second class": (_fixed(0.1, "odd"), 1),
    "of the first class": (_fixed(0.1, "even"), 0),
    "of decision values": (_fixed(0.5, "odd", SVC(), "decision_function"), 1),
    "of decision values of the first class": (_fixed(1.5, "even", by="decision_function"), 0),
    "in a pipeline": (make_pipeline(StandardScaler(), _fixed(0.1, "odd")), 1),
    "around a pipeline": (_fixed(0.1, "odd", make_pipeline(StandardScaler(), _linear())), 1),
    "in a search": (GridSearchCV(_fixed(0.1, "odd"), {"threshold": [0.1]}, cv=2), 1),
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_becomes_the_decision_and_survives_the_export(name: str, tmp_path: Path) -> None:
    model, positive = THRESHOLDS[name]
    work = sklearn.adopt(replace(_two(), model=model))
    assert work.decide is not None and work.decide.own and work.decide.positive == positive
    rows = work.rows.val.x
    own = work.model.predict(rows)
    assert framework.labels(work, rows).tolist() == own.tolist()
    assert (sklearn.scores(work, rows).argmax(1) != work.decide.codes(sklearn.scores(work, rows))).any()
    for kind in ("sklearn", "onnxruntime"):
        session = runtime.get(kind).open(runtime.get(kind).export(work, tmp_path), work.scenario)
        assert verify(work, session, rows) is None
        assert session.predict(rows).tolist() == own.tolist()


def test_our_own_threshold_takes_the_place_of_the_models(tmp_path: Path) -> None:
    from trimwatt.technique import apply
    from trimwatt.technique.threshold import Threshold

    work = replace(sklearn.adopt(replace(_two(), model=_fixed(0.9, "odd"))), metric=samples.people().metric)
    done = apply(Threshold(), work)
    assert done.decide is not None and not done.decide.own
    session = runtime.get("sklearn").open(runtime.get("sklearn").export(done, tmp_path), work.scenario)
    assert session.predict(work.rows.val.x).tolist() == framework.labels(done, work.rows.val.x).tolist()
    assert session.predict(work.rows.val.x).tolist() != work.model.predict(work.rows.val.x).tolist()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_export_by_another_rule_is_refused(tmp_path: Path) -> None:
    class Mine(LogisticRegression):
        def predict(self, x: Any) -> Any:
            return self.classes_[(self.predict_proba(x)[:, 1] > 0.01).astype(int)]

    work = sklearn.adopt(replace(_two(), model=Mine(max_iter=30)))
    plain = replace(work, model=_linear().fit(work.rows.train.x, np.asarray(["even", "odd"])[work.rows.train.y]))
    session = runtime.get("onnxruntime").open(runtime.get("onnxruntime").export(plain, tmp_path), work.scenario)
    assert "labels are not the model's own in" in (verify(work, session, work.rows.val.x) or "")
    assert verify(plain, session, work.rows.val.x) is None


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("model", "method"),
    [
        (SVC(), "decision_function"),
        (SVC(decision_function_shape="ovo"), "predict"),
        (make_pipeline(StandardScaler(), SVC()), "decision_function"),
        (GridSearchCV(make_pipeline(SVC()), {"svc__C": [1.0]}, cv=2), "decision_function"),
        (NearestCentroid(), "predict_proba"),
    ],
)
def test_labels_are_those_of_predict_whatever_gives_the_scores(model: Any, method: str, tmp_path: Path) -> None:
    work = sklearn.adopt(replace(samples.digits(rows=300), model=model))
    assert decision.score_method(work.model) == method
    session = runtime.get("sklearn").open(runtime.get("sklearn").export(work, tmp_path), work.scenario)
    rows = work.rows.val.x
    assert session.predict(rows).tolist() == work.model.predict(rows).tolist()
    assert session.scores(rows).shape == (len(rows), 10)
    assert verify(work, session, rows) is None


def test_a_stack_of_mixed_estimators_works() -> None:
    members = [("linear", _linear()), ("tree", DecisionTreeClassifier(random_state=0)), ("pipe", make_pipeline(SVC()))]
    work = sklearn.adopt(replace(_two(), model=StackingClassifier(members, cv=2)))
    assert sklearn.parameters(work) is None and sklearn.macs(work) is None


class Sorted(LogisticRegression):
    """Codes in another order than the data's classes."""

    def fit(self, x: Any, y: Any) -> Sorted:
        super().fit(x, y)
        self.classes_, self.coef_, self.intercept_ = self.classes_[::-1], -self.coef_, -self.intercept_
        return self


def test_classes_in_any_order_keep_their_labels(tmp_path: Path) -> None:
    work = sklearn.adopt(replace(_two(), model=Sorted(max_iter=30)))
    assert work.class_columns == (1, 0)
    session = runtime.get("sklearn").open(runtime.get("sklearn").export(work, tmp_path), work.scenario)
    rows = work.rows.val.x
    assert session.predict(rows).tolist() == work.model.predict(rows).tolist()
    assert np.asarray(("even", "odd"))[session.scores(rows).argmax(1)].tolist() == work.model.predict(rows).tolist()


def _refused(model: Any, work: Workload) -> str:
    with pytest.raises(InputError) as caught:
        sklearn.adopt(replace(work, model=model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_gives_no_answers_of_the_target_says_why_and_what_to_do() -> None:
    work = samples.digits(rows=300)
    x = work.rows.train.x
    assert "KMeans answers numbers of clusters" in _refused(KMeans(3, n_init=1).fit(x), work)
    assert "IsolationForest answers inlier or outlier" in _refused(IsolationForest(n_estimators=5).fit(x), work)
    assert "StandardScaler has no predict" in _refused(StandardScaler().fit(x), work)
    two = LinearRegression().fit(samples.digits(rows=300).rows.train.x, np.stack([x[:, 0], x[:, 1]], axis=1))
    values = replace(work, task="regression", data=replace(work.rows, classes=None))
    assert "predicts shape (8, 2) for 8 rows; one answer per row" in _refused(two, values)


def test_whatever_a_model_raises_is_one_line() -> None:
    class Odd(GaussianNB):
        def predict_proba(self, x: Any) -> Any:
            raise RuntimeError("no\nluck")

    class Foreign(GaussianNB):
        def predict(self, x: Any) -> Any:
            return np.full(len(x), "other")

    assert "Odd cannot take the rows as they are stored: no; give a pipeline" in _refused(Odd(), _two())
    assert "answers 'other', its classes are 'even', 'odd'" in _refused(Foreign(), _two())
