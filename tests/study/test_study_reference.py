"""The given model is the reference: what is opened as the baseline answers as the model itself does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_cases import Here, ask, checked
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from trimwatt.errors import InputError, TrialFailed
from trimwatt.study.reference import Reference
from trimwatt.workload import Array, Rows

torch = pytest.importorskip("torch")
nn = torch.nn

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(600, 6)).astype(np.float32)
Y = (X[:, 0] + 0.3 * _RNG.normal(size=600) > 0.8).astype(int)
BASE = LogisticRegression().fit(X, Y)


class OwnRule(LogisticRegression):
    def predict(self, x: Any) -> Any:
        return self.classes_[(self.predict_proba(x)[:, 1] > 0.15).astype(int)]


class LabelsOnly(ClassifierMixin, BaseEstimator):
    def fit(self, x: Any, y: Any) -> LabelsOnly:
        self.inside_ = LogisticRegression().fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        return self.inside_.predict(x)


def test_labels_by_another_rule_than_argmax_are_the_models_own(tmp_path: Path) -> None:
    model = OwnRule().fit(X, Y)
    found = checked(model, (X, Y), tmp_path)
    served = found.open("sklearn", tmp_path)
    assert served.predict(X).tolist() == model.predict(X).tolist() != BASE.predict(X).tolist()
    record = found.reference.record
    assert record is not None and record["labels_differ"] == 0 and record["rows"] >= len(found.work.rows.val)
    assert record["batch_sizes"]["1"] > 0


@pytest.mark.parametrize("metric", ["f1", "accuracy"])
def test_a_given_model_gets_no_threshold_of_ours(tmp_path: Path, metric: str) -> None:
    model = OwnRule().fit(X, Y)
    found = checked(model, (X, Y), tmp_path, metric=metric)
    assert found.baseline.recipe == ()
    assert found.open("sklearn", tmp_path).predict(X).tolist() == model.predict(X).tolist()


def test_an_estimator_with_labels_only_works(tmp_path: Path) -> None:
    model = LabelsOnly().fit(X, np.where(Y == 1, "b", "a"))
    found = checked(model, (X, np.where(Y == 1, "b", "a")), tmp_path)
    assert found.open("sklearn", tmp_path).predict(X).tolist() == model.predict(X).tolist()


def test_the_tuned_threshold_is_kept_in_both_runtimes(tmp_path: Path) -> None:
    from sklearn.model_selection import TunedThresholdClassifierCV

    model = make_pipeline(TunedThresholdClassifierCV(LogisticRegression(), scoring="balanced_accuracy")).fit(X, Y)
    found = checked(model, (X, Y), tmp_path)
    for name in ("sklearn", "onnxruntime"):
        arm = found.open(name, tmp_path / name)
        found.reference.check_export(arm, 1e-3)  # type: ignore[arg-type]
        assert arm.predict(X).tolist() == model.predict(X).tolist() != BASE.predict(X).tolist()


class Tampered(Here):
    """Answers that `change` alters."""

    def __init__(self, arm: Here, labels: Any = None, scores: Any = None) -> None:
        self.session, self.request, self._labels, self._scores = arm.session, arm.request, labels, scores

    def predict(self, rows: Rows, batch: int | None = None) -> Array:
        found = super().predict(rows, batch)
        return found if self._labels is None else self._labels(found)

    def scores(self, rows: Rows, batch: int | None = None) -> Array:
        found = super().scores(rows, batch)
        return found if self._scores is None else self._scores(found)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"labels": lambda labels: 1 - labels}, "labels follow another rule than its scores"),
        ({"scores": lambda scores: scores + 1e-3}, "rows reach it changed"),
    ],
)
def test_another_answer_stops_the_study_and_shows_the_first_row(
    tmp_path: Path, change: dict[str, Any], cause: str
) -> None:
    found = ask(BASE, (X, Y))
    arm = Tampered(found.open("sklearn", tmp_path), **change)
    row = int(found.reference.asked.places["val"][0])
    with pytest.raises(InputError, match=cause) as caught:
        found.reference.check_baseline(arm)  # type: ignore[arg-type]
    message = str(caught.value)
    assert f"row {row + 1} of the validation rows ({found.work.rows.val.x[row][0]:.9g}, " in message
    assert "by the model itself" in message and "\n" not in message


def test_values_are_compared_to_a_share_of_their_spread(tmp_path: Path) -> None:
    y = X @ np.arange(6.0) + 1e4
    found = checked(LinearRegression().fit(X, y), (X, y), tmp_path)
    arm = found.open("sklearn", tmp_path)
    for factor, refused in ((1e-9, False), (1e-4, True)):
        spread = float(np.ptp(y))
        off = Tampered(arm, lambda values, by=factor * spread: values + by)
        if refused:
            with pytest.raises(InputError, match="does not answer as the model given does"):
                found.reference.check_baseline(off)  # type: ignore[arg-type]
        else:
            found.reference.check_baseline(off)  # type: ignore[arg-type]


def test_other_labels_of_an_export_are_its_trials_reason(tmp_path: Path) -> None:
    found = ask(OwnRule().fit(X, Y), (X, Y))
    wrong = replace(found.work, model=BASE)
    arm = replace(found, work=wrong).open("onnxruntime", tmp_path)
    with pytest.raises(TrialFailed, match=r"labels are not the given model's own in \d+ of \d+ rows, the first in row"):
        found.reference.check_export(arm, 1e-3)  # type: ignore[arg-type]


@pytest.mark.parametrize("column", ["code", "when"])
def test_the_column_that_reaches_the_baseline_changed_is_found_by_asking(tmp_path: Path, column: str) -> None:
    pd = pytest.importorskip("pandas")
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"noise": rng.normal(size=300), "code": rng.choice(["up", "down"], 300), "when": rng.integers(0, 99, 300)}
    )
    y = np.where((frame.code == "up") if column == "code" else (frame["when"] % 2 == 1), "a", "b")
    kept = OneHotEncoder(handle_unknown="ignore") if column == "code" else FunctionTransformer(_odd)
    model = make_pipeline(make_column_transformer((kept, [column])), LogisticRegression()).fit(frame, y)
    found = ask(model, (frame, y))
    data = found.work.rows
    assert isinstance(data.val.x, dict)
    words = np.array([f"{cell}!" for cell in data.val.x["code"]], dtype=object)
    stored = {"code": words, "when": data.val.x["when"] + 1}[column]
    x = {**data.val.x, "noise": data.val.x["noise"] + 1e-3, column: stored}
    spoilt = replace(found.work, data=replace(data, val=replace(data.val, x=x)))
    reference = Reference(replace(found.reference.asked, workload=spoilt))
    arm = found.open("sklearn", tmp_path)
    with pytest.raises(InputError, match=rf"a column reaches the baseline changed: '{column}' \(.* became ") as caught:
        reference.check_baseline(arm)  # type: ignore[arg-type]
    assert " of the validation rows (noise=" in str(caught.value)


def _odd(values: Any) -> Any:
    return np.asarray(values) % 2


def test_an_export_is_held_to_what_was_lowered(tmp_path: Path) -> None:
    """A converter's own mistakes are no reference for its export."""
    from sklearn.calibration import CalibratedClassifierCV

    from trimwatt import _handoff
    from trimwatt.study.worker import Handle, Job, serve

    model = CalibratedClassifierCV(LogisticRegression(), method="isotonic").fit(X, Y)
    found = ask(model, (X, Y))
    path = tmp_path / "base.bin"
    base = Handle(path, _handoff.write(found.work, path))
    handle = serve(0)
    for runtime, reason in (("sklearn", None), ("onnxruntime", "the export answers differently")):
        outcome = handle(Job(base, None, (), tmp_path, runtime, tmp_path / runtime))
        assert (outcome.failure or "")[: len(reason or "")] == (reason or "") and bool(outcome.failure) == bool(reason)


def _labelled(swapped: bool, limit: float) -> bytes:
    """A graph that answers with probabilities and a label: class 1 where its score is above `limit`."""
    from onnx import helper, numpy_helper

    def number(name: str, value: Any, dtype: Any) -> Any:
        return numpy_helper.from_array(np.asarray(value, dtype=dtype), name)

    weight = np.random.default_rng(2).normal(size=(6, 2)) * 0.3
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Softmax", ["h"], ["p"], axis=1),
        helper.make_node("Gather", ["p", "one"], ["share"], axis=1),
        helper.make_node("Greater", ["share", "limit"], ["above"]),
        helper.make_node("Where", ["above", "yes", "no"], ["label"]),
    ]  # fmt: skip
    yes, no = (0, 1) if swapped else (1, 0)
    tensors = [number("w", weight, np.float32), number("one", 1, np.int64), number("limit", limit, np.float32)]
    tensors += [number("yes", yes, np.int64), number("no", no, np.int64)]
    inputs = [helper.make_tensor_value_info("x", 1, [None, 6])]
    outputs = [helper.make_tensor_value_info("label", 7, [None]), helper.make_tensor_value_info("p", 1, [None, 2])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("limit", [0.5, 0.8])
def test_the_labels_of_a_graph_are_its_own_whatever_its_scores_say(tmp_path: Path, swapped: bool, limit: float) -> None:
    import onnxruntime

    content = _labelled(swapped, limit)
    said = onnxruntime.InferenceSession(content).run(["label"], {"x": X})[0]
    found = checked(content, (X, Y), tmp_path)
    assert found.open("onnxruntime", tmp_path).predict(X).tolist() == said.tolist()


def test_a_budget_that_is_spent_before_the_baseline_is_a_reason(tmp_path: Path) -> None:
    from trimwatt.study.workshop import Workshop

    made = Workshop(ask(BASE, (X, Y)).work, tmp_path, None, 1e9).make((), "sklearn", tmp_path / "t00", -1.0)
    assert made.outcome.late and made.outcome.failure == "no time was left"
