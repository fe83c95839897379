"""Fewer columns: noise goes first, what is no longer read is a constant, and the artifact asks for the rest alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from trimwatt import framework, runtime
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.prepare import ColumnPrepare
from trimwatt.framework.rows import to_frame
from trimwatt.framework.torch import gates_inputs
from trimwatt.input import describe
from trimwatt.study.workshop import Workshop
from trimwatt.technique import apply
from trimwatt.technique._base import Technique
from trimwatt.technique.architecture import SmallCnn, TorchMlp
from trimwatt.technique.classical import Boosted, Forest, Mlp, Neighbours
from trimwatt.technique.inputs import SelectColumns
from trimwatt.technique.lower import Lower
from trimwatt.technique.train import Train
from trimwatt.testing.samples import digits, incomes, people
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Split, Workload


@cache
def _dense() -> Workload:
    return apply(Train(epochs=4, learning_rate=1e-2), apply(TorchMlp((16,)), people()))


class TestSelectColumns(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return SelectColumns()

    @pytest.fixture
    def workload(self) -> Workload:
        return apply(Boosted(20, 8), people())


class TestOfValues(TestSelectColumns):
    @pytest.fixture
    def workload(self) -> Workload:
        return apply(Forest(10), incomes())


class TestOfANetwork(TestSelectColumns):
    @pytest.fixture
    def workload(self) -> Workload:
        return _dense()


def _noisy(base: Workload, number: int) -> Workload:
    """The same rows with columns that say nothing."""
    rng = np.random.default_rng(3)

    def wider(part: Split) -> Split:
        assert isinstance(part.x, dict)
        noise = {f"noise {n}": rng.normal(size=len(part)).astype(np.float32) for n in range(number)}
        return replace(part, x={**noise, **part.x})

    data = base.rows
    return replace(base, data=replace(data, train=wider(data.train), val=wider(data.val), test=wider(data.test)))


def _names(workload: Workload) -> list[str]:
    assert isinstance(workload.prepare, ColumnPrepare)
    return list(workload.prepare.places)


@pytest.mark.parametrize("number", [3, 20])
def test_columns_that_say_nothing_go_first(number: int) -> None:
    base = apply(Boosted(20, 8), _noisy(people(), number))
    names = _names(apply(SelectColumns((number + 1) / len(_names(base))), base))
    assert set(names) == {"age", "hours per week", "work"}


def test_a_network_answers_as_if_the_others_were_at_their_mean() -> None:
    prepared = torch.randn(30, 7)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(7, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    mean, kept = torch.randn(7), torch.tensor([1, 4, 6])
    held = mean.repeat(30, 1)
    held[:, kept] = prepared[:, kept]
    expected = module(held)
    got = gates_inputs.without_(module, "1", kept, mean)(prepared[:, kept])
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("one_hot", [False, True])
def test_fewer_columns_are_prepared_as_before(one_hot: bool) -> None:
    rows = people().rows.train.x
    assert isinstance(rows, dict)
    whole = ColumnPrepare.fit(rows, one_hot)
    names = [name for n, name in enumerate(whole.places) if n % 2]
    places = np.concatenate([whole.places[name] for name in names])
    np.testing.assert_array_equal(whole.only(names).transform(rows), whole.transform(rows)[:, places])
    assert whole.width == sum(len(at) for at in whole.places.values())


def test_the_artifact_reads_and_asks_for_the_rest_alone(tmp_path: Path) -> None:
    base = apply(SelectColumns(0.7), apply(Boosted(20, 8), people()))
    kept, rows = set(_names(base)), base.rows.val.x
    assert isinstance(rows, dict) and 0 < len(kept) < len(rows)
    kind = runtime.get("onnxruntime")
    session = kind.open(kind.export(base, tmp_path), base.scenario)
    expected = framework.get("sklearn").scores(base, rows)
    fewer = {name: column for name, column in rows.items() if name in kept}
    np.testing.assert_allclose(session.scores(fewer), expected, atol=1e-5)
    np.testing.assert_array_equal(session.scores(rows), session.scores(fewer))
    assert {column["name"] for column in describe(base.rows, kept)["columns"]} == kept


@pytest.mark.parametrize("name", ["onnxruntime", "sklearn"])
def test_a_frame_is_read_no_further_than_the_model_asks(name: str, tmp_path: Path) -> None:
    base = apply(SelectColumns(0.7), apply(Boosted(20, 8), people(request="frame")))
    frame = to_frame(base.rows.val.x)
    dropped = [column for column in frame if column not in _names(base)]
    assert any(frame[column].dtype == object for column in dropped)
    kind = runtime.get(name)
    session = kind.open(kind.export(base, tmp_path), base.scenario)
    np.testing.assert_allclose(session.scores(frame), framework.get("sklearn").scores(base, base.rows.val.x), atol=1e-5)


def test_what_was_made_says_which_columns_it_reads(tmp_path: Path) -> None:
    workshop = Workshop(people(), tmp_path, None, 4e9)
    steps = (Boosted(20, 8), SelectColumns(0.7), Lower())
    read = workshop.make(steps, "onnxruntime", tmp_path / "out", 120).whole().columns
    assert read is not None and len(read) == SelectColumns(0.7).stay(4)
    whole = workshop.make(steps[:1], "onnxruntime", tmp_path / "whole", 120).whole().columns
    assert set(whole or ()) == set(people().rows.train.x)


def test_a_network_for_values_keeps_their_scale() -> None:
    base = apply(Mlp(hidden=(16,), learning_rate=0.01), incomes())
    less = apply(SelectColumns(0.25), base)
    assert base.quality(base.rows.val.y, framework.get("sklearn").scores(less, base.rows.val.x)) > 0.5


def test_few_rows_or_one_class_cannot_tell_columns_apart() -> None:
    data = people().rows
    few = replace(people(), data=replace(data, train=data.train.take(slice(0, 30))))
    with pytest.raises(TrialFailed, match=r"\d+ training rows, or those of one class, cannot tell"):
        apply(SelectColumns(), apply(Boosted(5), few))


def test_half_of_the_columns_is_half_rounded_up_and_never_all_or_none() -> None:
    assert [SelectColumns().stay(n) for n in (2, 3, 4, 5, 14)] == [1, 2, 2, 3, 7]
    assert SelectColumns(0.99).stay(50) == 1 and SelectColumns(0.01).stay(50) == 49


def test_neighbours_keep_no_more_rows_than_before() -> None:
    base = apply(Neighbours(rows=100), people())
    assert apply(SelectColumns(), base).model.n_samples_fit_ == 100


@pytest.mark.parametrize("share", [0, 1, -0.1, 50])
def test_a_share_outside_0_and_1_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share is in"):
        SelectColumns(share)


def test_one_column_stays_whatever_is_asked() -> None:
    assert len(_names(apply(SelectColumns(0.99), apply(Boosted(5), people())))) == 1
    alone = apply(SelectColumns(0.99), apply(Boosted(5), people()))
    with pytest.raises(TrialFailed, match="one column"):
        apply(SelectColumns(), alone)


def test_rows_of_one_array_and_other_first_layers_are_refused() -> None:
    with pytest.raises(TrialFailed, match="named columns"):
        apply(SelectColumns(), apply(Boosted(5), digits()))
    with pytest.raises(TrialFailed, match="named columns"):
        apply(SelectColumns(), apply(SmallCnn(), digits("image")))
    odd = replace(
        _dense(), model=torch.nn.Sequential(torch.nn.LayerNorm(_dense().model[0].in_features), _dense().model)
    )
    with pytest.raises(TrialFailed, match="first layer is dense"):
        apply(SelectColumns(), odd)
