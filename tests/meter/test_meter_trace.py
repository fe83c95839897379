"""A recorded power trace: what its header means, and what a window of it holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.errors import InputError
from trimwatt.meter import attribute, trace
from trimwatt.meter._base import Meter
from trimwatt.meter.trace import Trace, TraceMeter, read_trace
from trimwatt.testing.meter import Clock, MeterContract

START = 1795237200.0
NOW = datetime.fromtimestamp(START, UTC)


def csv(folder: Path, text: str) -> Path:
    path = folder / "plug.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("time,watts", [f"{START:.0f},40", f"{START + 1:.0f},60"]),
        ("time_s,watts", ["0,40", "1,60"]),
        ("Time (ms),Power [mW]", ["0,40000", "1000,60000"]),
        ("elapsed [min];power_kW", ["0;0.04", f"{1 / 60};0.06"]),
        ("timestamp,voltage,apower_w", [f"{START * 1000:.0f},230,40", f"{START * 1000 + 1000:.0f},230,60"]),
        ("datetime,W", ["2026-11-21T05:00:00+01:00,40", "2026-11-21T05:00:01+01:00,60"]),
        ("timestamp (UTC),power_w", ["2026-11-21 05:00:00,40", "2026-11-21 05:00:01,60"]),
        ("time,power_w", ["2026-11-21T05:00:00Z,40", "2026-11-21T05:00:01Z,60"]),
        ("s,mW", ["0,40000", "1,60000"]),
    ],
)
def test_units_of_the_header(header: str, rows: list[str], tmp_path: Path) -> None:
    found = read_trace(csv(tmp_path, "\n".join([header, *rows]) + "\n"))
    assert np.diff(found.time_s) == pytest.approx([1.0], rel=1e-6)
    assert found.watts == pytest.approx([40, 60])


def test_utc_is_not_taken_for_local_time(tmp_path: Path) -> None:
    found = read_trace(csv(tmp_path, "time_utc,power_w\n2026-11-21 05:00:00,1\n2026-11-21 05:00:01,1\n"))
    assert found.time_s[0] == datetime(2026, 11, 21, 5, tzinfo=UTC).timestamp()
    assert found.is_absolute


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time_s,power_hp\n0,1\n1,1\n", "'power_hp' is in a unit nobody here knows; power is in one of"),
        ("time_fortnights,power_w\n0,1\n1,1\n", "unit nobody here knows; time is in one of"),
        ("time_s,power\n0,1\n1,1\n", "has no unit of power; call it power_w"),
        ("time,power_w\n0,1\n1,1\n", "has no unit of time; call it time_s"),
        ("time_s,volts\n0,1\n1,1\n", "no column of power (it has time_s, volts)"),
        ("power_w\n1\n", "no column of time"),
        ("time_s,power_w\n0,1\n2,1\n1,1\n", "line 4: time goes back"),
        ("time_s,power_w\n0,1\n1,-3\n", "line 3: '-3' is not a power"),
        ("time_s,power_w\n0,1\n1,nan\n", "line 3: 'nan' is not a power"),
        ("time_s,power_w\nnan,1\n1,1\n", "line 2: 'nan' is not a time"),
        ("time,power_w\nyesterday,1\n", "line 2: 'yesterday' is not a time"),
        ("time_s,power_w\n0,1\n", "needs two samples or more"),
        (
            "time_s,power_w\n0,1e308\n1,1e308\n",
            "line 2: '1e308' is not a power; write a number of zero",
        ),
        ("time_s,power_kw\n0,1e16\n1,1\n", "line 2: '1e16' is not a power"),
        ("time,watts\n2026-01-01,5\n9999-12-31T23:59:59,5\n", "too seldom to tell what was drawn in between"),
        ("time_s,power_w\n0,5\n61,5\n", "2 samples, 61 s apart: too seldom"),
        ("time_s,power_w\n0,5\n3601,5\n7202,5\n", "3 samples, 3,601 s apart: too seldom"),
        ("", "is empty"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_trace(csv(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "image.csv").write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(InputError, match="cannot be read"):
        read_trace(tmp_path / "image.csv")


def test_steady_power_is_known_to_what_the_plug_promises() -> None:
    energy = Trace(np.arange(4.0), np.full(4, 40.0), 5.0, 1.0).energy(0, 3, align_s=1)
    assert energy is not None
    assert (energy.low, energy.joules, energy.high) == pytest.approx((120 * 0.98, 120, 120 * 1.02))


def test_a_ramp_is_exact_also_between_samples() -> None:
    times = np.arange(11.0)
    energy = Trace(times, 10 * times, 5.0, 1.0).energy(2.5, 7.25)
    assert energy is not None
    assert energy.joules == pytest.approx(5 * (7.25**2 - 2.5**2))
    assert energy.low < energy.joules < energy.high


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.integers(0, 2**32 - 1))
def test_windows_add_up(x: float, y: float, z: float, seed: int) -> None:
    a, b, c = sorted((x, y, z))
    found = Trace(np.arange(101.0), np.random.default_rng(seed).uniform(0, 500, 101), 5.0, 1.0)
    parts = [found.energy(*window) for window in ((a, b), (b, c), (a, c))]
    first, second, whole = (e.joules if e else -1 for e in parts)
    assert min(first, second) >= 0
    assert first + second == pytest.approx(whole, rel=1e-9, abs=1e-6)


def test_a_step_anywhere_between_samples_is_in_the_interval() -> None:
    found = Trace(np.array([0.0, 10.0, 20.0]), np.array([0.0, 0.0, 100.0]), 50.0, 10.0)
    energy = found.energy(0, 20, accuracy=0)
    assert energy is not None
    assert (energy.low, energy.joules, energy.high) == (0, 500, 1000)


def test_a_gap_is_a_hole() -> None:
    times = np.concatenate([np.arange(10.0), np.arange(60.0, 70.0)])
    found = Trace(times, np.full(20, 40.0), 5.0, 1.0)
    assert found.hole_s(0, 70) == pytest.approx(51 + 1)
    assert found.energy(0, 65) is None
    assert found.energy(20, 30) is None
    inside = found.energy(61, 65)
    assert inside is not None
    assert inside.joules == pytest.approx(160)
    assert found.hole_s(-20, -10) == 10


def test_a_row_without_power_makes_a_gap(tmp_path: Path) -> None:
    rows = [f"{t},{'' if 20 <= t < 40 else 40}" for t in range(60)]
    found = read_trace(csv(tmp_path, "\n".join(["time_s,power_w", *rows])))
    assert found.hole_s(0, 59) == pytest.approx(21)


def test_several_samples_under_one_stamp_are_averaged(tmp_path: Path) -> None:
    found = read_trace(csv(tmp_path, "time_s,power_w\n0,10\n0,30\n1,20\n"))
    assert found.watts.tolist() == [20, 20]


class Plug:
    """A log that grows beside two clocks of the machine: monotonic, and wall."""

    def __init__(self, folder: Path, ahead_s: float = 0.0) -> None:
        self.path, self.clock, self.ahead_s = folder / "plug.csv", Clock(50.0), ahead_s
        self.path.write_text("timestamp,power_w\n")
        for _ in range(10):
            self.advance(1)

    def wall(self) -> float:
        return START + self.clock.now_s

    def advance(self, seconds: float, watts: float = 40.0) -> None:
        with self.path.open("a") as file:
            for _ in range(round(seconds)):
                self.clock.advance(1)
                file.write(f"{self.wall() + self.ahead_s:.3f},{watts}\n")

    def meter(self) -> TraceMeter:
        return TraceMeter(self.path, self.ahead_s, clock=lambda: self.clock.now_s, wall=self.wall)


@pytest.mark.parametrize("ahead_s", [0.0, 3600.0])
def test_a_log_that_grows_is_laid_over_this_machines_clock(ahead_s: float, tmp_path: Path) -> None:
    plug = Plug(tmp_path, ahead_s)
    meter = plug.meter()
    a = meter.mark()
    plug.advance(60, 100)
    b = meter.mark()
    plug.advance(10)
    energy = meter.between(a, b)["wall"]
    assert energy.low <= 6000 <= energy.high
    assert energy.joules == pytest.approx(6000, rel=0.02)
    assert meter.warnings(a, b) == ()
    assert attribute.machine({"wall": energy}) == energy
    assert attribute.machine({"wall": energy, "package-0": energy.scaled(0.3)}) == energy.scaled(0.3)


def test_what_the_log_does_not_reach_is_a_hole(tmp_path: Path) -> None:
    plug = Plug(tmp_path)
    meter = plug.meter()
    a = meter.mark()
    plug.clock.advance(30)
    b = meter.mark()
    assert meter.between(a, b) == {}
    assert "no samples for 30 s" in meter.warnings(a, b)[0]


def test_a_log_that_is_lost_later_leaves_what_was_read(tmp_path: Path) -> None:
    plug = Plug(tmp_path)
    meter = plug.meter()
    a = meter.mark()
    plug.advance(20)
    b = meter.mark()
    before = meter.between(a, b)
    plug.path.unlink()
    assert meter.between(a, b) == before
    assert any("can no longer be read" in w for w in meter.warnings(a, b))


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    found = read_trace(csv(tmp_path, "time_s,power_w\n0,10\n1,20\n2"))
    assert len(found.time_s) == 2


def test_a_trace_from_its_own_start_begins_with_the_meter(tmp_path: Path) -> None:
    clock = Clock(7.0)
    path = csv(tmp_path, "time_s,power_w\n" + "".join(f"{t},{10 * t}\n" for t in range(101)))
    meter = TraceMeter(path, clock=lambda: clock.now_s)
    clock.advance(10)
    a = meter.mark()
    clock.advance(20)
    b = meter.mark()
    assert meter.between(a, b)["wall"].joules == pytest.approx(5 * (30**2 - 10**2))


def test_doctor_sees_it(tmp_path: Path) -> None:
    assert trace.open_meter() is None
    assert [p.state for p in trace.probe()] == ["absent"]
    assert [p.state for p in trace.probe(tmp_path / "none")] == ["closed"]
    assert [p.state for p in trace.probe(Plug(tmp_path).path)] == ["ready"]


class TestTrace(MeterContract):
    @pytest.fixture
    def meter(self, tmp_path: Path) -> Meter:
        self.plug = Plug(tmp_path)
        return self.plug.meter()

    def step(self, meter: Meter) -> None:
        self.plug.advance(20, 60)

    def lose(self, meter: Meter) -> None:
        # the plug stops logging; time goes on
        self.plug.clock.advance(20)
