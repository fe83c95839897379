"""Types of the list in places where they could run code: refused in one line, before anything of them is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("skops")
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingRegressor, StackingRegressor, VotingRegressor
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import GenericUnivariateSelect, SelectFromModel
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDRegressor
from sklearn.metrics import make_scorer, mean_squared_error
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils import Bunch

from trimwatt.errors import InputError
from trimwatt.runtime import _skops
from trimwatt.runtime._functions import NamedFunction, detach
from trimwatt.runtime.sklearn import Predictor, SklearnSession

RNG = np.random.default_rng(0)
X = RNG.random((40, 3))
Y = X @ [1.0, 2.0, 3.0]
LABELS = (Y > 3).astype(int)
ARRAY = np.array(b"echo pwned\n")


def read(estimator: Any) -> Any:
    predictor = Predictor(detach(estimator), None, None, "values", None, None)
    return _skops.read(bytes(skops.io.dumps(predictor)), "model.skops").estimator


def sets(estimator: Any, **state: Any) -> Any:
    vars(estimator).update(state)
    return estimator


def test_an_array_is_never_told_to_write_itself(tmp_path: Path) -> None:
    """Each type here is on the list; together they would write a file at a path of their own choice."""
    path = tmp_path / "owned"
    stack = sets(
        StackingRegressor([("a", LinearRegression())]), estimators_=[ARRAY], stack_method_=["tofile"],
        final_estimator_=LinearRegression(), named_estimators_={},
    )  # fmt: skip
    out = {"out": np.array([str(path)], dtype=object), "where": False, "dtype": "object"}
    whole = NamedFunction("numpy.max")
    model = make_pipeline(
        FunctionTransformer(whole, check_inverse=False),
        FunctionTransformer(NamedFunction("numpy.positive"), kw_args=out),
        FunctionTransformer(whole),
        FunctionTransformer(str),
        stack,
    )
    predictor = Predictor(model, None, None, "values", None, None)
    with pytest.raises(InputError, match="so it was not used"):
        SklearnSession(_skops.read(bytes(skops.io.dumps(predictor)), "model.skops"), 1).predict(X)
    assert not path.exists()


LINE = LinearRegression()
# what is set, and where that is wrong
MISPLACED: dict[str, Callable[[], Any]] = {
    "stack_method_": lambda: sets(StackingRegressor([("a", LINE)]), estimators_=[LINE], stack_method_=["tofile"]),
    "stack_method_ as keys": lambda: sets(StackingRegressor([("a", LINE)]), stack_method_={"tofile": 1}),
    "stack_method_ in an array": lambda: sets(StackingRegressor([("a", LINE)]), stack_method_=np.array(["dump"])),
    "stack_method_ fits": lambda: sets(StackingRegressor([("a", LINE)]), stack_method_=["fit"]),
    "estimators_": lambda: sets(StackingRegressor([("a", LINE)]), estimators_=[ARRAY], stack_method_=["predict"]),
    "final_estimator_": lambda: sets(StackingRegressor([("a", LINE)]), final_estimator_=NamedFunction("numpy.log")),
    "voting": lambda: sets(VotingRegressor([("a", LINE)]), estimators_=[LINE, ARRAY]),
    "voting named": lambda: sets(VotingRegressor([("a", LINE)]), named_estimators_=Bunch(a=ARRAY)),
    "boosting": lambda: sets(GradientBoostingRegressor(), estimators_=np.array([[ARRAY]], dtype=object)),
    "chain_method_": lambda: sets(ClassifierChain(LogisticRegression()), chain_method_="tofile"),
    "chain": lambda: sets(ClassifierChain(LogisticRegression()), estimators_=[np.array([1.0])]),
    "calibrated": lambda: sets(CalibratedClassifierCV(LogisticRegression()), calibrated_classifiers_=[ARRAY]),
    "calibrators": lambda: calibrated(calibrators=[ARRAY]),
    "calibrated estimator": lambda: calibrated(estimator="text"),
    "response_method": lambda: TunedThresholdClassifierCV(LogisticRegression(), response_method="tofile"),
    "scorer": lambda: GridSearchCV(LINE, {}, scoring=sets(make_scorer(mean_squared_error), _response_method="dump")),
    "scorer elsewhere": lambda: TransformedTargetRegressor(LINE, func=make_scorer(mean_squared_error)),
    "another method": lambda: sets(LinearRegression(), answer_method_="tofile"),
    "step": lambda: Pipeline([("a", ARRAY), ("b", LINE)]),
    "step is text": lambda: Pipeline([("a", "text"), ("b", LINE)]),
    "step is a dict": lambda: Pipeline([("a", Bunch(transform=NamedFunction("numpy.log"))), ("b", LINE)]),
    "step is a type": lambda: Pipeline([("a", str), ("b", LINE)]),
    "union": lambda: FeatureUnion([("a", ARRAY)]),
    "remainder": lambda: ColumnTransformer([("a", StandardScaler(), [0])], remainder=ARRAY),
    "transformers_": lambda: sets(ColumnTransformer([]), transformers_=[("a", ARRAY, [0])]),
    "func is a type": lambda: FunctionTransformer(str),
    "func is a kernel": lambda: FunctionTransformer(RBF()),
    "func in an array": lambda: FunctionTransformer(np.array([str, 1], dtype=object)),
    "inverse_func": lambda: TransformedTargetRegressor(LINE, func=np.log, inverse_func=str),
    "kw_args": lambda: FunctionTransformer(np.positive, kw_args={"out": np.zeros(3)}),
    "kw_args axis": lambda: FunctionTransformer(np.mean, kw_args={"axis": np.zeros(3)}),
    "inv_kw_args": lambda: FunctionTransformer(np.positive, inv_kw_args={"dtype": "object"}),
    "metric is a type": lambda: KNeighborsRegressor(metric=str),
    "metric is a kernel": lambda: KNeighborsRegressor(metric=RBF()),
    "effective_metric_": lambda: sets(KNeighborsRegressor(), effective_metric_=make_scorer(mean_squared_error)),
    "analyzer": lambda: CountVectorizer(analyzer=list),
    "tokenizer": lambda: TfidfVectorizer(tokenizer=str),
    "preprocessor": lambda: TfidfVectorizer(preprocessor=RBF()),
    "stop_words": lambda: CountVectorizer(stop_words=[str]),
    "names": lambda: FeatureUnion([("a", StandardScaler())], verbose_feature_names_out=str),
    "combiner": lambda: OneHotEncoder(feature_name_combiner=str),
    "name of a function": lambda: FunctionTransformer(NamedFunction(RBF())),  # type: ignore[arg-type]
    "getter": lambda: SelectFromModel(LINE, importance_getter="predict.__func__.__globals__"),
    "predict": lambda: sets(LinearRegression(), predict=NamedFunction("numpy.log")),
    "a private method": lambda: sets(LinearRegression(), _decision_function=LogisticRegression()),
    "a table": lambda: sets(GenericUnivariateSelect(), _selection_modes={"percentile": NamedFunction("numpy.log")}),
    "no type of numbers": lambda: OneHotEncoder(dtype=dict),
    "drop in front": lambda: sets(VotingRegressor([]), estimators_=["drop", LINE, ARRAY]),
    "drop in front of two": lambda: sets(VotingRegressor([]), estimators_=[["drop", LINE, ARRAY]]),
    "special": lambda: sets(LinearRegression(), __sklearn_tags__=LogisticRegression()),
    "special key": lambda: sets(LinearRegression(), coef_=Bunch(__len__=1)),
    "files in an array": lambda: sets(
        LinearRegression(), coef_=np.array([TfidfVectorizer(input="filename"), 1], dtype=object)
    ),
    "deep": lambda: sets(
        LinearRegression(), a=[{"b": ({"c": np.array([sets(VotingRegressor([]), estimators_=[ARRAY]), 1], object)},)}]
    ),
}  # fmt: skip


def calibrated(**state: Any) -> Any:
    model = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, LABELS)
    vars(model.calibrated_classifiers_[0]).update(state)
    return model


@pytest.mark.parametrize("name", MISPLACED)
def test_what_stands_in_a_place_where_it_could_run_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^model\.skops has .* belongs?.*, so it was not used; predict in") as refused:
        read(make_pipeline(MISPLACED[name]()))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("field", ["estimator", "prepare", "decide"])
@pytest.mark.parametrize("value", [ARRAY, Bunch(transform=1), NamedFunction("numpy.log"), "text"])
def test_what_stands_around_the_estimator_is_ours(field: str, value: Any) -> None:
    predictor = Predictor(LinearRegression(), None, None, "values", None, None)
    object.__setattr__(predictor, field, value)
    with pytest.raises(InputError, match=f"as '{field}' of Predictor, where"):
        _skops.read(bytes(skops.io.dumps(predictor)), "model.skops")


@pytest.mark.parametrize("key", ["__array_interface__", "__array_struct__", "__array__"])
@pytest.mark.parametrize("place", [lambda state: sets(LinearRegression(), **state), lambda state: Bunch(**state)])
def test_no_memory_is_offered_to_numpy_while_it_is_built(key: str, place: Callable[[dict[str, Any]], Any]) -> None:
    """In an array of two dimensions, numpy asks each item for its memory as soon as the array is built."""
    pretended = np.empty((1, 1), dtype=object)
    pretended[0, 0] = place({key: {"data": (1, True), "shape": (1,), "typestr": "|u1", "version": 3}})
    with pytest.raises(InputError, match="tells numpy where to read memory, so nothing of it was loaded"):
        read(sets(LinearRegression(), coef_=pretended))


def test_named_functions_take_one_array() -> None:
    call = NamedFunction("numpy.mean")
    np.testing.assert_allclose(call(X, axis=1, keepdims=True), X.mean(1, keepdims=True))
    for given, options in (((X, X), {}), ((), {}), ((X,), {"out": X}), ((X,), {"axis": X}), ((X,), {"where": False})):
        with pytest.raises(InputError, match="take one array, axis and keepdims") as refused:
            call(*given, **options)
        assert "\n" not in str(refused.value)


WHOLE = {
    "stack": lambda: StackingRegressor([("a", LinearRegression()), ("b", KNeighborsRegressor()), ("c", "drop")]),
    "voting": lambda: VotingRegressor([("steps", LinearRegression()), ("func", KNeighborsRegressor())]),
    "isotonic": lambda: CalibratedClassifierCV(LogisticRegression(), method="isotonic", cv=2),
    "chain": lambda: TransformedTargetRegressor(SGDRegressor(), transformer=StandardScaler()),
    "process": lambda: GaussianProcessRegressor(RBF() + 1.0 * RBF(), optimizer=None),
    "search": lambda: GridSearchCV(
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression()),
        {"onehotencoder__dtype": [np.float32, np.float64]}, cv=2, scoring={"a": "r2"}, refit="a",
    ),
    "means": lambda: make_pipeline(FunctionTransformer(np.mean, kw_args={"axis": 1, "keepdims": True}), LINE),
    "agglomeration": lambda: make_pipeline(_agglomeration(), LinearRegression()),
    "columns": lambda: make_pipeline(
        ColumnTransformer([("scaler", StandardScaler(), [0]), ("b", "passthrough", [1])], remainder=StandardScaler()),
        LinearRegression(),
    ),
    "selected": lambda: make_pipeline(SelectFromModel(LinearRegression(), importance_getter="coef_"), LINE),
}  # fmt: skip


def _agglomeration() -> Any:
    return importlib.import_module("sklearn.cluster").FeatureAgglomeration(2, pooling_func=np.max)


@pytest.mark.parametrize("name", WHOLE)
def test_models_as_they_are_made_open(name: str) -> None:
    model = WHOLE[name]().fit(X, LABELS)
    np.testing.assert_allclose(read(model).predict(X), model.predict(X))


def test_a_cache_is_not_carried_over(tmp_path: Path) -> None:
    model = Pipeline([("a", StandardScaler()), ("b", LinearRegression())], memory=str(tmp_path / "cache")).fit(X, Y)
    assert model.memory is not None and read(model).memory is None
