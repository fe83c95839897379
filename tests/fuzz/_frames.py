"""Random typed frames: each column of a kind that people really store, with what a pipeline may do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
)

Rng = np.random.Generator
WORDS = ["NA", "EU", "up", " up", "Up", "101", "0101", "True", "10%", "", "None", "nan", "Łódź", "a,b", "x" * 40]


def minute(frame: Any) -> Any:
    """Whether the minute of unix seconds is odd: lost where seconds are rounded to float32."""
    return (np.asarray(frame, dtype="float64") // 60) % 2


def hours(frame: pd.DataFrame) -> Any:
    """Hour and weekday by the wall clock, also of dates that a CSV gives as text."""
    dates = [pd.to_datetime(frame[name].astype(str).str.slice(0, 19)) for name in frame]
    return np.column_stack([part for column in dates for part in (column.dt.hour, column.dt.dayofweek)])


def amounts(frame: pd.DataFrame) -> Any:
    """Money as it is written, as numbers."""
    return frame.apply(lambda column: column.str.replace("[$,]", "", regex=True).astype(float)).to_numpy()


def lengths(frame: pd.DataFrame) -> Any:
    """How long each text is, spaces and all; 0 where it is missing."""
    return frame.apply(lambda column: column.map(lambda cell: len(cell) if isinstance(cell, str) else 0)).to_numpy()


def floats(frame: Any) -> Any:
    """Nullable numbers and booleans as float64 with NaN."""
    cells = pd.DataFrame(frame).astype(object)
    return cells.where(cells.notna(), np.nan).to_numpy(dtype="float64")


def _numbers() -> list[Callable[[], Any]]:
    return [
        lambda: SimpleImputer(),
        lambda: make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
        lambda: make_pipeline(SimpleImputer(), RobustScaler()),
        lambda: make_pipeline(SimpleImputer(), MinMaxScaler()),
        lambda: make_pipeline(SimpleImputer(), PowerTransformer()),
        lambda: make_pipeline(SimpleImputer(), QuantileTransformer(n_quantiles=50)),
        lambda: make_pipeline(SimpleImputer(), KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf")),
        lambda: make_pipeline(SimpleImputer(), SplineTransformer(n_knots=4)),
        lambda: make_pipeline(SimpleImputer(add_indicator=True), PolynomialFeatures(2)),
    ]  # fmt: skip


def _categories() -> list[Callable[[], Any]]:
    return [
        lambda: OneHotEncoder(handle_unknown="ignore"),
        lambda: OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.05, sparse_output=False),
        lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    ]


def _with_gaps(rng: Rng, values: list[Any], gap: Any) -> list[Any]:
    share = rng.choice([0.0, 0.0, 0.1])
    return [gap if rng.random() < share else value for value in values]


def _float_column(rng: Rng, n: int) -> Any:
    values = np.array(_with_gaps(rng, list(rng.normal(0, 10.0 ** rng.integers(-3, 6), n)), np.nan))
    return values.astype(rng.choice(["float64", "float32"]))


def _integer_column(rng: Rng, n: int) -> Any:
    kind = str(rng.choice(["int64", "int32", "int16", "uint8", "bool"]))
    return rng.integers(0, 2 if kind == "bool" else 100, n).astype(kind)


def _seconds_column(rng: Rng, n: int) -> Any:
    return 1_700_000_000 + rng.integers(0, 3600, n)


def _ids_column(rng: Rng, n: int) -> Any:
    ids = 20_240_000 + 3 * np.arange(int(rng.integers(2, 7)))
    return rng.choice(ids, n).astype(rng.choice(["int64", "float64"]))


def _nullable_column(rng: Rng, n: int) -> Any:
    kind = str(rng.choice(["Int64", "Float64", "boolean"]))
    values = rng.integers(0, 2, n) == 1 if kind == "boolean" else rng.integers(0, 50, n)
    return pd.array(_with_gaps(rng, [v.item() for v in values], pd.NA), dtype=kind)


def _text_column(rng: Rng, n: int) -> Any:
    words = list(rng.choice(WORDS, int(rng.integers(2, 7)), replace=False))
    values = [str(word) for word in rng.choice(words, n)]
    if rng.random() < 0.3:
        return pd.array(values, dtype="string")  # whole: scikit-learn's encoders do not take pandas' NA
    return pd.Series(_with_gaps(rng, values, None), dtype=object)


def _category_column(rng: Rng, n: int) -> Any:
    levels: list[Any] = [1, 2, 10] if rng.random() < 0.4 else ["low", "mid", "high"]
    return pd.Categorical(
        [levels[i] for i in rng.integers(0, 3, n)], categories=levels, ordered=bool(rng.random() < 0.5)
    )


def _date_column(rng: Rng, n: int) -> Any:
    zone = rng.choice(["", "Europe/Berlin"])
    start = pd.Timestamp("2024-01-01", tz=str(zone) or None)
    return pd.Series([start + pd.Timedelta(minutes=int(m)) for m in rng.integers(0, 500_000, n)])


def _money_column(rng: Rng, n: int) -> Any:
    return pd.Series([f"${value:,.2f}" for value in rng.uniform(0, 5000, n)], dtype=object)


def _sentence_column(rng: Rng, n: int) -> Any:
    return pd.Series([" ".join(rng.choice(["red", "green", "Blue", "héllo", "x1"], 4)) for _ in range(n)], dtype=object)


KINDS: dict[str, tuple[Callable[[Rng, int], Any], Callable[[], list[Callable[[], Any]]]]] = {
    "float": (_float_column, _numbers),
    "integer": (_integer_column, lambda: [*_numbers()[:4], lambda: "passthrough"]),
    "seconds": (_seconds_column, lambda: [lambda: FunctionTransformer(minute), lambda: StandardScaler()]),
    "ids": (_ids_column, _categories),
    "nullable": (_nullable_column, lambda: [lambda: make_pipeline(FunctionTransformer(floats), SimpleImputer())]),
    "text": (_text_column, lambda: [*_categories(), lambda: FunctionTransformer(lengths)]),
    "category": (_category_column, _categories),
    "date": (_date_column, lambda: [lambda: FunctionTransformer(hours)]),
    "money": (_money_column, lambda: [lambda: FunctionTransformer(amounts)]),
    "sentence": (_sentence_column, lambda: [CountVectorizer, TfidfVectorizer]),
}  # fmt: skip


def draw_frame(rng: Rng, n: int) -> tuple[pd.DataFrame, ColumnTransformer, np.ndarray[Any, Any]]:
    """A frame of two to six columns, an unfitted preparation of it, and a signal `(n,)` that the columns hold."""
    kinds = rng.choice(list(KINDS), int(rng.integers(2, 7)))
    columns, steps = {}, []
    for place, kind in enumerate(kinds):
        make, options = KINDS[kind]
        name = f"{kind} {place}" if rng.random() < 0.8 else kind.upper() + str(place)
        columns[name] = make(rng, n)
        choices = options()
        # vectorizers take one column by its name, all else a list of columns
        steps.append((f"s{place}", choices[rng.integers(len(choices))](), name if kind == "sentence" else [name]))
    frame = pd.DataFrame(columns)
    prepare = ColumnTransformer(steps, sparse_threshold=0)
    dense = prepare.fit_transform(frame)
    scaled = StandardScaler().fit_transform(np.asarray(dense, dtype="float64"))
    return frame, prepare, scaled @ rng.normal(size=scaled.shape[1])
