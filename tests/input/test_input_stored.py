"""Rows of a given model: what the user's frame or file holds, cell by cell and type by type."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.errors import InputError
from trimwatt.framework.rows import as_request, to_frame
from trimwatt.input import csvtable, describe, load, rows_for_prediction
from trimwatt.workload import Data, Stored, take

ROWS = 60
Y = pd.Series(np.arange(ROWS) % 2)
WORDS = ["NA", "", " up", "up", "101", "True", "$1,234", "10%", "?", "nan", "2024-01-01", "ä"]


def _columns(draw: Any) -> dict[str, Any]:
    """A frame's columns of every type, cells drawn."""
    index = st.lists(st.integers(0, 10**9), min_size=ROWS, max_size=ROWS)
    numbers, words = np.array(draw(index)), [WORDS[i % len(WORDS)] for i in draw(index)]
    gaps = [i % 5 == 0 for i in draw(index)]
    holed = [None if gap else word for gap, word in zip(gaps, words, strict=True)]
    return {
        "i8": 10**12 + numbers, "i2": (numbers % 1000).astype(np.int16), "u8": numbers.astype(np.uint64),
        "f8": numbers / 7, "f4": (numbers / 7).astype(np.float32), "b": numbers % 2 == 0,
        "gaps": np.where(gaps, np.nan, numbers), "Int": pd.array(np.where(gaps, None, numbers), dtype="Int64"),
        "bool": pd.array([None if g else bool(n % 2) for g, n in zip(gaps, numbers, strict=True)], dtype="boolean"),
        "text": pd.Series(words, dtype=object), "holes": pd.Series(holed, dtype=object),
        "string": pd.array(holed, dtype="string"), "str": pd.Series(words),
        "category": pd.Categorical(holed, categories=WORDS[::-1], ordered=True),
        "digits": pd.Categorical([str(n % 3) for n in numbers]), "codes": pd.Categorical(numbers % 3),
        "when": pd.to_datetime(numbers, unit="s"), "zone": pd.to_datetime(numbers, unit="s", utc=True),
        "mixed": pd.Series([w if g else n for g, w, n in zip(gaps, words, numbers, strict=True)], dtype=object),
    }  # fmt: skip


@st.composite
def frames(draw: Any) -> pd.DataFrame:
    columns = _columns(draw)
    chosen = draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, max_size=8, unique=True))
    return pd.DataFrame({name: columns[name] for name in chosen})


def _assert_own(data: Data) -> None:
    for name in ("train", "val", "test"):
        rows = getattr(data, name).x
        own = data.original(name, slice(None)).reset_index(drop=True)  # type: ignore[misc]
        for kept in (rows, pickle.loads(pickle.dumps(rows)), take(rows, slice(None))):
            pd.testing.assert_frame_equal(to_frame(kept), own)
        pd.testing.assert_frame_equal(as_request(take(rows, slice(2, 4)), "frame"), own[2:4].reset_index(drop=True))


@given(frame=frames())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_a_frame_comes_back_as_it_was(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    data, _ = load((frame, Y), as_stored=True)
    _assert_own(data)
    pd.testing.assert_frame_equal(frame, before)
    data, _ = load(((frame, Y), (frame[::-1], Y[::-1]), (frame, Y)), as_stored=True)
    _assert_own(data)


@given(frame=frames())
@settings(max_examples=20, deadline=None, derandomize=True)
def test_models_made_here_see_what_they_see_without_a_given_model(frame: pd.DataFrame) -> None:
    stored, _ = load((frame, Y), as_stored=True)
    try:
        plain, _ = load((frame, Y))
    except InputError:
        return  # nothing that tells anything is in it
    seen = stored.plain(stored.val.x)
    assert isinstance(seen, dict) and isinstance(plain.val.x, dict)
    assert set(plain.val.x) <= set(seen)
    for name, column in plain.val.x.items():
        np.testing.assert_array_equal(seen[name], column)


def test_labels_that_are_no_text_come_back_too() -> None:
    frame = pd.DataFrame({0: np.arange(ROWS), 7: np.arange(ROWS) / 3, "x": ["a", "b"] * (ROWS // 2)})
    data, _ = load((frame, Y), as_stored=True)
    assert isinstance(data.val.x, Stored) and list(data.val.x) == ["0", "7", "x"]
    _assert_own(data)


@pytest.mark.parametrize("make", [dict, "arrays", "masked"])
def test_columns_of_a_dict_stay_arrays(make: Any) -> None:
    columns: dict[str, Any] = {"a": np.arange(ROWS), "t": np.array(["u", " v"] * (ROWS // 2)), "f": np.ones(ROWS) / 3}
    columns["m"] = np.ma.masked_less(np.arange(ROWS), 5)
    data, _ = load({"x": columns, "y": Y.to_numpy()}, as_stored=True)
    rows = data.train.x
    assert isinstance(rows, Stored)
    assert [column.dtype.kind for column in rows.values()] == ["i", "U", "f", "i"]
    assert np.ma.is_masked(rows["m"]) and to_frame(rows)["m"].isna().sum() == rows["m"].mask.sum()
    assert np.isnan(data.plain(rows)["m"]).sum() == rows["m"].mask.sum()  # type: ignore[call-overload]


CSV = "n,f,code,word,flag,gap,mixed,late\n" + "".join(
    f"{i + 10**9},{i / 7!r},0{i % 3}1,{[' up', 'up', 'NA', '', '?'][i % 5]},{i % 2 == 0},"
    f"{'' if i % 4 else i},{'x' if i == 7 else i},2024-0{i % 9 + 1}-01\n"
    for i in range(ROWS)
)


def test_a_csv_file_is_what_pandas_reads(tmp_path: Path) -> None:
    lines = CSV.splitlines()
    path = tmp_path / "t.csv"
    path.write_text("\n".join([lines[0] + ",y", *(f"{line},{'ab'[i % 2]}" for i, line in enumerate(lines[1:]))]))
    data, _ = load(path, target="y", as_stored=True)
    wanted = pd.read_csv(io.StringIO(CSV))
    rows = pd.concat([to_frame(part.x) for part in (data.train, data.val, data.test)])
    assert rows.dtypes.to_dict() == wanted.dtypes.to_dict()
    pd.testing.assert_frame_equal(rows.sort_values("n").reset_index(drop=True), wanted)


def test_spaces_that_belong_to_the_delimiter_are_no_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a, word, y\n" + "".join(f"{i}, {'up' if i % 3 else 'down'}, {i % 2}\n" for i in range(ROWS)))
    data, _ = load(path, target="y", as_stored=True)
    assert set(to_frame(data.train.x)["word"]) == {"up", "down"}  # type: ignore[arg-type]


def test_a_parquet_file_is_what_pandas_reads(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "i": 20_240_000_000 + np.arange(ROWS), "c": pd.Categorical(["b", "a"] * (ROWS // 2), categories=["b", "a"]),
            "t": [" up", "NA", ""] * (ROWS // 3), "I": pd.array([1, None] * (ROWS // 2), dtype="Int64"),
            "z": pd.date_range("2024-01-01", periods=ROWS, tz="Europe/Berlin"),
        }
    )  # fmt: skip
    frame.assign(y=Y).to_parquet(tmp_path / "t.parquet")
    data, _ = load(tmp_path / "t.parquet", target="y", as_stored=True)
    wanted = pd.read_parquet(tmp_path / "t.parquet").drop(columns="y")
    rows = pd.concat([to_frame(part.x) for part in (data.train, data.val, data.test)])
    pd.testing.assert_frame_equal(rows.sort_values("i").reset_index(drop=True), wanted)
    about = describe(data)
    again = rows_for_prediction(tmp_path / "t.parquet", about)
    pd.testing.assert_frame_equal(to_frame(again), wanted)  # type: ignore[arg-type]
    wanted.to_csv(tmp_path / "t.csv", index=False)
    from_file = to_frame(rows_for_prediction(tmp_path / "t.csv", about))  # type: ignore[arg-type]
    assert from_file[["i", "c", "I"]].equals(wanted[["i", "c", "I"]])
    with pytest.raises(InputError, match="column 'c', which the artifact takes, is missing in data"):
        rows_for_prediction(wanted.drop(columns="c"), about)


def test_a_masked_array_keeps_its_mask() -> None:
    x = np.ma.masked_greater(np.random.default_rng(0).normal(size=(ROWS, 3)), 1)
    for stored in (True, False):
        data, _ = load((x, Y.to_numpy()), as_stored=stored)
        assert np.ma.is_masked(data.train.x) and data.train.x.max() <= 1  # type: ignore[union-attr]
        assert np.isnan(np.asarray(data.plain(data.train.x))).any()
    whole = np.ma.masked_equal(np.arange(ROWS * 2).reshape(ROWS, 2), 5)
    assert load((whole, Y.to_numpy()))[0].train.x.dtype == np.float64  # type: ignore[union-attr]


def test_columns_that_float32_changes_are_named() -> None:
    frame = pd.DataFrame({"ts": 1_700_000_000 + np.arange(ROWS), "fine": np.arange(ROWS) / 4})
    for stored in (True, False):
        data, _ = load((frame[::-1], Y), as_stored=stored)
        (warning,) = [w for w in data.warnings if "float32" in w]
        assert warning.startswith("column 'ts': ") and "60 distinct ones become 1;" in warning


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical(["u", "v"] * (ROWS // 2)), pd.Categorical([3, 4] * (ROWS // 2)),
        pd.Series(["u", "v"] * (ROWS // 2)).values, pd.array(["u", "v"] * (ROWS // 2), dtype="string"),
        pd.array([0, 1] * (ROWS // 2), dtype="Int64"), pd.array([False, True] * (ROWS // 2), dtype="boolean"),
        pd.Series([0, 1] * (ROWS // 2)).array, pd.Index(["u", "v"] * (ROWS // 2)),
    ],
    ids=lambda values: f"{type(values).__name__}-{values.dtype}",
)  # fmt: skip
def test_a_bare_array_of_pandas_is_a_target_and_a_column_as_its_series_is(values: Any) -> None:
    frame = pd.DataFrame({"a": np.arange(ROWS)})
    for rows in (frame, frame.to_numpy(), {"a": np.arange(ROWS), "c": values}):
        data, _ = load((rows, values), as_stored=True)
        assert data.classes == load((rows, pd.Series(values)), as_stored=True)[0].classes
    wanted = pd.DataFrame({"a": np.arange(ROWS), "c": values})
    again = rows_for_prediction({"a": np.arange(ROWS), "c": values}, describe(data))
    pd.testing.assert_frame_equal(to_frame(again), wanted)  # type: ignore[arg-type]
    assert {str(column.dtype) for column in data.train.x.values()} == set(map(str, wanted.dtypes))  # type: ignore[union-attr]


CODES = ["007", "1e3", "10", "2.50", "True", "inf", "-0"]
WORDED = [*CODES, "NA", "nan", "None", "null"]


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (CODES, object), (CODES, "str"), (CODES, "string"), (CODES, "category"), (CODES, "U5"),
        ([*CODES, None], object), ([*CODES, np.nan], object), ([*CODES, None], "string"), ([*CODES, None], "category"),
        (WORDED, object), ([*WORDED, None], "str"), ([*WORDED, ""], object), ([*WORDED, ""], "category"),
        (["12", "7"], object), (["12", "7", None], "category"), (["True", "False"], "str"), (["", "NA"], "U5"),
    ],
)  # fmt: skip
def test_text_of_training_is_left_as_a_file_for_prediction_writes_it(tmp_path: Path, cells: Any, dtype: Any) -> None:
    many = [cells[i % len(cells)] for i in range(ROWS)]
    column = np.array(many) if dtype == "U5" else pd.Series(many, dtype=dtype)
    data, _ = load(({"c": column, "n": np.arange(ROWS) / 3}, Y), as_stored=True)
    rows = to_frame(data.val.x)  # type: ignore[arg-type]
    for some in (rows, rows[rows["c"].notna()].head(1), rows[rows["c"].isin(["10", "12", "True", "NA"])]):
        some.to_csv(tmp_path / "t.csv", index=False)
        found = to_frame(rows_for_prediction(tmp_path / "t.csv", json.loads(json.dumps(describe(data)))))
        pd.testing.assert_frame_equal(found, some.reset_index(drop=True))  # type: ignore[arg-type]


def test_what_one_cell_made_text_in_training_is_text_for_prediction(tmp_path: Path) -> None:
    lines = [f"{'x' if i == 7 else f'{i:03d}' if i % 9 else 'NA'},{i / 7!r},{i % 2}" for i in range(ROWS)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["c,n,y", *lines]))
    data, _ = load(path, target="y", as_stored=True)
    path.write_text("\n".join(["c,n", *(line[:-2] for line in lines[8:])]))
    wanted = pd.read_csv(path, dtype={"c": "str"})
    found = to_frame(rows_for_prediction(path, describe(data)))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(found, wanted)
    assert found["c"].isna().sum() == 6  # every ninth


def test_a_file_is_brought_to_the_types_and_labels_of_training(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            0: np.arange(ROWS), ("a", 1): np.linspace(0, 1, ROWS).astype(np.float32),
            "o": pd.Series([True, False] * (ROWS // 2), dtype=object), "h": np.arange(ROWS).astype(np.float16) / 8,
        }
    )  # fmt: skip
    data, _ = load((frame, Y), as_stored=True)
    named = frame.set_axis([str(label) for label in frame], axis=1)
    named.to_csv(tmp_path / "t.csv", index=False)
    found = to_frame(rows_for_prediction(tmp_path / "t.csv", json.loads(json.dumps(describe(data)))))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(found, frame)


@pytest.mark.parametrize(
    "cells",
    [
        ["9223372036854775808", "1"], ["18446744073709551616", "1"], ["-9223372036854775809", "1"],
        ["18446744073709551616", ""], ["9223372036854775808", "-1"], ["9223372036854775808", "1.5"],
        ["1.5", "9223372036854775808"], ["", "18446744073709551616"], ["1e3", "99999999999999999999"],
        ["99999999999999999999", "x"], ["1", " NA"], ["NA ", "1"], ["\u00a01", "2"], ["1\u00a0", "2.5"],
        ["\u0661", "2"], ["\uff11", "2"], ['"1,5"', '"2,5"'], ['"1,234"', "5"], [" 1", "2 "], ["NAN", "1"],
        ["nan", "1"], [" ", "1"], ["1_000", "2"], ["007", "01"], ["inf", "-Infinity"], ["0x10", "1"], ["True", " "],
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("far", [False, True])
def test_cells_get_the_types_that_pandas_gives_them(tmp_path: Path, cells: list[str], far: bool) -> None:
    path = tmp_path / "t.csv"
    if far:  # in different chunks of rows
        cells = [cells[0], *["3" if cells[0].strip() else "4"] * 20_001, cells[1]]
    path.write_text("c,z\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)), encoding="utf-8")
    found = pd.Series(csvtable.read(path, as_stored=True).stored["c"], name="c")
    pd.testing.assert_series_equal(found, pd.read_csv(path, low_memory=False)["c"])


@pytest.mark.parametrize(
    "header",
    [
        ",a,b",
        "a,a,b",
        "a,,b",
        "a,a,a.1",
        ",,b",
        "a , b,c",
        "a,a.1,a",
        "Unnamed: 1,,x",
        "index,a,b",
        "a,a,a",
        "\ufeffa,b,c",
    ],
)
def test_columns_of_a_file_are_called_as_pandas_calls_them(tmp_path: Path, header: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(header + "\n" + "".join(f"{i},{i / 3!r},w{i}\n" for i in range(ROWS)), encoding="utf-8")
    raw, wanted = csvtable.read(path, as_stored=True), pd.read_csv(path)
    assert list(raw.columns) == list(wanted)
    pd.testing.assert_frame_equal(pd.DataFrame(raw.stored), wanted)
    text = str(wanted.columns[0])
    assert csvtable.read(path, frozenset([text]), as_stored=True).exact(text).tolist() == list(map(str, range(ROWS)))


def test_names_of_rows_are_no_column_and_spaces_around_a_name_need_not_be_given(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,y \n" + "".join(f"r{i},{i},{i / 3!r},{i % 2}\n" for i in range(ROWS)))
    data, _ = load(path, target="y", as_stored=True)
    assert list(data.train.x) == ["a", "b"]  # type: ignore[arg-type]


def test_a_column_that_the_model_needs_stays_where_it_parts_the_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(ROWS) / 7, "user": np.arange(ROWS) % 12, "y": Y})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.set_index("user").to_parquet(tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.csv", tmp_path / "t.parquet"):
        data, _ = load(source, target="y", group="user", as_stored=True, needs=["user", "a"])
        assert set(data.train.x) == {"a", "user"} and set(data.plain(data.train.x)) == {"a"}  # type: ignore[arg-type]
        assert data.original is None or set(data.original("val", slice(2))) == {"a", "user"}
        assert not set(data.train.x["user"]) & set(data.test.x["user"])  # type: ignore[call-overload]
        assert set(rows_for_prediction(source, describe(data))) == {"a", "user"}  # type: ignore[arg-type]
        data, _ = load(source, target="y", group="user", as_stored=True, needs=["a"])
        assert set(data.train.x) == {"a"}  # type: ignore[arg-type]


@pytest.mark.parametrize("splits", [1, 3])
def test_a_column_that_only_a_given_model_can_read_is_left_out_for_models_made_here(splits: int) -> None:
    frame = pd.DataFrame({"a": np.arange(ROWS) / 7, "d": pd.to_timedelta(np.arange(ROWS) % 5, unit="h")})
    source = (frame, Y) if splits == 1 else ((frame, Y),) * 3
    data, _ = load(source, as_stored=True)
    assert set(data.train.x) == {"a", "d"} and set(data.plain(data.train.x)) == {"a"}  # type: ignore[arg-type]
    assert any(note.startswith("models made here leave out: column 'd' is timedelta64") for note in data.warnings)
    _assert_own(data)
    with pytest.raises(InputError, match="column 'd' is timedelta64"):
        load(source)
    with pytest.raises(InputError, match="column 'd' is timedelta64"):
        load(frame.assign(y=Y), target="d", as_stored=True)
    about = describe(load((frame[["a"]].assign(d=Y), Y))[0])
    with pytest.raises(InputError, match="column 'd' is timedelta64"):
        rows_for_prediction(frame, about)


def test_what_is_missing_for_models_made_here_alone_is_told_so() -> None:
    frame = pd.DataFrame({"a": [np.inf, *range(1, ROWS)], "b": np.arange(ROWS) / 7})
    for as_stored in (True, False):
        data, _ = load((frame, Y), as_stored=as_stored)
        (note,) = [note for note in data.warnings if "infinite" in note]
        assert note.endswith("for models made here; the given one gets them as stored") == as_stored
