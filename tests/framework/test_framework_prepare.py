"""Preprocessing: what it does, and that its ONNX does the same."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trimwatt.errors import InputError
from trimwatt.framework.onnx import open_session, run
from trimwatt.framework.prepare import ColumnPrepare, StackPrepare, fit_prepare
from trimwatt.testing import samples
from trimwatt.workload import Data, Rows, Split


def _data(x: Rows, kind: Any = "table") -> Data:
    n = len(next(iter(x.values()))) if isinstance(x, dict) else len(x)
    split = Split(x, np.zeros(n, np.int64))
    return Data(split, split, split, kind, ("a", "b"))


def _by_onnx(prepare: Any, rows: Rows) -> np.ndarray:
    session = open_session(prepare.to_onnx())
    (got,) = session.run(["prepared"], run.feed(session, rows))
    return np.asarray(got)


@pytest.mark.parametrize("kind", ["scaled", "ordinal"])
def test_named_columns_export_exactly(kind: Any) -> None:
    data = samples.people().rows
    prepare = fit_prepare(data, kind)
    got = prepare.transform(data.val.x)
    assert got.dtype == np.float32 and np.isfinite(got).all()
    np.testing.assert_allclose(_by_onnx(prepare, data.val.x), got, rtol=1e-6, atol=1e-6)


def test_it_does_what_scikit_learn_does() -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    x = samples.people().rows.train.x
    assert isinstance(x, dict)
    numbers = SimpleImputer(strategy="median").fit_transform(np.stack([x["age"], x["hours per week"]], axis=1))
    hot = OneHotEncoder(sparse_output=False).fit_transform(np.stack([x["work"], x["town"]], axis=1))
    expected = np.concatenate([StandardScaler().fit_transform(numbers), hot], axis=1)
    got = fit_prepare(samples.people().rows, "scaled").transform(x)
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["scaled", "ordinal"])
def test_what_was_never_seen_is_no_category(kind: Any) -> None:
    data = samples.people().rows
    prepare = fit_prepare(data, kind)
    assert isinstance(prepare, ColumnPrepare)
    odd: Rows = {
        "age": np.array([np.nan], np.float32), "hours per week": np.array([40], np.float32),
        "work": np.array(["on the moon"], object), "town": np.array(["\u0000 \n\U0001f600"], object),
    }  # fmt: skip
    got = prepare.transform(odd)
    assert (got[0, 2:] == (0 if kind == "scaled" else -1)).all()
    np.testing.assert_allclose(_by_onnx(prepare, odd), got, atol=1e-6)


def test_missing_text_is_a_category_of_its_own() -> None:
    x = {"t": np.array(["", "a", "", "b"], object)}
    prepare = fit_prepare(_data(x), "ordinal")
    assert prepare.transform(x).ravel().tolist() == [0, 1, 0, 2]
    assert _by_onnx(prepare, x).ravel().tolist() == [0, 1, 0, 2]


def test_text_without_end_keeps_a_sane_width() -> None:
    words = np.array([f"id {i % 3000}" for i in range(6000)], object)
    x = {"n": np.arange(6000, dtype=np.float32), "t": words}
    prepare = fit_prepare(_data(x), "scaled")
    assert isinstance(prepare, ColumnPrepare) and prepare.width <= 65
    single = {"t": np.array([f"id {i}" for i in range(6000)], object)}
    few = fit_prepare(_data(single), "ordinal")
    np.testing.assert_array_equal(_by_onnx(few, single), few.transform(single))


@given(
    arrays.arrays(
        np.float32, (20, 3), elements=st.one_of(st.integers(-1000, 1000).map(float), st.just(float("nan")))
    ),
    st.sampled_from(["scaled", "ordinal"]),
)  # fmt: skip
def test_numbers_are_filled_and_scaled(x: np.ndarray, kind: Any) -> None:
    prepare = fit_prepare(_data(x), kind)
    got = prepare.transform(x)
    assert np.isfinite(got).all()
    if kind == "scaled":
        assert np.abs(got.mean(axis=0, dtype=np.float64)).max() < 1e-2
        spread = got.std(axis=0, dtype=np.float64)
        assert ((np.abs(spread - 1) < 1e-2) | (np.ptp(got, axis=0) == 0)).all()
    else:
        np.testing.assert_array_equal(got[~np.isnan(x)], x[~np.isnan(x)])
    np.testing.assert_allclose(_by_onnx(prepare, x), got, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "bool"])
@pytest.mark.parametrize("kind", ["scaled", "ordinal"])
def test_any_stored_number_enters_as_it_is(dtype: str, kind: Any) -> None:
    x = np.random.default_rng(0).integers(0, 2, size=(30, 4)).astype(dtype)
    prepare = fit_prepare(_data(x), kind)
    np.testing.assert_allclose(_by_onnx(prepare, x), prepare.transform(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (8, 6, 3)])
@pytest.mark.parametrize("kind", ["scaled", "ordinal", "nchw"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_export_exactly(shape: tuple[int, ...], kind: Any, dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, size=(40, *shape)).astype(dtype)
    prepare = fit_prepare(_data(x, "image"), kind)
    got = prepare.transform(x)
    channels = shape[2] if len(shape) == 3 else 1
    assert got.shape == ((40, channels, 8, 6) if kind == "nchw" else (40, 48 * channels))
    if kind == "nchw":
        np.testing.assert_allclose(got.mean(axis=(0, 2, 3)), 0, atol=1e-4)
        np.testing.assert_allclose(got.std(axis=(0, 2, 3)), 1, atol=1e-3)
        pixel = x[3, 2, 5].reshape(-1)[channels - 1]
        whole = x.reshape(-1, channels)[:, channels - 1].astype(np.float64)
        assert got[3, channels - 1, 2, 5] == pytest.approx((pixel - whole.mean()) / whole.std(), abs=1e-3)
    elif kind == "scaled":
        assert got.min() >= 0 and got.max() <= 1
    np.testing.assert_allclose(_by_onnx(prepare, x), got, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pictures_with_their_channels_first_are_prepared_as_those_with_them_last(channels: int, dtype: str) -> None:
    last = np.random.default_rng(0).integers(0, 256, size=(40, 8, 10, channels)).astype(dtype)
    first = np.moveaxis(last, 3, 1)
    data = replace(_data(first, "image"), channels_first=True)
    prepare = fit_prepare(data, "nchw")
    np.testing.assert_allclose(prepare.transform(first), fit_prepare(_data(last, "image"), "nchw").transform(last))
    np.testing.assert_allclose(_by_onnx(prepare, first), prepare.transform(first), rtol=1e-5, atol=1e-5)
    flat = fit_prepare(data, "scaled")
    np.testing.assert_allclose(_by_onnx(flat, first), flat.transform(first), rtol=1e-6)


def test_columns_are_stacked_as_stored() -> None:
    x: Rows = {"a": np.array([1, np.nan], np.float32), "b": np.array([3, 4], np.float32)}
    prepare = StackPrepare(("a", "b"))
    np.testing.assert_array_equal(prepare.transform(x), np.array([[1, 3], [np.nan, 4]], np.float32))
    np.testing.assert_array_equal(_by_onnx(prepare, x), prepare.transform(x))


def test_using_it_does_not_change_it() -> None:
    data = samples.people().rows
    prepare = fit_prepare(data, "scaled")
    before = pickle.dumps(prepare)
    prepare.transform(data.val.x)
    assert pickle.dumps(prepare) == before


def test_what_cannot_be_prepared_says_so() -> None:
    with pytest.raises(InputError, match="'nchw' is for images"):
        fit_prepare(samples.people().rows, "nchw")
    with pytest.raises(InputError, match="scaled, ordinal or nchw, got 'pca'"):
        fit_prepare(samples.people().rows, "pca")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"numbers \(n, features\)"):
        fit_prepare(_data(np.zeros((3, 2, 2))), "scaled")
    with pytest.raises(InputError, match="got an array"):
        fit_prepare(samples.people().rows, "scaled").transform(np.zeros((2, 4)))
