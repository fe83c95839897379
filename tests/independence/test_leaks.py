"""Leaks: a split that was given cuts through them and is told of it; a split made here keeps together what it can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaky_tables import LEAKY, ROWS, copies, groups, owners

from trimwatt.independence import pictures
from trimwatt.input import load
from trimwatt.workload import Array, Data

pytest.importorskip("sklearn")
pytest.importorskip("pandas")


def _frame(x: dict[str, Any], y: Array) -> Any:
    import pandas as pd

    return pd.DataFrame({**x, "target": y})


def _by_lot(rows: int = ROWS) -> list[str]:
    where = np.repeat(["train", "val", "test"], [rows * 6 // 10, rows * 2 // 10, rows * 2 // 10])
    return [str(name) for name in np.random.default_rng(9).permutation(where)]


def _loaded(name: str, **options: Any) -> Data:
    frame = _frame(*LEAKY[name][0]())
    if options.pop("by_lot", False):
        frame["split"] = _by_lot()
    return load(frame, target="target", **options)[0]


@pytest.mark.parametrize("name", [name for name in LEAKY if name != "readings in the order of the file"])
def test_a_split_by_lot_through_leaking_rows_is_withheld(name: str) -> None:
    data = _loaded(name, by_lot=True)
    found = data.independence
    assert LEAKY[name][1] in found.kinds and found.withheld and found.rows > 0.8 * 0.4 * ROWS
    assert [warning for warning in data.warnings if warning.startswith("not independent: ")]


@pytest.mark.parametrize("name", [name for name, (_, kind) in LEAKY.items() if kind == "time"])
def test_time_withholds_the_split_made_here_and_offers_one_by_time(name: str) -> None:
    found = _loaded(name).independence
    assert found.withheld and found.kinds == ("time",) and "--time" in found.remedy


@pytest.mark.parametrize("name", [name for name, (_, kind) in LEAKY.items() if kind != "time"])
def test_the_split_made_here_keeps_together_what_belongs_together(name: str) -> None:
    data = _loaded(name)
    found = data.independence
    assert not found.withheld and "of their own split" in found.reason and "another split" not in found.reason
    assert [len(split) for split in (data.train, data.val, data.test)] == pytest.approx([720, 240, 240], abs=60)


def test_copies_of_one_judged_row_count_once() -> None:
    found = _loaded("copies").independence
    assert found.val is not None and found.test is not None
    assert [int(mask.sum()) for mask in (found.val, found.test)] == pytest.approx([60, 60], abs=10)


def test_no_patient_falls_into_two_splits() -> None:
    data = _loaded("patients by text")
    names = [set(split.x["patient"].tolist()) for split in (data.train, data.val, data.test)]  # type: ignore[call-overload,union-attr]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])
    assert [w for w in data.warnings if w.startswith("rows of one patient were kept in one split")]


def test_copies_between_validation_and_test_rows_count_too() -> None:
    x, y = copies()
    parts = [{name: column[rows] for name, column in x.items()} for rows in (slice(600), slice(600, None))]
    unlike = {name: column + 50 for name, column in parts[0].items()}
    data = load(((unlike, y[:600]), (parts[1], y[600:]), (parts[1], y[600:])))[0]
    found = data.independence
    assert found.withheld and found.val is not None and found.val.any() and found.test is not None
    assert not found.test.any()


def test_a_few_copies_are_left_out_and_nothing_is_withheld() -> None:
    x = np.random.default_rng(0).normal(size=(600, 5))
    x[400:410] = x[:10]
    y = np.random.default_rng(1).integers(0, 2, 600)
    data = load(((x[:400], y[:400]), (x[400:500], y[400:500]), (x[500:], y[500:])))[0]
    found = data.independence
    assert (found.kinds, found.rows, found.withheld) == (("twins",), 10, False)
    assert found.val is not None and np.flatnonzero(~found.val).tolist() == list(range(10))


def test_clusters_of_many_rows_are_found_in_some_of_them_and_that_is_said() -> None:
    x, y = owners(rows=12_000, named=False)
    frame = _frame(x, y)
    frame["split"] = _by_lot(12_000)
    found = load(frame, target="target")[0].independence
    assert found.withheld and found.kinds == ("group",) and found.rows > 0.9 * 4800
    assert [what for what in found.not_examined if "8,000 of 12,000 rows" in what]


def test_many_columns_are_not_looked_at_for_groups_and_that_is_said() -> None:
    rng = np.random.default_rng(0)
    found = load((rng.normal(size=(60, 130)), rng.integers(0, 2, 60)))[0].independence
    assert [what for what in found.not_examined if "130 columns" in what]
    assert not load((rng.normal(size=(60, 5)), rng.integers(0, 2, 60)))[0].independence.not_examined


def test_a_group_that_the_user_names_is_believed() -> None:
    x, y = groups("p{}".format)
    frame = _frame({**x, "ward": [f"w{n % 40}" for n in range(ROWS)]}, y)
    frame["split"] = _by_lot()
    found = load(frame, target="target", group="ward")[0].independence
    assert found.withheld and found.kinds == ("group",) and found.columns == ("ward",)


def _pictures(kind: str) -> tuple[Array, Array, Array]:
    """Blurred noise with labels by lot: training pictures, and others made of them."""
    from scipy.ndimage import gaussian_filter, zoom

    rng = np.random.default_rng(0)
    first = gaussian_filter(rng.normal(size=(200, 28, 28)), (0, 2, 2))
    first = np.clip(128 + 300 * first, 0, 255)
    changed = {
        "as they are": lambda p: p,
        "brighter": lambda p: 0.9 * p + 20,
        "noisy": lambda p: p + rng.normal(size=p.shape) * 4,
        "cropped": lambda p: np.stack([zoom(one[1:-1, 1:-1], 28 / 26, order=1) for one in p]),
        "others": lambda p: np.clip(128 + 300 * gaussian_filter(rng.normal(size=p.shape), (0, 2, 2)), 0, 255),
    }[kind](first)
    return first.astype(np.uint8), np.clip(changed, 0, 255).astype(np.uint8), rng.integers(0, 2, 200)


@pytest.mark.parametrize(
    ("kind", "withheld"),
    [("as they are", True), ("brighter", True), ("noisy", True), ("cropped", True), ("others", False)],
)
def test_pictures_that_show_the_same_are_twins(kind: str, withheld: bool) -> None:
    train, judged, y = _pictures(kind)
    data = load(((train, y), (judged[:100], y[:100]), (judged[100:], y[100:])))[0]
    assert data.independence.withheld is withheld
    assert data.independence.kinds == (("twins",) if withheld else ())


@pytest.mark.parametrize("withheld", [True, False])
def test_before_one_background_only_what_lies_upon_it_counts(withheld: bool) -> None:
    """Copies a little brighter, or other pictures of one camera."""
    rng, (rows, columns) = np.random.default_rng(0), np.mgrid[:28, :28] / 28
    background, y = 128 + 60 * np.sin(7 * rows) * np.cos(5 * columns), rng.integers(0, 2, 200)
    first, other = (background + 8 * rng.normal(size=(200, 28, 28)) for _ in range(2))
    judged = np.clip(0.95 * first + 5 if withheld else other, 0, 255).astype(np.uint8)
    train = np.clip(first, 0, 255).astype(np.uint8)
    found = load(((train, y), (judged[:100], y[:100]), (judged[100:], y[100:])))[0].independence
    assert found.withheld is withheld and found.rows == (200 if withheld else 0)


def test_pictures_are_not_tied_by_way_of_others() -> None:
    labels = pictures._of_first(np.array([0, 1, 2]), np.array([1, 2, 3]), 5)
    assert labels.tolist() == [0, 0, 2, 2, 4]


def test_the_case_of_the_bug_log(tmp_path: Path) -> None:
    lines = ["date,u,y", *(f"2020-01-{1 + n // 24:02d} {n % 24}:00,{n * 7 % 11},{n // 24 % 2}" for n in range(480))]
    (tmp_path / "time.csv").write_text("\n".join(lines))
    found = load(tmp_path / "time.csv", target="y")[0].independence
    assert found.withheld and "time" in found.kinds and "date" in found.columns and "--time date" in found.remedy
