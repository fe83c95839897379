"""Calibration against a truth that is known: counters that run with this process's own CPU time."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimwatt.energy import Energy
from trimwatt.errors import InputError
from trimwatt.meter import calibrate, calibration, cpu_model, powercap, rapl, usage
from trimwatt.meter._base import Mark
from trimwatt.meter.calibrate import Window
from trimwatt.meter.calibration import Calibration, Figure
from trimwatt.meter.fake import FakePowercap, FakeZone, constant

IDLE_W, SLOPE = 11.0, 6.5
PHASES = tuple((threads, 10) for _ in range(2) for threads in (0, 1, 2))


class Truth:
    """A powercap tree whose package draws IDLE_W, and SLOPE joules for each CPU second of this process tree.

    It is brought up to now whenever a meter of it marks: how busy this machine is cannot bend it.
    """

    name, origin = "truth", "measured"

    def __init__(self, folder: Path) -> None:
        self.tree = FakePowercap(folder, [FakeZone("intel-rapl:0", "package-0", constant(0))])
        self._meter = rapl.RaplMeter(powercap.zones(self.tree.root))
        self._start_s, self._used_s, self._most_s = time.monotonic(), usage.tree_cpu_s(), 0.0

    def mark(self) -> Mark:
        self._most_s = max(self._most_s, usage.tree_cpu_s() - self._used_s)
        joules = IDLE_W * (time.monotonic() - self._start_s) + SLOPE * self._most_s
        self.tree.energy_file("intel-rapl:0").write_text(f"{round(joules * 1e6)}\n")
        return self._meter.mark()

    def between(self, a: Mark, b: Mark) -> dict[str, Energy]:
        return self._meter.between(a, b)


def _windows(idle: float, slope: float, noise: float = 0.0, seed: int = 0) -> tuple[list[Window], list[Energy]]:
    rng = np.random.default_rng(seed)
    windows, energies = [], []
    for threads, count in PHASES:
        for k in range(count):
            load = threads + rng.uniform(0, 0.1)
            windows.append(Window(threads, 3.0 * k, 3.0 * k + 3, 3 * load))
            joules = 3 * (idle + slope * load) * (1 + noise * rng.standard_normal())
            energies.append(Energy(joules, joules, joules, "measured"))
    return windows, energies


def test_a_known_machine_is_recovered_within_its_interval(tmp_path: Path) -> None:
    meter = Truth(tmp_path)
    # this truth draws for ours alone, so any share of a busy machine will do
    ran = calibrate.run([(0, 0.4), (1, 0.8)] * 3, meter, usage.tree_cpu_s)
    windows = [window for window, _ in ran]
    energies = [meter.between(*marks)["package-0"] for _, marks in ran if marks]
    assert len(energies) == len(windows) == 12
    if np.median([w.load for w in windows if w.threads]) < 0.3:
        pytest.skip("other programs took this machine's processors; nothing can be loaded")
    found = calibrate.fit(windows, energies)
    assert found.idle_w.low <= IDLE_W <= found.idle_w.high
    assert found.joules_per_cpu_s.low <= SLOPE <= found.joules_per_cpu_s.high
    assert found.idle_w.value == pytest.approx(IDLE_W, rel=0.05)
    assert found.joules_per_cpu_s.value == pytest.approx(SLOPE, rel=0.05)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.5, 300), st.floats(0.2, 20))
def test_an_exact_line_is_found_exactly(idle: float, slope: float) -> None:
    found = calibrate.fit(*_windows(idle, slope), draws=20)
    assert found.idle_w.value == pytest.approx(idle, rel=1e-6, abs=1e-6)
    assert found.joules_per_cpu_s.value == pytest.approx(slope, rel=1e-6)
    assert found.misfit < 1e-6


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(20):
        found = calibrate.fit(*_windows(20, 4, noise=0.03, seed=seed), draws=60)
        held += found.joules_per_cpu_s.low <= 4 <= found.joules_per_cpu_s.high
    assert held >= 18


def test_a_few_broken_windows_do_not_bend_the_line() -> None:
    windows, energies = _windows(20, 4, noise=0.005)
    spoilt = [e.scaled(5.0) if k in (3, 25, 44) else e for k, e in enumerate(energies)]
    found = calibrate.fit(windows, spoilt)
    assert found.joules_per_cpu_s.value == pytest.approx(4, rel=0.1)
    assert found.idle_w.value == pytest.approx(20, rel=0.1)


def test_power_that_bends_is_in_the_interval() -> None:
    windows, _ = _windows(20, 4)
    # the second thread draws half as much as the first, as at a processor's limit
    watts = [20 + 4 * min(w.load, 1) + 2 * max(0.0, w.load - 1) for w in windows]
    joules = [p * (w.end_s - w.start_s) for p, w in zip(watts, windows, strict=True)]
    found = calibrate.fit(windows, [Energy(j, j, j, "measured") for j in joules])
    assert found.misfit > 0.01
    assert found.joules_per_cpu_s.low <= 3 <= found.joules_per_cpu_s.high
    # what one busy thread draws is 4, the line says less
    assert found.joules_per_cpu_s.low < 3 and found.joules_per_cpu_s.high > 3.8


def test_the_sensors_own_doubt_is_in_the_interval() -> None:
    windows, energies = _windows(20, 4)
    coarse = [Energy(e.joules, 0.98 * e.joules, 1.02 * e.joules, "measured") for e in energies]
    found = calibrate.fit(windows, coarse)
    assert found.idle_w.low < 19.7 and found.idle_w.high > 20.3
    assert found.joules_per_cpu_s.high - found.joules_per_cpu_s.low > 0.4


@pytest.mark.parametrize(
    ("idle", "slope", "load", "doubt", "message"),
    [
        (20, 4, lambda n: 1.9 + n / 20, 0, "other programs keep it busy"),
        (20, -2, lambda n: n, 0, "does not rise with load"),
        (20, 4, lambda n: n, 0.5, "too coarse for windows of 3.0 s"),
    ],
)
def test_what_cannot_be_fitted_is_said(idle: float, slope: float, load: object, doubt: float, message: str) -> None:
    windows = [replace(w, cpu_s=3 * load(w.threads)) for w in _windows(idle, slope)[0]]  # type: ignore[operator]
    joules = [3 * (idle + slope * w.load) for w in windows]
    energies = [Energy(j, j * (1 - doubt), j * (1 + doubt), "measured") for j in joules]
    with pytest.raises(InputError, match=message):
        calibrate.fit(windows, energies)


def test_load_ends_with_its_block() -> None:
    before = usage.tree_pids()
    with calibrate.loaded(2):
        assert len(usage.tree_pids() - before) == 2
    assert usage.tree_pids() == before


def test_phases_go_round_twice_and_one_core_has_no_third() -> None:
    assert calibrate.phases((30, 20, 10), 8) == [(0, 15), (1, 10), (8, 5)] * 2
    assert calibrate.phases((30, 20, 10), 1) == [(0, 15), (1, 10)] * 2
    for wrong in ((30, 20), (30, 20, 1)):
        with pytest.raises(InputError, match="4s or more"):
            calibrate.phases(wrong, 8)


def test_windows_can_be_kept_for_a_log_that_comes_later(tmp_path: Path) -> None:
    windows = _windows(20, 4)[0]
    calibrate.save_windows(windows, tmp_path / "load.json")
    assert calibrate.load_windows(tmp_path / "load.json") == windows
    (tmp_path / "other.json").write_text('{"a": 1}')
    for name in ("other.json", "absent.json"):
        with pytest.raises(InputError, match="--save-load"):
            calibrate.load_windows(tmp_path / name)


@pytest.fixture
def made() -> Calibration:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    figures = Figure(11.0, 10.0, 12.5), Figure(6.5, 6.0, 7.0)
    return Calibration(*figures, "powercap", "packages and DRAM", now, 48, cpu_model.machine())


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    cpu_model.detect.cache_clear()
    yield tmp_path / "trimwatt" / "calibration.json"
    cpu_model.detect.cache_clear()


def test_it_is_kept_found_and_used(made: Calibration, config: Path) -> None:
    assert calibration.save(made, calibration.path()) == config
    assert [p.name for p in config.parent.iterdir()] == ["calibration.json"]
    model = cpu_model.detect()
    assert model.known == "calibrated" and model.calibration == made and model.origin == "estimated"
    one = model.dynamic_energy(1.0)
    assert (one.joules, one.low, one.high) == pytest.approx((6.5, 6.0 * 0.8, 7.0 * 1.25))
    idle = model.idle_energy(10.0, model.threads)
    assert (idle.joules, idle.low, idle.high) == pytest.approx((110, 100, 125))
    window = model.between(Mark(0.0, 0.0, 0.0), Mark(10.0, 4.0, 4.0))
    assert set(window) == {"cpu"} and window["cpu"].joules == pytest.approx(110 + 26)
    assert window["cpu"].origin == "estimated"
    said = model.warnings(Mark(0, 0), Mark(1, 0))[0]
    assert "calibrated on this machine to powercap" in said and "x0.74 to x1.3" in said
    assert "calibration" in model.describe()


def test_a_second_one_replaces_the_first_and_leaves_others(made: Calibration, config: Path) -> None:
    other = replace(made, machine={**made.machine, "threads": 4096})
    calibration.save(other, config)
    assert cpu_model.detect().known != "calibrated"
    assert "of another machine: not used here" in cpu_model.detect().warnings(Mark(0, 0), Mark(1, 0))[0]
    calibration.save(made, config)
    calibration.save(replace(made, windows=49), config)
    machines = json.loads(config.read_text())["machines"]
    assert [m["windows"] for m in machines] == [48, 49]
    assert calibration.find(other.machine, config)[0] == other


def test_an_old_one_is_refused(made: Calibration, config: Path) -> None:
    calibration.save(made, config)
    later = datetime.now(UTC) + timedelta(days=400)
    found, note = calibration.find(made.machine, config, later)
    assert found is None and "older than a year" in note


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": "other"}', '{"schema": "trimwatt/calibration/1"}'])
def test_a_broken_file_is_a_warning_for_readings_and_an_error_for_saving(
    made: Calibration, config: Path, text: str
) -> None:
    config.parent.mkdir()
    config.write_text(text)
    assert "cannot be read" in cpu_model.detect().note
    with pytest.raises(InputError, match="move it away"):
        calibration.save(made, config)
    assert config.read_text() == text


def test_no_home_and_a_folder_that_cannot_be_written(
    made: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set XDG_CONFIG_HOME") as told:
        calibration.save(made, calibration.path())
    assert "\n" not in str(told.value)
    with pytest.raises(InputError, match="no home folder"):
        calibration.save(made, None)


@pytest.mark.parametrize("low", [-1.0, 2.0, math.nan])
def test_a_figure_lies_in_its_interval(low: float) -> None:
    with pytest.raises(InputError):
        Figure(1.0, low, 3.0)


def test_the_id_of_a_machine_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "machine-id").write_text("0123456789abcdef\n")
    print_ = calibration.fingerprint("cpu", 8, 15.6, tmp_path)
    assert print_["memory_gb"] == 16 and len(print_["id"]) == 16 and print_["id"] != "0123456789abcdef"
    assert calibration.fingerprint("cpu", 8, None, tmp_path / "none")["id"] == ""
