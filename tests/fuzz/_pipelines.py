"""Random scikit-learn models over random typed frames or arrays, fitted."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _case import Case
from _frames import Rng, draw_frame
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import (
    ElasticNet,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

ROWS = (120, 60, 60)
LABELS: list[list[Any]] = [
    [0, 1], [1, 2], [-1, 1], ["no", "yes"], ["0", "1"], [False, True], ["NA", "EU"], [0, 1, 2], [3, 7, 11],
    ["b", "a", "C"], ["1", "2", "10"], [10, 20, 30, 40],
]  # fmt: skip


def _any_classifiers() -> list[Callable[[], Any]]:
    return [
        lambda: LogisticRegression(max_iter=300),
        lambda: RandomForestClassifier(8, max_depth=5, random_state=0),
        lambda: ExtraTreesClassifier(8, max_depth=5, random_state=0),
        lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
        lambda: DecisionTreeClassifier(max_depth=4, random_state=0),
        lambda: KNeighborsClassifier(3),
        lambda: MLPClassifier((8,), max_iter=60, random_state=0),
        lambda: SVC(random_state=0),
        lambda: SVC(kernel="linear", random_state=0),
        lambda: LinearSVC(random_state=0),
        lambda: RidgeClassifier(),
        lambda: Perceptron(random_state=0),
        lambda: SGDClassifier(loss="modified_huber", random_state=0),
        lambda: GaussianNB(),
        lambda: BernoulliNB(),
        lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        lambda: QuadraticDiscriminantAnalysis(reg_param=0.5),
        lambda: AdaBoostClassifier(n_estimators=6, random_state=0),
        lambda: NearestCentroid(),
        lambda: BaggingClassifier(DecisionTreeClassifier(max_depth=3), 4, random_state=0),
        lambda: OneVsRestClassifier(LogisticRegression(max_iter=300)),
        lambda: OneVsOneClassifier(LinearSVC(random_state=0)),
        lambda: CalibratedClassifierCV(LinearSVC(random_state=0), cv=3),
        lambda: CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=3),
        lambda: VotingClassifier([("a", LogisticRegression(max_iter=300)), ("b", GaussianNB())], voting="soft"),
        lambda: VotingClassifier([("a", RidgeClassifier()), ("b", GaussianNB()), ("c", LinearSVC(random_state=0))]),
        lambda: StackingClassifier([("a", GaussianNB()), ("b", LinearSVC(random_state=0))], LogisticRegression(), cv=3),
        lambda: GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0]}, cv=3),
    ]


def _binary_classifiers() -> list[Callable[[], Any]]:
    return [
        lambda: TunedThresholdClassifierCV(LogisticRegression(max_iter=300), cv=3, random_state=0),
        lambda: FixedThresholdClassifier(GaussianNB(), threshold=0.3),
        lambda: FixedThresholdClassifier(LinearSVC(random_state=0), threshold=0.2, response_method="decision_function"),
    ]


def _regressors() -> list[Callable[[], Any]]:
    return [
        lambda: LinearRegression(), lambda: Ridge(), lambda: ElasticNet(0.01), lambda: PoissonRegressor(max_iter=200),
        lambda: RandomForestRegressor(8, max_depth=5, random_state=0),
        lambda: GradientBoostingRegressor(n_estimators=8, random_state=0),
        lambda: HistGradientBoostingRegressor(max_iter=8, random_state=0),
        lambda: DecisionTreeRegressor(max_depth=4, random_state=0), lambda: KNeighborsRegressor(3), lambda: SVR(),
        lambda: MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, random_state=0),
        lambda: BaggingRegressor(DecisionTreeRegressor(max_depth=3), 4, random_state=0),
        lambda: VotingRegressor([("a", Ridge()), ("b", DecisionTreeRegressor(max_depth=3))]),
    ]  # fmt: skip


def draw_pipeline(rng: Rng) -> Case:
    """A fitted model with the rows it was fitted on, in three splits."""
    n = sum(ROWS)
    array = rng.random() < 0.2
    x, prepare, signal = draw_array(rng, n) if array else draw_frame(rng, n)
    signal = signal + 0.3 * np.std(signal) * rng.normal(size=n)
    classify = bool(rng.random() < 0.75)
    y = _labels(rng, signal) if classify else np.exp(signal / (np.std(signal) + 1e-9))
    estimator = _estimator(rng, y if classify else None)
    middle: list[tuple[str, Any]] = [("scale", StandardScaler())] if rng.random() < 0.6 else []
    extra = [("pca", PCA(0.95, svd_solver="full")), ("best", SelectKBest(k=2)), ("vary", VarianceThreshold())]
    middle += [extra[rng.integers(3)]] if rng.random() < 0.3 else []
    head = [] if prepare is None else [("prepare", prepare)]
    model = Pipeline([*head, *middle, ("model", estimator)]) if head or middle else estimator
    kept = _keep(rng, x, y)
    train, val, test = _split(kept.x, kept.y)
    model.fit(*train)
    own = np.asarray(model.predict(val[0]))
    if kept.form == "csv" and own.dtype == bool:
        own = own.astype(str)  # a label of a text file stays as the file writes it
    name = f"{kept.form} {_told(kept.x)} {model}".replace("\n", " ")
    # functions of the user's own are never run out of a file, and splines hold functions of scipy
    parts = () if prepare is None else prepare.get_params().values()
    own_code = any(isinstance(part, FunctionTransformer | SplineTransformer) for part in parts)
    return Case(name, model, (train, val, test), classify, val[0], own, kept.store, kept.options, own_code)


@dataclass(frozen=True)
class Kept:
    """Rows and target as the user has them once they are kept in `form`, and how to keep them so."""

    form: str
    x: Any
    y: Any
    store: Callable[[Path], Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)


def _keep(rng: Rng, x: Any, y: Any) -> Kept:
    """Pairs of splits, one frame or file with a column that tells the splits, or a dict of columns."""
    form = str(rng.choice(["pairs", "pairs", "frame", "parquet", "csv"])) if isinstance(x, pd.DataFrame) else "pairs"
    if form == "pairs" or (form == "csv" and "NA" in set(np.asarray(y).tolist())):  # a CSV's reader takes it as missing
        return Kept("pairs", x, y)
    whole = x.assign(label=np.asarray(y), part=np.repeat(["train", "val", "test"], ROWS))
    options = {"target": "label", "split": "part"}
    if form == "frame":
        return Kept(form, x, whole["label"], lambda _: whole, options)
    with tempfile.TemporaryDirectory() as folder:
        read = _read_back(_write(whole, Path(folder), form))
    store = partial(_write, whole, form=form)
    return Kept(form, read.drop(columns=["label", "part"]), read["label"], store, options)


def _write(frame: pd.DataFrame, folder: Path, form: str) -> Path:
    path = folder / f"rows.{form}"
    frame.to_parquet(path) if form == "parquet" else frame.to_csv(path, index=False)
    return path


def _read_back(path: Path) -> pd.DataFrame:
    """As users read it."""
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def draw_array(rng: Rng, n: int) -> tuple[Any, None, Any]:
    """Plain numbers as one array, in a type that people store."""
    x = rng.normal(size=(n, int(rng.integers(2, 8)))) * 10.0 ** rng.integers(0, 3)
    x = x.astype(rng.choice(["float64", "float32", "int64"]))
    return x, None, np.asarray(x, dtype="float64") @ rng.normal(size=x.shape[1])


def _labels(rng: Rng, signal: Any) -> Any:
    names = LABELS[rng.integers(len(LABELS))]
    edges = np.quantile(signal, np.linspace(0, 1, len(names) + 1)[1:-1])
    codes = np.searchsorted(edges, signal)
    form = rng.random()
    values = [names[code] for code in codes]
    if form < 0.5:
        return pd.Series(values, name="label")
    return pd.Series(values, name="label", dtype="category") if form < 0.7 else np.array(values)


def _estimator(rng: Rng, y: Any) -> Any:
    if y is None:
        choices = _regressors()
    else:
        binary = len(set(np.asarray(y).tolist())) == 2
        choices = _any_classifiers() + (_binary_classifiers() if binary else [])
    return choices[rng.integers(len(choices))]()


def _split(x: Any, y: Any) -> list[tuple[Any, Any]]:
    ends = np.cumsum([0, *ROWS])
    parts = [slice(start, end) for start, end in itertools.pairwise(ends)]
    return [(x.iloc[p] if hasattr(x, "iloc") else x[p], y.iloc[p] if hasattr(y, "iloc") else y[p]) for p in parts]


def _told(x: Any) -> str:
    return f"frame({', '.join(map(str, x.dtypes))})" if hasattr(x, "dtypes") else f"array({x.dtype})"
