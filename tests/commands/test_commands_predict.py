"""trimwatt predict: CSV in, CSV out, and the same as the model says."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trimwatt.runtime import deployed
from trimwatt.testing import samples
from trimwatt.workload import Rows, take

Run = Callable[..., tuple[int, str, str]]


def write_table(rows: Rows, path: Path) -> Path:
    import pandas as pd

    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def test_named_columns_of_a_table(run: Run, delivered: dict[str, Path]) -> None:
    rows = take(samples.people().rows.test.x, slice(0, 40))
    code, out, err = run("predict", delivered["people"], write_table(rows, Path("rows.csv")))
    assert (code, err) == (0, "")
    found = list(csv.DictReader(io.StringIO(out)))
    assert list(found[0]) == ["prediction", "probability:no", "probability:yes"]
    model = deployed.load(delivered["people"])
    assert [row["prediction"] for row in found] == model.predict(rows).tolist()
    probabilities = [[float(row["probability:no"]), float(row["probability:yes"])] for row in found]
    np.testing.assert_allclose(probabilities, model.probabilities(rows), rtol=1e-5)


def test_arrays_by_the_key_x(run: Run, delivered: dict[str, Path]) -> None:
    x = samples.digits().rows.test.x
    np.savez("rows.npz", x=x)
    code, out, _ = run("predict", delivered["digits"], "rows.npz", "-o", "answers.csv")
    assert (code, out) == (0, "answers.csv\n")
    lines = Path("answers.csv").read_text().splitlines()
    assert lines[0] == "prediction," + ",".join(f"probability:{i}" for i in range(10))
    assert [int(line.split(",")[0]) for line in lines[1:]] == deployed.load(delivered["digits"]).predict(x).tolist()


def test_values_have_one_column(run: Run, delivered: dict[str, Path]) -> None:
    rows = take(samples.incomes().rows.test.x, slice(0, 5))
    code, out, _ = run("predict", delivered["incomes"], write_table(rows, Path("rows.csv")))
    assert code == 0 and out.splitlines()[0] == "prediction" and len(out.splitlines()) == 6
    float(out.splitlines()[1])


def test_the_folder_of_a_study_stands_for_its_artifact(run: Run, copied: Path) -> None:
    np.savez("rows.npz", x=np.zeros((2, 64)))
    assert run("predict", copied.parent, "rows.npz")[0] == 0


def test_many_rows_are_answered_in_parts(run: Run, delivered: dict[str, Path]) -> None:
    np.savez("rows.npz", x=np.tile(samples.digits().rows.test.x, (20, 1)))
    code, out, _ = run("predict", delivered["digits"], "rows.npz")
    lines = out.splitlines()[1:]
    assert code == 0 and len(lines) == 2400 and lines[:120] == lines[1080:1200]


def test_labels_with_commas_and_quotes_stay_one_cell(run: Run, tmp_path: Path) -> None:
    from dataclasses import replace

    from handing_over import hand_over

    job = samples.people()
    odd = replace(job.rows, classes=('a, "b"', "=c"))
    decide = replace(job.decide, classes=odd.classes) if job.decide else None
    folder = hand_over(replace(job, data=odd, decide=decide), tmp_path / "odd")
    _, out, _ = run("predict", folder, write_table(take(job.rows.test.x, slice(0, 9)), Path("rows.csv")))
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["prediction", 'probability:a, "b"', "probability:=c"]
    assert {len(row) for row in rows} == {3} and {row[0] for row in rows[1:]} <= set(odd.classes)


def test_what_stands_there_is_kept(run: Run, delivered: dict[str, Path]) -> None:
    np.savez("rows.npz", x=np.zeros((2, 64)))
    Path("answers.csv").write_text("mine")
    code, _, err = run("predict", delivered["digits"], "rows.npz", "-o", "answers.csv")
    assert code == 2 and "--force" in err and Path("answers.csv").read_text() == "mine"
    assert run("predict", delivered["digits"], "rows.npz", "-o", "answers.csv", "--force")[0] == 0


@pytest.mark.parametrize("rows", ["absent.csv", "wrong.npz"])
def test_rows_that_do_not_fit_are_one_line(run: Run, delivered: dict[str, Path], rows: str) -> None:
    np.savez("wrong.npz", x=np.zeros((2, 63)))
    code, out, err = run("predict", delivered["digits"], rows, "-o", "answers.csv")
    assert (code, out) == (2, "") and err.startswith("trimwatt: ") and err.count("\n") == 1
    assert not Path("answers.csv").exists()
