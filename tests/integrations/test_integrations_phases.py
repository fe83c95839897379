from __future__ import annotations

import copy
import csv
import pickle
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.integrations._callback import Hooks, harmless
from trimwatt.integrations._phases import COLUMNS, Phase, Recorder
from trimwatt.meter._base import Mark
from trimwatt.meter.fake import Clock, FakeMeter
from trimwatt.meter.session import meter


class BrokenMeter:
    """A sensor that is lost after `good` marks."""

    name = "broken"
    origin = "measured"

    def __init__(self, good: int = 0) -> None:
        self.good = good

    def mark(self) -> Mark:
        self.good -= 1
        if self.good < 0:
            raise OSError("the sensor went away")
        return Mark(time.monotonic(), time.process_time())

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        return {}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Recorder:
    """Two packages of one machine at 55 W, all of it this process's."""
    return Recorder(FakeMeter(clock))


def run(recorder: Recorder, clock: Clock) -> None:
    """Two epochs of 2 s with 1 s of validation inside, and half a second before each."""
    with recorder.phase("train"):
        for epoch in range(2):
            clock.advance(0.5)
            with recorder.phase("epoch", epoch):
                clock.advance(1)
                with recorder.phase("validate", epoch):
                    clock.advance(1)


def test_phases_nest_and_each_holds_its_own_joules(recorder: Recorder, clock: Clock) -> None:
    run(recorder, clock)
    machine = {name: reading.energy.joules for name, reading in recorder.readings.items() if reading.energy}
    assert machine == pytest.approx({"validate 0": 55, "epoch 0": 110, "validate 1": 55, "epoch 1": 110, "train": 275})
    assert [(p.title, p.within) for p in recorder.phases[:2]] == [("validate 0", "epoch"), ("epoch 0", "train")]
    assert recorder.phases[-1].within is None


def test_the_history_has_one_entry_an_epoch(recorder: Recorder, clock: Clock) -> None:
    run(recorder, clock)
    first, second = recorder.history
    assert (first["epoch"], second["epoch"]) == (0, 1)
    assert first["energy/joules_low"] <= first["energy/joules"] <= first["energy/joules_high"]
    assert first["energy.source"] in ("measured", "estimated", "mixed")
    assert first["duration_s"] == pytest.approx(2)


def test_the_csv_holds_what_the_rows_hold(recorder: Recorder, clock: Clock, tmp_path: Path) -> None:
    run(recorder, clock)
    path = recorder.to_csv(tmp_path / "phases.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert [row["phase"] for row in rows] == ["validate", "epoch", "validate", "epoch", "train"]
    assert [float(row["joules"]) for row in rows] == pytest.approx([r["joules"] for r in recorder.to_rows()])
    assert rows[-1]["index"] == ""


def test_a_file_that_is_there_is_kept(recorder: Recorder, tmp_path: Path) -> None:
    path = tmp_path / "phases.csv"
    path.write_text("mine")
    with pytest.raises(InputError, match="overwrite=True"):
        recorder.to_csv(path)
    assert path.read_text() == "mine"
    recorder.to_csv(path, overwrite=True)
    assert path.read_text().startswith("phase,")


def test_the_dict_has_a_schema_and_whole_readings(recorder: Recorder, clock: Clock) -> None:
    run(recorder, clock)
    told = recorder.to_dict()
    assert told["schema"] == "trimwatt/phases/1"
    assert told["phases"][0]["reading"]["schema"] == "trimwatt/reading/1"


def test_unknown_energy_is_empty_and_not_zero(tmp_path: Path) -> None:
    recorder = Recorder()
    recorder.phases.append(Phase("epoch", 0, None, Reading(None, None, {}, duration_s=1.0, cpu_s=0.5)))
    assert recorder.to_rows()[0]["joules"] is None
    assert "energy/joules" not in recorder.history[0]
    row = next(csv.DictReader(recorder.to_csv(tmp_path / "x.csv").read_text().splitlines()))
    assert (row["joules"], row["of"]) == ("", "")


NO_METER: Any = object()


def test_a_meter_that_cannot_begin_is_one_warning_and_the_run_goes_on() -> None:
    recorder = Recorder(NO_METER)
    with pytest.warns(RuntimeWarning, match="the energy of epoch is not known") as caught:
        for epoch in range(3):
            with recorder.phase("epoch", epoch):
                pass
    assert len(caught) == 1
    assert recorder.phases == []
    assert recorder.to_dict()["warnings"] == recorder.faults != []


def test_a_window_that_cannot_be_read_loses_that_phase_alone(recorder: Recorder) -> None:
    train = recorder.begin("train")
    with recorder.phase("epoch", 0):
        pass
    assert train is not None
    train.meter = meter("never begun")
    with pytest.warns(RuntimeWarning, match="the energy of train is not known"):
        assert recorder.end("train") is None
    assert list(recorder.readings) == ["epoch 0"]


@pytest.mark.parametrize("good", range(5))
def test_a_sensor_that_is_lost_at_any_time_ends_nothing_and_is_said(good: int) -> None:
    recorder = Recorder(BrokenMeter(good))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with recorder.phase("train"), recorder.phase("epoch", 0):
            pass
    said = [*recorder.faults, *(note for reading in recorder.readings.values() for note in reading.warnings)]
    assert good >= 4 or any("went away" in note for note in said)


def test_a_fault_does_not_raise_even_where_warnings_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Recorder(NO_METER).begin("train")
    assert "the energy of train is not known" in caplog.text


def test_a_hook_that_fails_does_not_end_the_training() -> None:
    class Faulty(Hooks):
        @harmless
        def on_epoch_end(self) -> None:
            raise KeyError("no such key")

    callback = Faulty()
    with pytest.warns(RuntimeWarning, match="on_epoch_end of the energy callback failed: KeyError"):
        callback.on_epoch_end()
    assert len(callback.energy.faults) == 1


def test_ctrl_c_is_not_swallowed() -> None:
    class Interrupted(Hooks):
        @harmless
        def on_epoch_end(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Interrupted().on_epoch_end()


def test_what_was_left_open_inside_is_dropped(recorder: Recorder, clock: Clock) -> None:
    recorder.begin("train")
    recorder.begin("validate")
    clock.advance(1)
    assert recorder.end("train") is not None
    assert list(recorder.readings) == ["train"]
    assert recorder.end("validate") is None


def test_closing_ends_all_that_is_open_and_says_so(recorder: Recorder, clock: Clock) -> None:
    recorder.begin("train")
    recorder.begin("epoch", 0)
    clock.advance(1)
    recorder.close("ended by ValueError")
    assert list(recorder.readings) == ["epoch 0", "train"]
    assert all("ended by ValueError" in reading.warnings for reading in recorder.readings.values())


def test_windows_that_overlap_are_told_apart(recorder: Recorder, clock: Clock) -> None:
    a = recorder.begin("a")
    clock.advance(1)
    b = recorder.begin("b", within="search")
    clock.advance(1)
    assert a and b
    recorder.end(a)
    clock.advance(1)
    recorder.end(b)
    assert [r.energy.joules for r in recorder.readings.values() if r.energy] == pytest.approx([110, 110])
    assert recorder.phases[1].within == "search"


def test_a_second_run_has_names_of_its_own(recorder: Recorder) -> None:
    for _ in range(3):
        with recorder.phase("train"):
            pass
    assert list(recorder.readings) == ["train", "train (2)", "train (3)"]


def test_copies_hold_what_was_recorded_and_nothing_that_runs(clock: Clock) -> None:
    recorder = Recorder()
    with recorder.phase("train"):
        pass
    recorder.begin("predict")
    for twin in (copy.deepcopy(recorder), pickle.loads(pickle.dumps(recorder))):
        assert list(twin.readings) == ["train"]
        assert not twin.is_open("predict")
        with twin.phase("more"):
            pass


def test_it_reads_as_text(recorder: Recorder, clock: Clock) -> None:
    assert str(recorder) == "nothing recorded yet"
    run(recorder, clock)
    assert str(recorder).splitlines()[0].startswith("validate 0: process ")
