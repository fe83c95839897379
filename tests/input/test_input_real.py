"""The real data sets, read as the trials read them."""

from __future__ import annotations

import cProfile
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.input import describe, load, load_model, rows_for_prediction


def test_adult(shared_data: Path) -> None:
    with cProfile.Profile(builtins=False) as calls:
        data, task = load(shared_data / "adult.csv.gz", target="income")
    # reading stays cheap on any host: 2.5 calls of Python per cell, where checks cell by cell would make dozens
    assert sum(one.callcount for one in calls.getstats()) < 4 * 48842 * 15
    assert (task, data.classes, data.name) == ("classification", ("<=50K", ">50K"), "adult")
    assert [len(data.train), len(data.val), len(data.test)] == [26049, 6512, 16281]
    assert isinstance(data.train.x, dict) and len(data.train.x) == 14
    assert int(data.test.y.sum()) == 3846
    rows = rows_for_prediction(shared_data / "adult.csv.gz", describe(data))
    assert isinstance(rows, dict)
    for name, column in data.test.x.items():  # type: ignore[union-attr]
        np.testing.assert_array_equal(rows[name][-16281:], column)


def test_bike_sharing(shared_data: Path) -> None:
    data, task = load(shared_data / "bike_sharing_hour.csv.gz", target="cnt", time="dteday")
    assert task == "regression" and data.classes is None
    assert sum(split.y.sum() for split in (data.train, data.val, data.test)) == 3292679
    assert any("casual, registered" in warning for warning in data.warnings)
    assert any("'instant'" in warning for warning in data.warnings)


def test_occupancy(shared_data: Path) -> None:
    data, _ = load(shared_data / "occupancy.csv.gz", target="Occupancy")
    assert len(data.train) + len(data.val) == 8143 and len(data.test) == 2665 + 9752
    assert isinstance(data.train.x, dict) and "date_hour" in data.train.x


def test_pneumonia(shared_data: Path) -> None:
    data, _ = load(shared_data / "pneumoniamnist.npz")
    assert [len(data.train), len(data.val), len(data.test)] == [4708, 524, 624]
    assert data.kind == "image" and data.classes == (0, 1)
    found = data.independence
    assert (found.kinds, found.rows, found.withheld) == (("twins",), 11, False)
    assert found.val is not None and found.test is not None  # 8 repeat training rows, 3 others of their split


@pytest.mark.slow
def test_cifar(shared_data: Path) -> None:
    data, _ = load(shared_data / "cifar10_jpeg_dev.zip", val_from="test")
    assert [len(data.train), len(data.val), len(data.test)] == [10000, 1000, 1000]
    assert data.train.x.shape == (10000, 32, 32, 3)  # type: ignore[union-attr]
    assert data.classes is not None and data.classes[0] == "airplane" and len(data.classes) == 10
    assert np.bincount(data.test.y).tolist() == [100] * 10


@pytest.mark.parametrize(
    ("file", "target", "match"),
    [
        ("banking77.csv.gz", "category", "'text' is free text.*embeddings"),
        ("sms_spam.csv.gz", "label", "'text' is free text"),
        ("beijing_pm25.csv.gz", "pm2.5", "missing in 2067 of 43824"),
        ("bccd_trainval_images.zip", None, "class folder"),
    ],
)
def test_what_cannot_be_used_is_refused(shared_data: Path, file: str, target: str | None, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load(shared_data / file, target=target)


def test_a_detector_loads_as_a_model(shared_data: Path) -> None:
    pytest.importorskip("onnx")
    assert load_model(shared_data / "models" / "FastestDet.onnx").form == "onnx"


def test_reading_a_table_or_array_loads_no_framework(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(60, 3)), y=np.arange(60) % 2)
    (tmp_path / "a.csv").write_text("a,y\n" + "".join(f"{n * 7 % 60},{n % 2}\n" for n in range(60)))
    code = (
        "import sys; from trimwatt.input import load; load('a.npz'); load('a.csv', target='y');"
        "print([m for m in ('pandas','torch','sklearn','pyarrow','PIL','onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, trimwatt.input; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
