"""What a `model.skops` may hold: single types, no functions, and nothing is built before all of it was looked at."""

from __future__ import annotations

import functools
import importlib
import io
import json
import operator
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("skops")
import skops.io
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVR

from trimwatt.errors import InputError
from trimwatt.runtime import _functions, _skops, _types
from trimwatt.runtime._base import Artifact
from trimwatt.runtime.sklearn import Predictor, SklearnRuntime
from trimwatt.scenario import Scenario

RNG = np.random.default_rng(0)
X = RNG.random((60, 3))
Y = X @ [1.0, 2.0, 3.0] + 1


def predictor(estimator: Any) -> Predictor:
    return Predictor(estimator, None, None, "values", None, None)


def data(value: Any) -> bytes:
    return bytes(skops.io.dumps(value))


def opened(estimator: Any, folder: Path) -> Any:
    """The session of an estimator that went through its file, as it is exported."""
    (folder / "model.skops").write_bytes(data(_functions.detach(predictor(estimator))))
    return SklearnRuntime().open(Artifact(folder, "sklearn", ("model.skops",)), Scenario())


def test_every_type_on_the_list_is_one_and_no_function() -> None:
    importlib.import_module("sklearn.experimental.enable_iterative_imputer")
    found = 0
    for name in sorted(frozenset().union(*_types.ALLOWED.values())):
        module, _, kind = name.rpartition(".")
        try:
            value = getattr(importlib.import_module(module), kind)
        except (ImportError, AttributeError):
            continue  # of another version of scikit-learn, scipy or numpy
        found += 1
        assert isinstance(value, type), name
        assert not issubclass(value, (np.memmap, functools.partial, Path, io.IOBase)), name
    assert found > 250
    assert not {"FunctionNode", "MethodNode", "PartialNode", "OperatorFuncNode", "ConstructorFromReduceNode"} & set(
        _types.ALLOWED
    )


def rename(content: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The same file with every node of its schema changed."""

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            if "__loader__" in node:
                change(node)
            for part in node.values():
                visit(part)
        elif isinstance(node, list):
            for part in node:
                visit(part)

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            schema = json.loads(old.read(name)) if name == "schema.json" else None
            if schema is not None:
                visit(schema)
            new.writestr(name, old.read(name) if schema is None else json.dumps(schema))
    return out.getvalue()


MODELS = {
    "boosting": HistGradientBoostingRegressor(max_iter=5),
    "forest": RandomForestRegressor(3),
    "process": GaussianProcessRegressor(RBF() + Matern() * WhiteKernel(), optimizer=None),
    "neighbours": KNeighborsRegressor(algorithm="ball_tree"),
    "machine": SVR(),
    "columns": make_pipeline(make_column_transformer((StandardScaler(), [0, 1])), Ridge()),
    "selected": make_pipeline(SelectKBest(f_regression, k=2), LinearRegression()),
    "logged": TransformedTargetRegressor(LinearRegression(), func=np.log1p, inverse_func=np.expm1),
    "transformed": make_pipeline(FunctionTransformer(np.sqrt), LinearRegression()),
}


@pytest.mark.parametrize("name", MODELS)
def test_fitted_models_go_through_their_file(name: str, tmp_path: Path) -> None:
    model = MODELS[name].fit(X, Y)
    np.testing.assert_allclose(opened(model, tmp_path).predict(X), model.predict(X))


def own(rows: Any) -> Any:
    raise AssertionError("a function of a file ran")


@pytest.mark.parametrize("function", [own, np.load, np.fromfile, np.save, np.full_like, np.testing.measure])
def test_a_function_in_a_model_is_a_name_that_does_not_run(function: Any, tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(), LinearRegression()).fit(X, Y)
    model[0].func = function
    session = opened(model, tmp_path)
    with pytest.raises(InputError, match="a file's functions are never run"):
        session.predict(X)


@pytest.mark.parametrize(
    "function",
    [
        np.load,
        np.full_like,
        np.testing.measure,
        np.memmap,
        np.log1p,
        eval,
        functools.partial(np.load, "x"),
        operator.methodcaller("tofile", "x"),
        operator.attrgetter("a"),
        LinearRegression().fit,
        Path,
        own,
        np.random.default_rng,
        np.vectorize,
    ],
)
def test_a_file_that_names_a_function_or_a_foreign_type_is_refused(function: Any) -> None:
    content = data(predictor(make_pipeline(FunctionTransformer(function, kw_args={"a": 1}), LinearRegression())))
    with pytest.raises(InputError, match="not on the list of types that may be opened, so nothing of it was loaded"):
        _skops.read(content, "model.skops")


@pytest.mark.parametrize("kind", ["numpy.memmap", "numpy.lib.npyio.NpzFile", "trimwatt._child.resolve", "os.system"])
@pytest.mark.parametrize("loader", ["NdArrayNode", "ListNode", "TypeNode", "ObjectNode", "DictNode", "RandomStateNode"])
def test_a_type_in_the_place_of_another_is_refused(kind: str, loader: str) -> None:
    module, _, name = kind.rpartition(".")
    model = RandomForestRegressor(2, random_state=np.random.RandomState(0)).fit(X, Y)

    def change(node: dict[str, Any]) -> None:
        if node["__loader__"] == loader:
            node["__module__"], node["__class__"] = module, name

    with pytest.raises(InputError, match="not on the list of types"):
        _skops.read(rename(data(predictor(model)), change), "model.skops")


def test_older_formats_and_unknown_loaders_are_refused() -> None:
    content = data(predictor(LinearRegression().fit(X, Y)))
    for field, value in (("protocol", 0), ("protocol", True), ("__loader__", "OldNode")):

        def change(node: dict[str, Any], field: str = field, value: Any = value) -> None:
            if "protocol" in node or field == "__loader__":
                node[field] = value

        with pytest.raises(InputError):
            _skops.read(rename(content, change), "model.skops")


def test_keys_are_made_by_types_alone() -> None:
    """A type of a key is called while its dict is built."""
    function = make_pipeline(FunctionTransformer(_functions.NamedFunction("numpy.max")), LinearRegression())
    function_node: dict[str, Any] = {}

    def change(node: dict[str, Any], way: str) -> None:
        if node["__class__"] == "NamedFunction":
            function_node.update(node)
            return
        keys = node.get("key_types")
        if keys is None or not function_node or "done" in function_node:
            return
        function_node["done"] = True
        if way == "object":
            keys["content"] = [{**function_node, "content": None}]
        elif way == "number":
            keys["content"][0]["__id__"] = function_node["__id__"]
        else:
            node["key_types"] = {**keys, "__loader__": "CachedNode"}

    for way in ("object", "number", "cached"):
        function_node.clear()
        with pytest.raises(InputError, match="one object in the place of another"):
            _skops.read(rename(data(predictor(function)), functools.partial(change, way=way)), "model.skops")


def test_a_vectorizer_that_opens_files_is_refused(tmp_path: Path) -> None:
    texts = ["a b", "b c", "c d"]
    model = make_pipeline(TfidfVectorizer(analyzer="char"), Ridge()).fit(texts, [1.0, 2.0, 3.0])
    np.testing.assert_allclose(opened(model, tmp_path).predict(texts), model.predict(texts))
    model[0].input = "filename"
    with pytest.raises(InputError, match="opens the files its rows name"):
        opened(model, tmp_path)


def test_damaged_files_are_one_line() -> None:
    content = data(predictor(LinearRegression().fit(X, Y)))
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("schema.json", "[" * 100_000 + "]" * 100_000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 2**27)
    for wrong in (b"", b"PK", content[:-30], nested.getvalue(), bomb.getvalue()):
        with pytest.raises(InputError) as refused:
            _skops.read(wrong, "model.skops")
        assert "\n" not in str(refused.value)


def test_an_object_that_is_no_predictor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.skops").write_bytes(data(LinearRegression().fit(X, Y)))
    with pytest.raises(InputError, match="no predictor"):
        SklearnRuntime().open(Artifact(tmp_path, "sklearn", ("model.skops",)), Scenario())
