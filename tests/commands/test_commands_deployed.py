"""What is handed over: whole, checked, and the same answers with trimwatt and without."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt._files import seal
from trimwatt.errors import InputError
from trimwatt.report import cards
from trimwatt.runtime import deployed
from trimwatt.testing import samples
from trimwatt.workload import take


def change(folder: Path, **fields: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("name", ["people", "digits", "incomes"])
def test_the_manifest_names_every_file_with_its_digest(delivered: dict[str, Path], name: str) -> None:
    manifest = json.loads((delivered[name] / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema"] == "trimwatt/artifact/1"
    names = {str(path.relative_to(delivered[name])) for path in delivered[name].rglob("*") if path.is_file()}
    assert set(manifest["files"]) == names - {"manifest.json"} != set()
    for file, digest in manifest["files"].items():
        assert hashlib.sha256((delivered[name] / file).read_bytes()).hexdigest() == digest
    assert not [path for path in delivered[name].parent.iterdir() if path.name.startswith(".")]


def test_a_classifier_answers_with_its_labels(delivered: dict[str, Path]) -> None:
    rows = take(samples.people().rows.test.x, slice(0, 50))
    model = deployed.load(delivered["people"]).open()
    labels, scores = model.predict(rows), model.probabilities(rows)
    assert set(labels.tolist()) <= {"no", "yes"} and scores.shape == (50, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_a_frame_and_columns_give_the_same(delivered: dict[str, Path]) -> None:
    import pandas as pd

    rows = take(samples.people().rows.test.x, slice(0, 50))
    frame = pd.DataFrame(rows)
    frame["work"] = frame["work"].replace("", None)
    frame["more"] = 1
    model = deployed.load(delivered["people"])
    np.testing.assert_array_equal(model.probabilities(frame), model.probabilities(rows))


def test_missing_cells_of_every_kind_are_the_same(delivered: dict[str, Path]) -> None:
    import pandas as pd

    model = deployed.load(delivered["people"])
    plain = {"age": [np.nan], "hours per week": [40.0], "work": [""], "town": ["x"]}
    nullable = pd.DataFrame(plain).astype({"age": "Float64"})
    nullable["work"] = pd.array([pd.NA], dtype="string")
    np.testing.assert_array_equal(model.probabilities(nullable), model.probabilities(plain))


def test_a_regression_has_values_and_no_probabilities(delivered: dict[str, Path]) -> None:
    model, data = deployed.load(delivered["incomes"]), samples.incomes().rows
    values = model.predict(take(data.test.x, slice(0, 20)))
    assert values.shape == (20,) and np.isfinite(values).all()
    with pytest.raises(InputError, match="no probabilities"):
        model.probabilities(data.test.x)


@pytest.mark.parametrize("name", ["people", "digits", "incomes"])
def test_the_card_s_code_gives_the_same_answer_by_onnxruntime_alone(
    delivered: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = json.loads((delivered[name] / "manifest.json").read_text(encoding="utf-8"))
    (code,) = re.findall(r"```python\n(.*?)```", cards.card({"metric": "f1"}, manifest), re.DOTALL)
    monkeypatch.chdir(delivered[name])
    found: dict[str, Any] = {}
    exec(compile(code, "card", "exec"), found)  # noqa: S102 - the code that the card tells people to run
    given = found["row"] if "row" in found else found["x"]
    assert found["prediction"].tolist() == deployed.load(".").predict(given).tolist()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((3, 63)), r"shape \(3, 63\), the artifact takes \(n, 64\)"),
        (np.zeros(64), "one row alone needs"),
        (np.array([["a"] * 64]), "rows hold <U1"),
        (7, r"shape \(\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(delivered: dict[str, Path], rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        deployed.load(delivered["digits"]).predict(rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"age": [1.0]}, "column .hours per week., which the artifact takes, is missing"),
        (np.zeros((1, 4)), "rows come as named columns"),
        ({"age": ["old"], "hours per week": [1.0], "work": ["x"], "town": ["y"]}, "column 'age' holds 'old' in row 1"),
    ],
)
def test_columns_that_do_not_fit_are_refused(delivered: dict[str, Path], rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        deployed.load(delivered["people"]).predict(rows)


def test_a_changed_file_is_not_opened(copied: Path) -> None:
    with (copied / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="its sha256 differs"):
        deployed.load(copied)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"lacks the file 'model\.onnx'"):
        deployed.load(copied)


@pytest.mark.parametrize("name", ["../model.onnx", "/etc/passwd", "a/../../b", "..\\b", "C:b", "", "a\0b"])
def test_a_name_that_climbs_out_is_refused(copied: Path, name: str) -> None:
    change(copied, files={name: "0" * 64})
    with pytest.raises(InputError, match="does not stay inside its folder"):
        deployed.load(copied)


def test_a_link_out_of_the_folder_is_refused(copied: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    os.replace(copied / "model.onnx", outside)
    (copied / "model.onnx").symlink_to(outside)
    with pytest.raises(InputError, match="lacks the file"):
        deployed.load(copied)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as a manifest"),
        ("[]", "not readable as a manifest"),
        ('{"schema": "trimwatt/artifact/1"}', "not readable as a manifest"),
        ('{"schema": "trimwatt/artifact/9"}', "this version reads 'trimwatt/artifact/1'"),
        ('{"schema": "trimwatt/artifact/1", "runtime": 3}', "runtime is text, got 3"),
    ],
)
def test_a_manifest_that_is_none_is_refused(copied: Path, text: str, message: str) -> None:
    (copied / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=message):
        deployed.load(copied)


def test_a_runtime_nobody_knows_is_refused_when_opened(copied: Path) -> None:
    change(copied, runtime="abacus")
    with pytest.raises(InputError, match="runtime 'abacus' is unknown"):
        deployed.load(copied).open()


def test_the_user_s_own_files_in_an_artifact_stay_when_it_is_replaced(copied: Path) -> None:
    from handing_over import hand_over

    for name in ("notes.txt", "more/remarks.txt"):
        (copied / name).parent.mkdir(exist_ok=True)
        (copied / name).write_text("mine")
    hand_over(samples.people(), copied)
    assert (copied / "notes.txt").read_text() == (copied / "more/remarks.txt").read_text() == "mine"
    assert deployed.load(copied).manifest["classes"] == ["no", "yes"]
    listed = json.loads((copied / "manifest.json").read_text())
    (copied / "manifest.json").write_text(json.dumps({**listed, "files": {}}))
    before = (copied / "model.onnx").read_bytes()
    shutil.rmtree(copied.with_name(f"{copied.name}-made"))
    with pytest.raises(InputError, match=r"model\.onnx is not of the artifact that is to be written there"):
        hand_over(samples.digits(), copied)
    assert (copied / "model.onnx").read_bytes() == before
    assert [path.name for path in copied.parent.iterdir() if path.name.startswith(".")] == []


def test_an_artifact_is_replaced_whole_and_a_stranger_s_folder_is_not(copied: Path, tmp_path: Path) -> None:
    from handing_over import hand_over

    (copied / "README.md").write_text(seal("old"))
    hand_over(samples.people(), copied)
    assert not (copied / "README.md").exists()
    assert deployed.load(copied).manifest["classes"] == ["no", "yes"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="is no artifact of trimwatt"):
        hand_over(samples.people(), mine)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
