"""Frames of other libraries are data like any other, and a model fitted on one gets one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from trimwatt.errors import InputError
from trimwatt.framework.rows import own_frame
from trimwatt.input import describe, load, rows_for_prediction

ROWS = 80


def _columns() -> dict[str, list[Any]]:
    numbers = np.random.default_rng(0).normal(size=ROWS)
    return {
        "a": numbers.tolist(), "n": [None if i % 7 == 0 else i for i in range(ROWS)],
        "w": [None if i % 5 == 0 else [" up", "NA"][i % 2] for i in range(ROWS)],
        "t": [bool(i % 2) for i in range(ROWS)], "y": ["1" if value > 0 else "0" for value in numbers],
    }  # fmt: skip


def test_polars_frames_are_data() -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(_columns(), strict=False).with_columns(pl.col("w").cast(pl.Categorical).alias("c"))
    bare = frame.drop("y")
    for source, options in [
        (frame, {"target": "y"}), ((bare, frame["y"]), {}), ((bare, frame["y"].to_list()), {}),
        ((frame, frame[:60], frame[10:]), {"target": "y"}), ({"x": bare, "y": frame["y"]}, {}),
        (frame.to_arrow(), {"target": "y"}), ({"x": {c: bare[c] for c in bare.columns}, "y": frame["y"]}, {}),
    ]:  # fmt: skip
        assert load(source, **options)[0].classes == ("0", "1")
        data, _ = load(source, **options, as_stored=True)
        assert data.classes == ("0", "1") and list(data.train.x) == bare.columns
        assert data.original is not None
    data, _ = load((bare, frame["y"]), as_stored=True)
    for split in ("train", "val", "test"):
        own = data.original(split, slice(None))  # type: ignore[misc]
        assert own_frame(getattr(data, split).x).equals(own) and own.schema == bare.schema
    rows = rows_for_prediction(bare, describe(data))
    assert own_frame(rows).equals(bare)  # type: ignore[arg-type]


def _signs(frame: Any) -> Any:
    import polars as pl

    return frame.select(pl.col("a") * 2).to_numpy()


def test_a_model_fitted_on_polars_gets_polars() -> None:
    from trimwatt import metric
    from trimwatt.framework import sklearn
    from trimwatt.scenario import Scenario
    from trimwatt.workload import Workload

    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(_columns(), strict=False)
    model = make_pipeline(FunctionTransformer(_signs), LogisticRegression()).fit(frame.drop("y"), frame["y"].to_list())
    data, _ = load(frame, target="y", as_stored=True)
    work = Workload(data, metric=metric.get("accuracy"), model=model, form="sklearn", scenario=Scenario(request="dict"))
    found = sklearn.scores(sklearn.adopt(work), data.val.x).argmax(axis=1)
    own = model.predict(data.original("val", slice(None)))  # type: ignore[misc]
    assert np.array(data.classes)[found].tolist() == own.tolist()


def test_what_is_no_data_is_named_with_its_package() -> None:
    class Odd:
        pass

    with pytest.raises(InputError, match=r"data came as test_input_polars\.Odd; "):
        load(Odd())
    with pytest.raises(InputError, match=r"x is test_input_polars\.Odd; an array"):
        load((Odd(), [1]))
