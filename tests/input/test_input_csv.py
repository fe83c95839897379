"""CSV as people really have it."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimwatt.errors import InputError
from trimwatt.input import csvtable, load, textfile

WORDS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=6
)


def _write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def _rows(rows: int = 60) -> list[list[str]]:
    return [[str(n), f"{n * 0.37:.2f}", "red" if n % 3 else "blue", "yes" if n % 2 else "no"] for n in range(rows)]


def _table(rows: list[list[str]], delimiter: str = ",", header: str = "a,b,colour,label") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(header.split(","))
    writer.writerows(rows)
    return out.getvalue()


@given(
    table=st.integers(2, 5).flatmap(
        lambda width: st.lists(
            st.lists(
                st.one_of(WORDS, WORDS.map(lambda w: f'{w}\n"{w};,'), st.just("")), min_size=width, max_size=width
            ),
            min_size=1,
            max_size=8,
        )
    ),
    delimiter=st.sampled_from(textfile.DELIMITERS),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_dialect_round_trips(
    tmp_path: Path, table: list[list[str]], delimiter: str, newline: str, quoting: int, encoding: str
) -> None:
    header = [f"column {place}" for place in range(len(table[0]))]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([header, *table])
    path = tmp_path / "any.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    kept = [row for row in table if any(row)]
    if not kept:
        with pytest.raises(InputError, match="no rows"):
            csvtable.read(path)
        return
    raw = csvtable.read(path, frozenset(header))
    assert list(raw.columns) == header
    assert [list(row) for row in zip(*(column.tolist() for column in raw.columns.values()), strict=True)] == kept


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_round_trip_exactly(tmp_path: Path, values: list[float]) -> None:
    path = _write(tmp_path / "n.csv", "x,y\n" + "".join(f"{value!r},1\n" for value in values))
    assert csvtable.read(path).columns["x"].tolist() == values


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_the_same_table_in_any_clothes(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [[*row[:2], "grün" if row[2] == "red" else row[2], row[3]] for row in _rows()]
    path = _write(tmp_path / "t.csv", _table(rows, delimiter), encoding)
    raw = csvtable.read(path)
    assert list(raw.columns) == ["a", "b", "colour", "label"]
    assert raw.columns["a"].tolist() == list(range(60))
    assert set(raw.columns["colour"]) == {"grün", "blue"}


def test_gzip_in_members_is_read_whatever_the_name(tmp_path: Path) -> None:
    text = _table(_rows()).encode()
    path = tmp_path / "t.csv"
    path.write_bytes(gzip.compress(text[:300]) + gzip.compress(text[300:]))
    assert len(csvtable.read(path)) == 60


def test_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    rows = "".join(f"{n},5;{n}.000;1.234.567,{n % 10};{'ja' if n % 2 else 'nein'}\n" for n in range(100, 160))
    path = _write(tmp_path / "de.csv", "Preis;Menge;Summe;Antwort\n" + rows)
    data, task = load(path, target="Antwort")
    x = data.train.x
    assert isinstance(x, dict)
    whole = np.concatenate([np.asarray(split.x["Preis"]) for split in (data.train, data.val, data.test)])  # type: ignore[call-overload]
    assert sorted(whole.tolist()) == [n + 0.5 for n in range(100, 160)]
    assert x["Menge"].min() >= 100_000
    assert x["Summe"].min() > 1_234_566
    assert task == "classification"
    assert data.derive["Preis"] == {"kind": "number", "decimal": ",", "thousands": "", "affix": ""}


def test_thousands_commas_are_read_and_told(tmp_path: Path) -> None:
    rows = "".join(f'"{n},{n % 7}00",{n % 2}\n' for n in range(1, 61))
    data, _ = load(_write(tmp_path / "us.csv", "price,y\n" + rows), target="y")
    assert isinstance(data.train.x, dict)
    assert data.train.x["price"].min() >= 1000
    assert any("thousands" in warning for warning in data.warnings)


def test_every_marker_of_missing(tmp_path: Path) -> None:
    markers = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?", "#N/A", " NA "]
    rows = "".join(
        f"{markers[n % 10] if n % 4 == 0 else n},{markers[n % 10] if n % 4 == 0 else 'w'},{n}\n" for n in range(40)
    )
    raw = csvtable.read(_write(tmp_path / "m.csv", "number,word,n\n" + rows))
    assert int(np.isnan(raw.columns["number"]).sum()) == 10
    assert raw.columns["number"].dtype == np.float64


def test_a_column_that_turns_to_text_late_keeps_its_early_cells(tmp_path: Path) -> None:
    count = csvtable._CHUNK_ROWS
    text = "code,n\n" + "".join(f"{n % 7}.0,{n}\n" for n in range(count)) + "B12,0\n"
    column = csvtable.read(_write(tmp_path / "late.csv", text)).columns["code"]
    assert column.dtype == object
    assert column[0] == "0.0" and column[-1] == "B12"


@pytest.mark.parametrize("code", ["00123", "1_000"])
def test_codes_are_not_numbers(tmp_path: Path, code: str) -> None:
    raw = csvtable.read(_write(tmp_path / "c.csv", f"zip,y\n{code},1\n12345,0\n"))
    assert raw.columns["zip"].tolist() == [code, "12345"]


def test_sep_line_of_excel_and_trailing_delimiters_and_empty_rows(tmp_path: Path) -> None:
    text = "sep=;\r\na;b;\r\n1;2;\r\n;;\r\n3;4;\r\n"
    raw = csvtable.read(_write(tmp_path / "x.csv", text))
    assert raw.columns["a"].tolist() == [1, 3] and raw.columns["b"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n'1','it, really'\n'2','x'\n", ["it, really", "x"]),
        ('a,b\n1,"say \\"hi\\", now"\n2,x\n', ['say "hi", now', "x"]),
        ('a,b\n1,"C:\\dir\\"\n2,x\n', ["C:\\dir\\", "x"]),
        ("# made by hand\n# in kg, roughly\na;b\n1;it's\n2;x\n", ["it's", "x"]),
        ("#a,b\n1,u\n2,x\n", ["u", "x"]),
    ],
)
def test_other_quotes_and_comments(tmp_path: Path, text: str, expected: list[str]) -> None:
    raw = csvtable.read(_write(tmp_path / "q.csv", text))
    assert len(raw.columns) == 2 and raw.columns["b"].tolist() == expected
    assert next(iter(raw.columns.values())).tolist() == [1, 2]


def test_titles_above_the_header_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="above the column names"):
        csvtable.read(_write(tmp_path / "t.csv", "My report\n\na,b\n1,2\n"))


def test_row_names_of_r_get_a_name(tmp_path: Path) -> None:
    raw = csvtable.read(_write(tmp_path / "r.csv", "a,b\nfirst,1,2\nsecond,3,4\n"))
    assert list(raw.columns) == ["row_name", "a", "b"]


def test_doubled_and_empty_names(tmp_path: Path) -> None:
    raw = csvtable.read(_write(tmp_path / "d.csv", "a,a,,b\n1,2,3,4\n"))
    assert list(raw.columns) == ["a", "a_2", "unnamed_3", "b"]
    assert "twice" in raw.warnings[0]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "empty"),
        (b"   \n \n", "empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2\n1,2,3\n", "row 2 has 3 fields, its header 2"),
        (b"a,b\n1,2\n1\n", "row 2 has 1 fields"),
        (b"PK\x03\x04rest", "zip or Excel"),
        (b"PAR1rest", "Parquet"),
        (bytes(range(256)) * 8, "binary"),
        (b"\x1f\x8bnot gzip", "damaged gzip"),
        (gzip.compress(b"a,b\n1,2\n" * 500, mtime=0)[:-20], "cut short"),
        (b"\xff\xfea\x00,\x00b", "utf-16"),
        (b'a,b\n"' + b"x" * 200_000, "never closed"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as caught:
        load(path, target="a")
    assert "\n" not in str(caught.value) and "bad.csv" in str(caught.value)


def test_a_gzip_without_end_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfile, "memory_limit", lambda: 2**20)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 2**22))
    with pytest.raises(InputError, match="unfolds to more than"):
        load(path, target="a")
