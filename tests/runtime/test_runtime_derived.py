"""Columns of dates go into an artifact as the training file had them, in every form of request."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from trimwatt import input as inputs
from trimwatt import metric
from trimwatt import runtime as runtimes
from trimwatt.errors import InputError
from trimwatt.input.predict import describe, rows_for_prediction
from trimwatt.rows import dates
from trimwatt.runtime import deployed
from trimwatt.scenario import Scenario
from trimwatt.technique._base import apply
from trimwatt.technique.classical import Tree
from trimwatt.workload import Workload

WRITTEN = {"iso": "%Y-%m-%d %H:%M:%S", "days": "%Y-%m-%d", "german": "%d.%m.%Y %H:%M", "clock": "%H:%M"}


def table(written: str, rows: int = 240) -> pd.DataFrame:
    """A value that depends on when a row is, which is written as text."""
    rng = np.random.default_rng(0)
    moments = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 400 * 24 * 60, rows), unit="min")
    load = rng.normal(size=rows)
    hour = moments.hour + moments.minute / 60
    y = load + 3 * moments.day_of_week + hour + moments.month
    return pd.DataFrame({"load": load, "when": moments.strftime(written), "y": y})


@pytest.fixture(scope="module", params=[(form, runtime) for form in WRITTEN for runtime in ("onnxruntime", "sklearn")])
def dated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, pd.DataFrame]:
    """An artifact that reads parts of a date, and rows as its file had them."""
    form, runtime = request.param
    folder, frame = tmp_path_factory.mktemp(form), table(WRITTEN[form])
    frame.to_csv(folder / "rows.csv", index=False)
    data, _ = inputs.load(folder / "rows.csv", target="y")
    work = apply(Tree(), Workload(data, "regression", metric.get("r2"), outputs="values"))
    (folder / "model").mkdir()
    made = runtimes.get(runtime).export(work, folder / "model")
    deployed.write(
        folder / "artifact", made, task="regression", metric="r2", classes=None, input=describe(data), recipe=[],
        figures={}, scenario=Scenario(1, 1, "dict"),
    )  # fmt: skip
    model = deployed.load(folder / "artifact", trust=True)
    return model, pd.read_csv(folder / "rows.csv").drop(columns="y")


def forms(frame: pd.DataFrame) -> dict[str, Any]:
    many = {"frame": frame, "columns": {name: frame[name].to_numpy() for name in frame},
            "lists": frame.to_dict("list"), "dicts": frame.to_dict("records")}  # fmt: skip
    return many | ({"row": frame.iloc[0], "cells": frame.to_dict("records")[0]} if len(frame) == 1 else {})


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 8), slice(0, 200)])
def test_every_form_of_request_is_answered_as_predict_answers_the_file(
    dated: tuple[Any, pd.DataFrame], rows: slice
) -> None:
    model, frame = dated
    few = frame.iloc[rows]
    expected = model.predict(rows_for_prediction(few, model.manifest["input"]))
    assert len(np.unique(model.predict(frame))) > 20
    for form, request in forms(few).items():
        assert np.array_equal(model.predict(request), expected), form


def test_a_missing_date_is_a_missing_number_and_what_is_no_date_is_refused(dated: tuple[Any, pd.DataFrame]) -> None:
    model, frame = dated
    few = frame.iloc[:2].astype(object)
    few.iloc[0, 1] = None
    assert np.array_equal(model.predict(few.iloc[:1]), model.predict(few)[:1])
    with pytest.raises(InputError, match="'when' holds"):
        model.predict(few.iloc[1:2].assign(when="soon"))
    with pytest.raises(InputError, match=r"'load'.*missing"):
        model.predict(few.drop(columns="load").iloc[1:])


def test_dates_as_pandas_has_them_are_the_same(dated: tuple[Any, pd.DataFrame]) -> None:
    model, frame = dated
    written = next(w for w in WRITTEN.values() if _is_written(frame["when"], w))
    read = frame.assign(when=pd.to_datetime(frame["when"], format=written))
    for rows in (slice(0, 1), slice(0, 30)):
        assert np.array_equal(model.predict(read.iloc[rows]), model.predict(frame.iloc[rows]))


def _is_written(column: pd.Series, written: str) -> bool:
    return bool(pd.to_datetime(column, format=written, errors="coerce").notna().all())


def test_one_moment_has_the_parts_of_a_column() -> None:
    cells = ["2024-02-29 23:59:58", "1999-12-31", "2021-03-01T07:30"]
    times = dates.parse(cells, "ymd")
    for name in (*dates.PARTS, *dates.CLOCK_PARTS):
        single = [dates.part_of(dates.moment(cell, "ymd"), name) for cell in cells]
        assert single == dates.part(times, name).tolist()
