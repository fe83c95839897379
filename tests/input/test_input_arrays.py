"""Arrays in every form: .npz, dicts, tuples, frames, PyTorch data sets, callables."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimwatt.errors import InputError
from trimwatt.input import load, resolve
from trimwatt.workload import Data, Split

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 4)).astype(np.float32)
Y = np.arange(100) % 2
IMAGES = RNG.integers(0, 255, (100, 6, 5), dtype=np.uint8)


def _save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "keys",
    [
        ("x_train", "y_train", "x_test", "y_test"),
        ("X_train", "Y_train", "X_test", "Y_test"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("train_x", "train_y", "test_x", "test_y"),
    ],
)
def test_npz_by_any_keys(tmp_path: Path, keys: tuple[str, ...]) -> None:
    given = dict(zip(keys, (X, Y[:, None], X[:20] + 1, Y[:20]), strict=True))
    data, task = load(_save(tmp_path / "a.npz", **given, other=np.arange(3)))
    assert task == "classification" and data.kind == "table" and not data.named
    assert [len(data.train), len(data.val), len(data.test)] == [80, 20, 20]
    assert data.test.x.dtype == np.float32 and data.classes == (0, 1)  # type: ignore[union-attr]


def test_npz_keeps_what_is_stored(tmp_path: Path) -> None:
    splits = {f"{name}_{s}": v for s in ("train", "val", "test") for name, v in (("x", IMAGES), ("y", Y))}
    data, _ = load(_save(tmp_path / "a.npz", **splits))
    assert data.kind == "image" and data.train.x.dtype == np.uint8  # type: ignore[union-attr]
    np.testing.assert_array_equal(data.val.x, IMAGES)
    assert data.independence.withheld and data.independence.kinds == ("twins",)
    assert [w for w in data.warnings if "100 of 100 test rows repeat rows of another split" in w]
    data, _ = load({"x": X.astype(np.float64), "y": Y})
    assert data.train.x.dtype == np.float64  # type: ignore[union-attr]


def test_splits_win_over_a_pool_and_foreign_byte_order_is_turned() -> None:
    foreign = X.astype(">f4")
    data, _ = load({"x": X[:5], "y": Y[:5], "x_train": foreign, "y_train": Y, "x_test": foreign + 1, "y_test": Y})
    assert len(data.test) == 100
    assert data.train.x.dtype == np.float32 and data.train.x.dtype.isnative  # type: ignore[union-attr]


def test_targets_of_every_kind() -> None:
    for y, classes in [
        (Y.astype(bool), (0, 1)),
        (Y.astype(float), (0, 1)),
        (np.array(["b", "a"])[Y], ("a", "b")),
        (np.array([b"b", b"a"])[Y], ("a", "b")),
        (np.array(["b", "a"], dtype=object)[Y], ("a", "b")),
        (np.eye(2)[Y], (0, 1)),
        (Y * 10 - 5, (-5, 5)),
    ]:
        data, task = load({"x": X, "y": y})
        assert (task, data.classes) == ("classification", classes)
        assert {*data.train.y.tolist()} == {0, 1}


@pytest.mark.parametrize(
    ("distinct", "rows", "task"),
    [
        (20, 200, "classification"),
        (20, 199, "regression"),
        (25, 400, "regression"),
        (50, 1000, "classification"),
        (50, 999, "regression"),
        (51, 5000, "regression"),
    ],
)
def test_few_whole_numbers_are_classes(distinct: int, rows: int, task: str) -> None:
    assert load((RNG.normal(size=(rows, 2)), np.arange(rows) % distinct))[1] == task


def test_one_pool_is_parted_by_class_and_seed() -> None:
    first, _ = load((X, Y), seed=1)
    again, _ = load((X, Y), seed=1)
    other, _ = load((X, Y), seed=2)
    assert [len(first.train), len(first.val), len(first.test)] == [60, 20, 20]
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.array_equal(first.train.x, other.train.x)
    assert first.test.y.tolist().count(0) == 10


def test_tuples_of_everything() -> None:
    pair = (X, Y)
    for source in [(pair, pair, pair), (pair, pair), (Split(X, Y), Split(X, Y)), (X.tolist(), Y.tolist())]:
        data, _ = load(source)
        assert len(data.test) in (100, 20) and data.train.x.shape[1] == 4  # type: ignore[union-attr]


def test_half_of_test_is_validation() -> None:
    data, _ = load(((X, Y), (X + 1, Y)), val_from="test")
    np.testing.assert_array_equal(data.train.x, X)
    assert len(data.val) == len(data.test) == 50


def test_a_data_passes_through() -> None:
    data, _ = load((X, Y))
    assert load(data) == (data, "classification")
    with pytest.raises(InputError, match="is for classification"):
        load(data, task="regression")


def test_frames_and_series() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "size": np.where(np.arange(100) % 9, X[:, 0], np.nan),
            "kind": pd.Categorical(["red", "green", None, "blue"] * 25),
            "word": pd.Series(["a", None, "b", "c"] * 25, dtype="string"),
            "flag": pd.array([True, None, False, True] * 25, dtype="boolean"),
            "when": pd.date_range("2021-01-01", periods=100, freq="17h", tz="Europe/Berlin"),
        }
    )
    before = frame.copy()
    for source in [
        (frame, pd.Series(Y, name="size")),
        ((frame, Y), (frame.assign(size=1.5), Y)),
        ((frame, pd.Series(Y)), (frame[:30], Y[:30]), (frame[:20], Y[:20])),
    ]:
        data, _ = load(source)
        x = data.train.x
        assert isinstance(x, dict)
        assert {"size", "kind", "word", "flag", "when_hour"} <= set(x)
        assert x["kind"].dtype == x["word"].dtype == object and x["flag"].dtype == np.float32
        assert "" in x["kind"] and data.classes == (0, 1)
    pd.testing.assert_frame_equal(frame, before)
    data, _ = load(frame.assign(y=Y), target="y")
    assert data.named
    data, _ = load((frame.assign(y=Y), frame[:30].assign(y=Y[:30])), target="y")
    assert len(data.test) == 30


def test_columns_by_name_without_pandas() -> None:
    x = {"a": X[:, 0], "word": np.array(["u", "v", "w", "v"] * 25), "day": np.datetime64("2021-01-01") + np.arange(100)}
    data, _ = load({"x": x, "y": Y})
    assert isinstance(data.train.x, dict)
    assert {"a", "word", "day_month"} <= set(data.train.x)


def test_torch_data_sets() -> None:
    torch = pytest.importorskip("torch")

    class Squares(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return 60

        def __getitem__(self, number: int) -> tuple[Any, int]:
            if number >= 60:
                raise IndexError(number)
            return torch.full((1, 8, 8), float(number)), number % 3

    tensors = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    data, _ = load((tensors, torch.utils.data.Subset(tensors, range(30))))
    assert len(data.test) == 30 and data.train.x.dtype == np.float32  # type: ignore[union-attr]
    data, _ = load((torch.tensor(X), torch.tensor(Y)))
    assert len(data.train) == 60
    data, _ = load(Squares(), as_stored=True)
    assert data.kind == "image" and data.train.x.shape[1:] == (1, 8, 8)  # type: ignore[union-attr]
    data, _ = load((torch.utils.data.DataLoader(Squares()), Squares()))
    assert data.train.x.shape[1:] == (8, 8, 1) and data.classes == (0, 1, 2)  # type: ignore[union-attr]
    assert any("channels first" in warning for warning in data.warnings)
    assert data.picture is not None and not data.picture.channels_first


def test_torch_data_sets_that_cannot_be_read() -> None:
    torch = pytest.importorskip("torch")

    class Odd(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __init__(self, items: list[Any]) -> None:
            self.items = items

        def __len__(self) -> int:
            return len(self.items)

        def __getitem__(self, number: int) -> Any:
            return self.items[number] if number < 2 else 1 / 0

    class Stream(torch.utils.data.IterableDataset):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Any:
            yield zero, 0

    zero = torch.zeros(3)
    for items, match in [
        ([], "empty"),
        ([zero], "a pair"),
        ([(zero, torch.zeros(2))], "one number or word"),
        ([(zero, 0), (torch.zeros(4), 1)], r"item 0 has shape \(3,\), item 1 \(4,\)"),
        ([(zero, 0), (zero, 1), (zero, 1)], "item 2 cannot be read .ZeroDivisionError"),
    ]:
        with pytest.raises(InputError, match=match):
            load(Odd(items))
    with pytest.raises(InputError, match="map-style"):
        load(Stream())


BAD = X.copy()
BAD[3, 2] = np.inf


@pytest.mark.parametrize(
    ("source", "match"),
    [
        (7, "data came as int"),
        ([X, Y], "data came as list"),
        ((X,), "tuple of 1"),
        (((X, Y), X), "test is ndarray"),
        ({}, "holds nothing; expected are x_train"),
        ({"a": X, "b": Y}, "holds a, b; expected are x_train"),
        ({"x_train": X, "x_test": X, "y_test": Y}, "holds x_train but not its target"),
        ({"y": Y}, "holds y but not its rows"),
        ({"x": X, "y": Y[:-1]}, "x has 100 rows and y 99"),
        ({"x": X[:, 0], "y": Y}, r"shape \(100,\)"),
        ({"x": X[:, :0], "y": Y}, r"shape \(100, 0\)"),
        ({"x": np.zeros((100, 2, 2, 2, 2)), "y": Y}, "shape"),
        ({"x": np.zeros((100, 5000, 1)), "y": Y}, "5000"),
        ({"x": X.astype(complex), "y": Y}, "complex128"),
        ({"x": X.astype(str), "y": Y}, "named column"),
        ({"x": np.array([[1], ["a"]] * 50, dtype=object), "y": Y}, "type object"),
        ({"x": [[1, 2], [3]] * 50, "y": Y}, "no rectangle"),
        ({"x": BAD, "y": Y}, "1 infinite"),
        ({"x": X, "y": np.full(100, np.nan)}, "missing in 100"),
        ({"x": X, "y": np.where(Y == 1, np.inf, 0.5)}, "NaN or infinite in 50 of 100"),
        ({"x": X, "y": np.stack([Y, Y + 0.5], 1)}, "one value a row"),
        ({"x": X, "y": np.zeros(100, int)}, "one class only"),
        ({"x_train": X, "y_train": Y, "x_test": X[:, :3], "y_test": Y}, r"\(4,\) and test rows float32 \(3,\)"),
        ({"x_train": X, "y_train": Y, "x_test": X.astype(np.float64), "y_test": Y}, "same shape and type"),
        ({"x_train": X, "y_train": Y, "x_test": X, "y_test": Y.astype(str)}, "text in some splits"),
        ({"x_train": X, "y_train": Y, "x_test": X[:0], "y_test": Y[:0]}, "empty"),
        ({"x": {"a": X[:, 0]}, "y": Y[:50]}, "100 rows and y 50"),
        ({"x_train": {"a": Y}, "y_train": Y, "x_test": {"b": Y}, "y_test": Y}, "differ in columns a, b"),
        ({"x_train": {"a": Y}, "y_train": Y, "x_test": {"a": Y.astype(str)}, "y_test": Y}, "'a' is text in one"),
        ({"x_train": {"a": Y}, "y_train": Y, "x_test": X, "y_test": Y}, "give one kind"),
    ],
)
def test_bad_arrays_are_refused_in_one_line(source: Any, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load(source)
    assert "\n" not in str(caught.value)


def test_column_options_mean_nothing_for_arrays() -> None:
    for option in ("target", "split", "group", "time"):
        with pytest.raises(InputError, match="names a column"):
            load((X, Y), **{option: "a"})  # type: ignore[arg-type]


class Trap:
    def __reduce__(self) -> Any:
        return sys.exit, (3,)


def test_npz_is_never_unpickled(tmp_path: Path) -> None:
    path = _save(tmp_path / "p.npz", x=np.array([[Trap()]] * 60, dtype=object), y=Y[:60])
    with pytest.raises(InputError, match="never unpickled"):
        load(path)


def test_damaged_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = _save(tmp_path / "good.npz", x=X, y=Y).read_bytes()
    for name, content in {
        "empty": b"",
        "words": b"not an archive",
        "short": good[:-100],
        "flipped": good[:200] + bytes(40) + good[240:],
    }.items():
        (tmp_path / f"{name}.npz").write_bytes(content)
        with pytest.raises(InputError, match=f"{name}.npz"):
            load(tmp_path / f"{name}.npz")
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999, 99), }"
        archive.writestr("x.npy", header.ljust(127) + b"\n")
        archive.writestr("y.npy", header.ljust(127) + b"\n")
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path / "huge.npz")
    monkeypatch.setattr("trimwatt.input.checks.memory_limit", lambda: 1000)
    with pytest.raises(InputError, match="unfolds to"):
        load(tmp_path / "good.npz")


MODULE = """
import numpy as np
x = np.arange(400).reshape(100, 4)
print("noise on stdout")
def good():
    print("more noise")
    return {"x": x, "y": x[:, 0] // 4 % 2}
def none():
    pass
def raises():
    raise RuntimeError("no\\nluck")
def leaves():
    raise SystemExit(5)
def needs(argument):
    pass
class Inner:
    make = staticmethod(good)
word = "text"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_input.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken_input.py").write_text("1 / 0", encoding="utf-8")
    (tmp_path / "needy_input.py").write_text("import not_there_at_all", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("own_input", "broken_input", "needy_input"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "own_input"


def test_a_callable_is_resolved_by_name(module: str) -> None:
    assert resolve(f"{module}:needs").__name__ == "needs"
    with pytest.raises(InputError, match="not written as"):
        resolve("needs")


def test_callables_of_the_current_folder(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    data, _ = load(f"{module}:good")
    assert data.name == "good" and isinstance(data, Data)
    assert load(f"{module}:Inner.make")[0].name == "make"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("own_input:goood", "has no 'goood'; did you mean 'good'"),
        ("own_input:word", "is str; a callable"),
        ("own_input:none", "own_input:none: data came as NoneType"),
        ("own_input:raises", "raised RuntimeError: no luck"),
        ("own_input:leaves", "raised SystemExit: 5"),
        ("own_input:needs", "raised TypeError.*called without arguments"),
        ("absent_module_input:f", "no module 'absent_module_input'"),
        ("broken_input:f", "raised ZeroDivisionError"),
        ("needy_input:f", "needs not_there_at_all, which is not installed"),
    ],
)
def test_callables_that_fail_are_told_in_one_line(module: str, spec: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load(spec)
    assert "\n" not in str(caught.value)


def test_rows_without_a_target_are_kept_apart(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.npz", x=X, y=Y, x_unlabelled=X[:7] + 2)
    for given in (path, {"x": X, "y": Y, "x_unlabelled": X[:7] + 2}):
        data, _ = load(given)
        assert sum(len(part) for part in (data.train, data.val, data.test)) == 100
        assert isinstance(data.unlabelled, np.ndarray) and np.array_equal(data.unlabelled, X[:7] + 2)
    with pytest.raises(InputError, match=r"unlabelled rows are float32 \(3,\) and the others float32 \(4,\)"):
        load({"x": X, "y": Y, "x_unlabelled": X[:7, :3]})
