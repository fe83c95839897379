"""What is said of a study that was stopped: by the reference that it had come to."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from trimwatt.store.sql import SqlStore
from trimwatt.study import stopped
from trimwatt.trial import Quality, Trial


def _trial(name: str, value: float, grade: str) -> Trial:
    found = Quality("accuracy", value, value, value, 100, True)
    return Trial(name, name, "f", [], "sklearn", name, quality=found, meets_floor=True, floor_test=grade)  # type: ignore[arg-type]


@pytest.mark.parametrize("reference", ["t00", "t02"])
def test_trials_stand_to_the_last_reference_by_their_estimates(tmp_path: Path, reference: str) -> None:
    with contextlib.closing(SqlStore(tmp_path / "study.db")) as store:
        store.save_study({"metric": ["accuracy", "classification"], "options": {"max_drop": 0.01, "floor": None}})
        for trial in (_trial("t00", 0.8, "proven"), _trial("t01", 0.85, "proven"), _trial("t02", 0.9, "proven")):
            store.add_trial(trial.to_dict())
        if reference != "t00":
            store.set("reference", reference)
        told = stopped.read(store)
    assert told is not None and told["baseline"] == "t00" and told["reference"] == reference
    assert told["floor"]["value"] == pytest.approx({"t00": 0.79, "t02": 0.89}[reference])
    by_last = reference != "t00"
    assert [t["meets_floor"] for t in told["trials"]] == ([False, False, True] if by_last else [True] * 3)
    assert {t["floor_test"] for t in told["trials"]} == ({None} if by_last else {"proven"})
