"""trimwatt doctor: what it shows, what it writes and never does, what ends with which code."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from trimwatt.meter import cpu_model, usage
from trimwatt.meter.fake import FakePowercap, FakeZone, constant
from trimwatt.meter.powercap import Zone

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    cpu_model.detect.cache_clear()
    yield
    cpu_model.detect.cache_clear()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePowercap:
    zones = [FakeZone("intel-rapl:0", "package-0", constant(20)), FakeZone("intel-rapl:0:0", "dram", constant(2))]
    made = FakePowercap(tmp_path / "tree", zones)
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(made.root))
    return made


@pytest.fixture
def absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(tmp_path / "none"))


@contextlib.contextmanager
def _fed(tree: FakePowercap, idle_w: float, joules_per_cpu_s: float) -> Iterator[None]:
    """The package's counter runs with the clock and the machine's CPU time: brought up to now whenever it is read."""
    lock, file, read = threading.Lock(), tree.energy_file("intel-rapl:0"), Zone.read
    start, used = time.monotonic(), usage.machine_busy_s() or 0.0

    def fed(zone: Zone, tries: int = 1) -> int | None:
        with lock:
            busy = (usage.machine_busy_s() or 0.0) - used
            joules = idle_w * (time.monotonic() - start) + joules_per_cpu_s * busy
            file.write_text(f"{round(joules * 1e6)}\n")
            return read(zone, tries)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Zone, "read", fed)
        yield


def _close(tree: FakePowercap, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed to this user too, who may be root: reading is refused, and so is asking whether it may be."""
    import os

    access = os.access
    monkeypatch.setattr(Zone, "read", lambda self, tries=1: None)
    monkeypatch.setattr("os.access", lambda path, mode: "energy_uj" not in str(path) and access(path, mode))
    for key in tree.zones:
        tree.energy_file(key).chmod(0o400)


def test_it_fits_a_terminal_and_says_all_in_words(run: Run, absent: None) -> None:
    code, out, err = run("doctor")
    assert code == 0 and err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out
    for word in ("Energy sensors", "absent", "Where this runs", "load average", "network", "not used", "estimated"):
        assert word in out
    assert list(Path().iterdir()) == []


def test_json_is_all_there_is(run: Run, absent: None) -> None:
    code, out, err = run("doctor", "--json")
    found: dict[str, Any] = json.loads(out)
    assert code == 0 and err == "" and found["schema"] == "trimwatt/doctor/1"
    assert found["today"]["label"] in ("estimated", "mixed") and found["today"]["low"] < 1 < found["today"]["high"]
    assert {s["sensor"] for s in found["sensors"]} >= {"powercap", "perf", "nvml", "hwmon", "battery"}
    assert all(s["state"] in ("ready", "closed", "absent", "untested") for s in found["sensors"])


def test_measured_can_be_required(run: Run, absent: None) -> None:
    code, out, err = run("doctor", "--require", "measured")
    assert code == 3 and "Energy sensors" in out
    assert err.startswith("trimwatt: measured energy was required") and err.count("\n") == 1
    assert run("doctor", "--require", "guessed")[0] == 2


def test_counters_that_run_are_measured(run: Run, tree: FakePowercap) -> None:
    with _fed(tree, 20.0, 0.0):
        code, out, err = run("doctor", "--require", "measured")
    assert code == 0, err + out
    assert "ready" in out and "package-0" in out and "measured" in out


def test_what_is_closed_comes_with_its_fix_and_why(run: Run, tree: FakePowercap, monkeypatch: Any) -> None:
    _close(tree, monkeypatch)
    code, out, _ = run("doctor")
    text = " ".join(out.split())
    assert code == 0 and "closed" in out and "-r--------" in out
    assert "CVE-2020-8694 (PLATYPUS)" in text and "prefer a group over world-read" in text
    assert "trimwatt doctor --fix-script" in text
    assert max(map(len, out.splitlines())) <= 80


def test_the_script_is_written_not_run_and_not_over_another(run: Run, tree: FakePowercap, monkeypatch: Any) -> None:
    _close(tree, monkeypatch)
    code, _, err = run("doctor", "--fix-script", "open.sh")
    assert code == 0 and "read it, then run: sudo sh open.sh" in err
    script = Path("open.sh").read_text()
    assert "groupadd --system energy" in script
    # a group may read, and nobody else
    modes = re.findall(r"chmod (\S+)", script)
    assert modes == ["0400", "0440", "0440"]
    assert tree.energy_file("intel-rapl:0").stat().st_mode & 0o777 == 0o400
    Path("open.sh").write_text("mine")
    code, _, err = run("doctor", "--fix-script", "open.sh")
    assert code == 2 and "--force" in err and Path("open.sh").read_text() == "mine"
    assert run("doctor", "--fix-script", "open.sh", "--force")[0] == 0
    assert Path("open.sh").read_text().startswith("#!/bin/sh")


def test_no_script_where_nothing_would_open(run: Run, absent: None) -> None:
    code, _, err = run("doctor", "--fix-script", "open.sh")
    assert code == 2 and "nothing for a script to open" in err and not Path("open.sh").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calibrate"], "--calibrate needs one of"),
        (["--calibrate", "--counters", "--battery"], "got --counters, --battery"),
        (["--counters"], "--counters goes with --calibrate"),
        (["--load", "x.json"], "--load goes with --calibrate"),
        (["--calibrate", "--counters", "--load", "x.json"], "--load goes with --trace"),
        (["--calibrate", "--counters", "--phases", "1s,2s"], "--phases is one time or three"),
        (["--calibrate", "--counters", "--phases", "many"], "write it like"),
        (["--calibrate", "--trace", "absent.csv"], "absent.csv"),
        (["--calibrate", "--save-load", "none/x.json"], "the folder none does not exist"),
    ],
)
def test_bad_input_is_one_line(run: Run, absent: None, arguments: list[str], message: str) -> None:
    code, out, err = run("doctor", *arguments)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_no_counters_to_calibrate_to(run: Run, absent: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimwatt.meter.perf.open_meter", lambda: None)
    code, _, err = run("doctor", "--calibrate", "--counters")
    assert code == 3 and "no counters can be read here" in err


def test_a_log_that_comes_later_calibrates(run: Run, absent: None, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    now = time.time() - 600
    rows, windows = [], []
    for k in range(24):
        threads, start = k // 2 % 3, now + 10 * k
        rows += [f"{start + s},{30 + 5 * threads}" for s in range(10)]
        windows.append({"threads": threads, "start_s": start + 3, "end_s": start + 7, "cpu_s": 4.0 * threads})
    Path("plug.csv").write_text("time,watts\n" + "\n".join(rows) + "\n")
    Path("load.json").write_text(json.dumps(windows))
    code, out, err = run("doctor", "--calibrate", "--trace", "plug.csv", "--load", "load.json", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["idle_w"]["low"] <= 30 <= found["idle_w"]["high"]
    assert found["joules_per_cpu_s"]["low"] <= 5 <= found["joules_per_cpu_s"]["high"]
    assert found["source"] == "trace plug.csv" and Path(found["file"]).is_file()
    today = json.loads(run("doctor", "--json")[1])["today"]
    assert today["label"] == "estimated" and "calibrated on this machine to trace plug.csv" in today["warnings"][0]


@pytest.mark.slow
def test_counters_calibrate(run: Run, tree: FakePowercap, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with _fed(tree, 12.0, 7.0):
        code, out, err = run("doctor", "--calibrate", "--counters", "--phases", "4s", "--json")
    if code == 2 and "other programs keep it busy" in err:
        pytest.skip("this machine is too busy to calibrate")
    assert code == 0, err
    assert json.loads(out)["joules_per_cpu_s"]["value"] == pytest.approx(7, rel=0.2)


def test_colours_only_on_a_terminal_that_wants_them(
    run: Run, absent: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from trimwatt.commands import doctor

    found = doctor.findings()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    doctor._show(found, False)
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    doctor._show(found, False)
    assert "\x1b[" not in capsys.readouterr().out
