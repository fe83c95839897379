"""Rows for prediction are made as those of training were."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.input import describe, load, rows_for_prediction
from trimwatt.workload import Data

ROWS = 120
HEADER = "when;price;kind;flag;code;y"


def _line(n: int) -> str:
    kind = ("red", "green", "")[n % 3]
    flag = ("True", "false")[n % 2]
    when, price = f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.2021 {n % 24:02d}:00", f"{n * 7 + 1}.000,{n % 10}"
    return f"{when};{price};{kind};{flag};{n % 6 + 10};{n % 2}"


def _data(path: Path) -> Data:
    lines = [_line(n) for n in range(ROWS - 1)] + [_line(ROWS - 1).replace(f";{(ROWS - 1) % 6 + 10};", ";x9;")]
    path.write_text("\n".join([HEADER, *lines]), encoding="utf-8")
    return load(path, target="y")[0]


def _about(data: Data) -> dict[str, Any]:
    about: dict[str, Any] = json.loads(json.dumps(describe(data)))
    return about


def _assert_same(rows: Any, data: Data) -> None:
    """`rows` hold all the rows of `data`, in any order."""
    parts = [data.train.x, data.val.x, data.test.x]
    assert all(isinstance(part, dict) for part in parts)
    for name, column in rows.items():
        whole = np.concatenate([part[name] for part in parts])  # type: ignore[call-overload]
        assert column.dtype == whole.dtype
        assert sorted(map(str, column.tolist())) == sorted(map(str, whole.tolist()))


def test_the_training_file_gives_the_training_rows(tmp_path: Path) -> None:
    data = _data(tmp_path / "t.csv")
    about = _about(data)
    assert about["named"] and {c["name"]: c["dtype"] for c in about["columns"]}["kind"] == "string"
    rows = rows_for_prediction(tmp_path / "t.csv", about)
    assert isinstance(rows, dict) and list(rows) == [c["name"] for c in about["columns"]]
    _assert_same(rows, data)


def test_one_row_is_read_in_the_style_of_training(tmp_path: Path) -> None:
    about = _about(_data(tmp_path / "t.csv"))
    (tmp_path / "one.csv").write_text("extra,code,kind,flag,price,when\n1,12,red,True,1.234,05.04.2022 07:00\n")
    rows = rows_for_prediction(tmp_path / "one.csv", about)
    assert isinstance(rows, dict)
    assert rows["code"].tolist() == ["12"] and rows["kind"].tolist() == ["red"]
    assert rows["price"].tolist() == [1234] and rows["flag"].tolist() == [1]
    assert rows["when_month"].tolist() == [4] and rows["when_day"].tolist() == [5]
    assert "extra" not in rows


def test_missing_markers_hold_for_prediction_too(tmp_path: Path) -> None:
    about = _about(_data(tmp_path / "t.csv"))
    (tmp_path / "m.csv").write_text("when,price,kind,flag,code\nNA,?,null,,NaN\n")
    rows = rows_for_prediction(tmp_path / "m.csv", about)
    assert isinstance(rows, dict)
    assert all(column[0] == "" if column.dtype == object else np.isnan(column[0]) for column in rows.values())


def test_frames_dicts_and_parquet(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    about = _about(_data(tmp_path / "t.csv"))
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2022-04-05 07:00", None]),
            "price": [1234, None],
            "kind": ["red", None],
            "flag": [True, False],
            "code": [12, 13],
        }
    )
    frame.to_parquet(tmp_path / "f.parquet")
    columns = {str(name): frame[name].to_numpy() for name in frame}
    for source in (frame, tmp_path / "f.parquet", columns):
        rows = rows_for_prediction(source, about)
        assert isinstance(rows, dict)
        assert rows["code"].tolist() == ["12", "13"] and rows["flag"].tolist() == [1, 0]
        assert rows["when_hour"][0] == 7 and np.isnan(rows["when_hour"][1])
        assert rows["price"][0] == 1234 and rows["kind"].tolist() == ["red", ""]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("when,price,kind,flag\n05.04.2022,1,red,1\n", "lacks code; the model takes when, price"),
        ("when,prize,kind,flag,code\n05.04.2022,1,red,1,1\n", "lacks price.*did you mean 'prize'"),
        ("when,price,kind,flag,code\n05.04.2022,dear,red,1,1\n", "'price' holds 'dear' in row 1"),
        ("when,price,kind,flag,code\nsoon,1,red,1,1\n", "'when' holds soon"),
        ("", "is empty"),
    ],
)
def test_bad_rows_are_refused_in_one_line(tmp_path: Path, text: str, match: str) -> None:
    about = _about(_data(tmp_path / "t.csv"))
    (tmp_path / "bad.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=match) as caught:
        rows_for_prediction(tmp_path / "bad.csv", about)
    assert "\n" not in str(caught.value)


X = np.random.default_rng(0).integers(0, 255, (100, 6, 5), dtype=np.uint8)
Y = np.arange(100) % 2


def test_arrays_keep_their_type_and_shape(tmp_path: Path) -> None:
    about = _about(load((X, Y))[0])
    assert about == {"kind": "image", "named": False, "columns": [], "shape": [6, 5], "dtype": "uint8", "derive": {}}
    np.savez(tmp_path / "x.npz", x=X[:3].astype(np.int64))
    np.savez(tmp_path / "z.npz", z=X[:3])
    rows = rows_for_prediction(tmp_path / "x.npz", about)
    assert isinstance(rows, np.ndarray) and rows.dtype == np.uint8
    np.testing.assert_array_equal(rows, X[:3])
    for source, match in [
        (tmp_path / "z.npz", "holds z; the key x is expected"),
        (X[0], r"shape \(6, 5\); the model takes \(n, 6, 5\)"),
        (X[:0], "at least one row"),
        (X[:3].astype(np.float32), "the model takes uint8"),
        (X[:3].astype(np.int64) + 300, "would change"),
    ]:
        with pytest.raises(InputError, match=match):
            rows_for_prediction(source, about)


def test_floats_may_be_rounded_and_tables_read_for_flat_arrays(tmp_path: Path) -> None:
    flat = X.reshape(100, -1).astype(np.float32)
    about = _about(load((flat, Y))[0])
    rows = rows_for_prediction(flat.astype(np.float64), about)
    assert isinstance(rows, np.ndarray) and rows.dtype == np.float32
    lines = [",".join(f"p{n}" for n in range(30)), *(",".join(map(str, row)) for row in flat[:4].tolist())]
    (tmp_path / "flat.csv").write_text("\n".join(lines))
    np.testing.assert_array_equal(rows_for_prediction(tmp_path / "flat.csv", about), flat[:4])
    with pytest.raises(InputError, match="text in p0"):
        (tmp_path / "text.csv").write_text("p0,p1\na,1\n")
        rows_for_prediction(tmp_path / "text.csv", about)


def test_images_are_turned_again_where_training_turned_them() -> None:
    x = np.random.default_rng(0).random((100, 3, 6, 5)).astype(np.float32)
    about = _about(load((x, Y))[0])
    assert about["shape"] == [6, 5, 3]
    rows = rows_for_prediction(x[:2], about)
    np.testing.assert_array_equal(rows, x[:2].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(rows_for_prediction(x[:2].transpose(0, 2, 3, 1), about), rows)


def test_image_files_for_an_image_model(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    about = _about(load((X, Y))[0])
    (tmp_path / "new").mkdir()
    for n in range(3):
        image.fromarray(X[n]).save(tmp_path / "new" / f"{n}.png")
    np.testing.assert_array_equal(rows_for_prediction(tmp_path / "new", about), X[:3])
    np.testing.assert_array_equal(rows_for_prediction(tmp_path / "new" / "1.png", about), X[1:2])
    colour = _about(load((np.repeat(X[..., None], 3, 3), Y))[0])
    assert np.shape(rows_for_prediction(tmp_path / "new", colour)) == (3, 6, 5, 3)
    out = io.BytesIO()
    image.fromarray(X[0].T.copy()).save(out, "PNG")
    (tmp_path / "new" / "9.png").write_bytes(out.getvalue())
    with pytest.raises(InputError, match=r"9\.png 6 x 5"):
        rows_for_prediction(tmp_path / "new", about)
    with pytest.raises(InputError, match="takes float32 arrays"):
        rows_for_prediction(tmp_path / "new", {**about, "dtype": "float32"})


def test_a_matrix_may_stand_for_named_numbers() -> None:
    columns = {"a": X[:, 0, 0].astype(float), "b": X[:, 1, 1].astype(float)}
    about = _about(load({"x": columns, "y": Y})[0])
    rows = rows_for_prediction(np.array([[1, 2], [3, 4]]), about)
    assert isinstance(rows, dict) and rows["b"].tolist() == [2, 4]
    with pytest.raises(InputError, match="takes the columns a, b"):
        rows_for_prediction(np.zeros((2, 3)), about)
