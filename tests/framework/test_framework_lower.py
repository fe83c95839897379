"""Lowering scikit-learn to ONNX: the same answers, the user's own pipelines among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from trimwatt import framework, metric
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework import onnx as lowered
from trimwatt.framework import sklearn
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.classical import Boosted, Forest, Linear, Mlp, Neighbours, Tree
from trimwatt.testing import samples
from trimwatt.workload import Data, Split, Workload

_KINDS = [Linear(), Tree(), Forest(trees=8), Boosted(rounds=8), Neighbours(), Mlp(hidden=(16,), epochs=30)]
_JOBS = {"digits": samples.digits, "people": samples.people, "incomes": samples.incomes}


def _same(work: Workload) -> str | None:
    rows = work.rows.val.x
    done = lowered.lower(work)
    assert done.form == "onnx" and done.prepare is work.prepare and done.decide is work.decide
    (output,) = onnx.load_model_from_string(done.model).graph.output
    assert output.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    expected = sklearn.scores(work, rows)
    return work.task.disagreement(expected, lowered.scores(done, rows), 1e-5)


@pytest.mark.parametrize("job", _JOBS)
@pytest.mark.parametrize("kind", _KINDS, ids=lambda kind: kind.name)
def test_classical_models_answer_alike(kind: Technique, job: str) -> None:
    assert _same(apply(kind, _JOBS[job]())) is None


@pytest.mark.parametrize("kind", [Tree(), Forest(trees=8), Boosted(rounds=8)], ids=lambda kind: kind.name)
def test_a_row_on_a_threshold_goes_the_same_way(kind: Technique) -> None:
    """Thresholds are doubles in scikit-learn: rounded up to float32 they would let the next value pass."""
    rng = np.random.default_rng(0)
    base = np.float32(0.1) * rng.integers(1, 50, size=(800, 2)).astype(np.float32)
    x = np.nextafter(base, np.float32(np.inf) * rng.choice([-1, 1], size=base.shape).astype(np.float32))
    work = samples.digits()
    y = ((base.sum(1) > 5) ^ (x[:, 0] > base[:, 0])).astype(np.int64)
    split = replace(work.rows.train, x=x, y=y)
    data = replace(work.rows, train=split, val=split, test=split, classes=(0, 1))
    assert _same(apply(kind, replace(work, data=data))) is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_rows_enter_in_the_type_they_are_stored_in(dtype: str) -> None:
    from sklearn.linear_model import LogisticRegression

    work = samples.digits()
    parts = {
        name: replace(getattr(work.rows, name), x=getattr(work.rows, name).x.astype(dtype)) for name in ("train", "val")
    }
    work = replace(work, data=replace(work.rows, **parts))
    model = LogisticRegression(max_iter=50)
    done = lowered.lower(sklearn.adopt(replace(work, model=model)))
    (entry,) = onnx.load_model_from_string(done.model).graph.input
    assert entry.name == "x"
    assert onnx.helper.tensor_dtype_to_np_dtype(entry.type.tensor_type.elem_type) == np.dtype(dtype)
    assert _same(sklearn.adopt(replace(work, model=model))) is None


def _columns(estimator: Any, hot: bool = True) -> Any:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    text = OneHotEncoder(handle_unknown="ignore") if hot else OrdinalEncoder(encoded_missing_value=-1)
    return make_pipeline(
        make_column_transformer((numbers, ["age", "hours per week"]), (text, ["work", "town"])), estimator
    )


def _two() -> Workload:
    work = samples.digits(rows=400)
    parts = {name: getattr(work.rows, name) for name in ("train", "val", "test")}
    data = replace(work.rows, classes=("even", "odd"), **{k: replace(v, y=v.y % 2) for k, v in parts.items()})
    return replace(work, data=data)


def _given() -> dict[str, tuple[Any, Workload]]:
    from sklearn.ensemble import AdaBoostClassifier, GradientBoostingRegressor, HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    return {
        "columns": (_columns(LogisticRegression()), samples.people()),
        "columns boosted": (_columns(HistGradientBoostingClassifier(max_iter=5), hot=False), samples.people()),
        "values": (_columns(GradientBoostingRegressor(n_estimators=5)), samples.incomes()),
        "scaled": (make_pipeline(StandardScaler(), LogisticRegression()), samples.digits()),
        "svc": (SVC(), samples.digits(rows=300)),
        "linear svc, two classes": (_columns(LinearSVC()), samples.people()),
        "linear svc": (LinearSVC(), samples.digits(rows=300)),
        "svc, two classes": (_columns(SVC()), samples.people()),
        "svc of an array, two classes": (SVC(), _two()),
        "ridge": (RidgeClassifier(), samples.digits(rows=300)),
        "bayes": (GaussianNB(var_smoothing=1e-2), samples.digits(rows=300)),
        "ada": (AdaBoostClassifier(n_estimators=5), samples.digits(rows=300)),
    }


@pytest.mark.parametrize("name", _given())
def test_estimators_that_users_bring_answer_alike(name: str) -> None:
    model, work = _given()[name]
    assert _same(sklearn.adopt(replace(work, model=model))) is None


@pytest.mark.parametrize("classify", [True, False])
@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_boosted_trees_are_exported_though_onnx_refuses_the_booleans_of_skl2onnx(dtype: str, classify: bool) -> None:
    """Once the plain conversion works, what works around it can go."""
    import skl2onnx
    from onnx import helper
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 5)) > 0).astype(dtype)
    y = (x[:, 0] != x[:, 1]).astype(np.int64)
    split = Split(x, y if classify else y + 0.5)
    data = Data(split, split, split, classes=(False, True) if classify else None)
    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    model = make_pipeline(MinMaxScaler(), kind(max_iter=5)).fit(x, split.y)
    with pytest.raises(ValueError, match="Unable to create node 'TreeEnsemble"):
        skl2onnx.convert_sklearn(model, initial_types=[("x", FloatTensorType([None, 5]))])
    make, task = helper.make_attribute, "classification" if classify else "regression"
    for given in (model, model[-1]):
        work = Workload(data, task, metric.get("accuracy" if classify else "r2"), given)  # type: ignore[arg-type]
        assert _same(sklearn.adopt(work)) is None
    assert helper.make_attribute is make


def test_a_converter_that_is_silently_wrong_is_caught() -> None:
    """skl2onnx 1.20 gives text that is missing a code where scikit-learn gives NaN."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = _columns(HistGradientBoostingClassifier(max_iter=5), hot=False)
    model.named_steps["columntransformer"].transformers[1][1].set_params(encoded_missing_value=np.nan)
    reason = _same(sklearn.adopt(replace(samples.people(), model=model)))
    assert reason is not None and reason.startswith("the export answers differently")


def test_what_cannot_be_converted_is_a_reason() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    work = replace(samples.digits(), model=make_pipeline(FunctionTransformer(np.sqrt), LogisticRegression(max_iter=20)))
    with pytest.raises(TrialFailed, match="Pipeline cannot be exported to ONNX"):
        lowered.lower(sklearn.adopt(work))
    with pytest.raises(InputError, match="no model to lower"):
        lowered.lower(samples.digits())


def test_lowering_twice_is_lowering_once() -> None:
    done = lowered.lower(apply(Linear(), samples.digits()))
    assert lowered.lower(done) is done


def test_sizes_are_counted() -> None:
    linear = apply(Linear(), samples.digits())
    assert sklearn.parameters(linear) == lowered.parameters(lowered.lower(linear)) == 650
    assert sklearn.macs(linear) == lowered.macs(lowered.lower(linear)) == 640
    mlp = apply(Mlp(hidden=(16,), epochs=5), samples.digits())
    assert sklearn.parameters(mlp) == lowered.parameters(lowered.lower(mlp)) == 64 * 16 + 16 + 160 + 10
    assert sklearn.macs(mlp) == lowered.macs(lowered.lower(mlp)) == 64 * 16 + 160
    assert lowered.macs(lowered.lower(apply(Tree(), samples.digits()))) is None
    assert sklearn.macs(apply(Tree(), samples.digits())) is None


def test_convolutions_are_counted_for_one_row() -> None:
    from onnx import helper, numpy_helper

    weight = numpy_helper.from_array(np.zeros((8, 3, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", 1, ["n", 3, 10, 12])],
        [helper.make_tensor_value_info("y", 1, ["n", 8, 10, 12])], [weight],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    work = Workload(model=model, form="onnx")
    assert lowered.macs(work) == 8 * 10 * 12 * 27
    assert lowered.parameters(work) == 8 * 27


def test_frameworks_are_found_by_form() -> None:
    assert framework.get("sklearn") is sklearn
    with pytest.raises(InputError, match="'keras'; forms are onnx, sklearn, torch"):
        framework.get("keras")
