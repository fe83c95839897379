"""trimwatt measure: the command is as if we were not there, and its whole tree is counted."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from measuring import ACCOUNT, MEASURE, PYTHON, SPIN, measure, running

from trimwatt.meter.fake import FakePowercap, FakeZone, constant

pytestmark = pytest.mark.usefixtures("heeded")


def test_output_input_and_exit_code_are_the_commands_own() -> None:
    code = "import sys; print(sys.stdin.read().upper()); print('bad', file=sys.stderr); sys.exit(7)"
    done = measure("--", *PYTHON, code, input="hello")
    assert (done.returncode, done.stdout) == (7, "HELLO\n")
    lines = done.stderr.splitlines()
    assert lines[0] == "bad"
    assert {line[:8].strip() for line in lines[1:]} >= {"process", "machine", "time", "carbon"}
    assert max(map(len, lines)) <= 80


def test_json_alone_is_on_stdout() -> None:
    done = measure("--json", "--", *PYTHON, SPIN.format(0.2) + "\nprint('out')" + ACCOUNT)
    record = json.loads(done.stdout)
    out, own_s = done.stderr.splitlines()
    assert out == "out"
    assert record["schema"] == "trimwatt/reading/1"
    assert {
        "energy",
        "process",
        "domains",
        "duration_s",
        "cpu_s",
        "peak_rss_bytes",
        "coverage",
        "carbon",
        "warnings",
    } <= {*record}
    assert float(own_s) - 0.01 <= record["cpu_s"] <= float(own_s) + 0.04 and record["duration_s"] >= 0.2
    process, carbon = record["process"], record["carbon"]
    assert 0 < process["low"] <= process["joules"] <= process["high"]
    assert carbon["grams_co2e"] is None
    assert carbon["low"] == pytest.approx(process["low"] / 3.6e6 * carbon["intensity"]["low"])
    assert carbon["high"] == pytest.approx(process["high"] / 3.6e6 * carbon["intensity"]["high"])
    assert carbon["intensity"]["source"] and carbon["intensity"]["year"]


@pytest.mark.parametrize(
    ("code", "about"),
    [
        (SPIN.format(0.3) + ACCOUNT, "the command itself"),
        (
            "import subprocess, sys, time; "
            f"subprocess.run([sys.executable, '-S', '-c', {SPIN.format(0.3) + ACCOUNT!r}])" + ACCOUNT,
            "a child",
        ),
        (
            # the pipe ends when the grandchild does
            "import os, time\na, b = os.pipe()\nif os.fork() == 0:\n if os.fork() == 0:\n  "
            + (SPIN.format(0.3) + ACCOUNT).replace("\n", "\n  ")
            + "\n  os._exit(0)\n os._exit(0)\nos.wait(); os.close(b); os.read(a, 1); time.sleep(0.1)"
            + ACCOUNT,
            "a grandchild whose parent died",
        ),
    ],
    ids=lambda value: value if " " in value and "\n" not in value and len(value) < 50 else "",
)  # fmt: skip
def test_the_whole_tree_is_counted(code: str, about: str) -> None:
    done = measure("--json", "--", *PYTHON, code)
    own_s = sum(map(float, done.stderr.split()))
    assert own_s >= 0.3
    # all of them, each once
    assert own_s - 0.01 <= json.loads(done.stdout)["cpu_s"] < own_s + 0.1


def test_one_that_outlives_the_command_is_not_waited_for() -> None:
    quiet = "quiet = os.open(os.devnull, os.O_RDWR)\n for n in range(3): os.dup2(quiet, n)"
    code = f"import os\npid = os.fork()\nif pid == 0:\n {quiet}\n os.execvp('sleep', ['sleep', '120'])\nprint(pid)"
    done = measure("--json", "--", *PYTHON, code)
    record = json.loads(done.stdout)
    os.kill(int(done.stderr), signal.SIGKILL)
    assert record["duration_s"] < 120
    assert any("left 1 process running" in line for line in record["warnings"])


def test_what_does_not_exist_and_what_cannot_be_run(run: Callable[..., Any], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("not a program")
    closed = run("measure", "--", plain)
    plain.chmod(0o755)
    for (got, out, err), code, message in (
        (run("measure", "--", "no-such-command"), 127, "no-such-command: there is no such command"),
        (run("measure", "--", ""), 127, "there is no such command"),
        (run("measure", "--", plain / "x"), 127, "there is no such command"),
        (closed, 126, "cannot be run"),
        (run("measure", "--", tmp_path), 126, "cannot be run"),
        (run("measure", "--", plain), 126, "not a program"),
    ):
        assert (got, out) == (code, "")
        assert err.startswith("trimwatt: ") and message in err and err.count("\n") == 1


def test_a_signal_that_ends_it_is_128_and_more() -> None:
    assert measure("--", *PYTHON, "import os; os.kill(os.getpid(), 9)").returncode == 137
    assert measure("--", *PYTHON, "import os; os.abort()").returncode == 134


def test_the_command_gets_signals_as_a_shell_would_give_them() -> None:
    shown = measure("--", "grep", "-E", "Sig(Blk|Ign)", "/proc/self/status").stdout
    # the C library's own two, 32 and 33, aside
    assert [int(line.split()[1], 16) & 0x7FFFFFFF for line in shown.splitlines()] == [0, 0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_to_us_alone_reaches_it_and_the_reading_is_given(number: signal.Signals, code: int) -> None:
    ready = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_DFL); print('ready', flush=True); time.sleep(30)"
    )
    with running("-r", "3", "--", *PYTHON, ready) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=300)
    assert process.returncode == code
    assert out == ""
    assert "process " in err and "interrupted in run 1 of 3" in err and "Traceback" not in err


def test_a_command_that_handles_the_signal_ends_as_it_likes() -> None:
    code = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\ntime.sleep(30)"
    )
    with running("--json", "--", *PYTHON, code) as process:
        assert process.stderr and process.stderr.readline() == "ready\n"
        process.terminate()
        out, _ = process.communicate(timeout=300)
    assert process.returncode == 5
    assert json.loads(out)["duration_s"] < 30


def test_ctrl_c_at_a_terminal_is_told_once_and_ctrl_z_stops_both() -> None:
    code = (
        "import signal, sys, time\ncame = []\nsignal.signal(signal.SIGINT, lambda *_: came.append(1))\n"
        "print('ready', flush=True)\nend = time.monotonic() + 20\n"
        "while not came and time.monotonic() < end: time.sleep(0.01)\n"
        "time.sleep(0.3)\nprint('came', len(came), flush=True)"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*MEASURE, "--", *PYTHON, code])  # noqa: S606
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        shown = _until(screen, b"ready")
        screen.write(b"\x1a")
        _, status = os.waitpid(child, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        time.sleep(0.2)
        os.killpg(child, signal.SIGCONT)
        time.sleep(0.2)
        screen.write(b"\x03")
        shown += _until(screen, b"it was stopped for")
    os.waitpid(child, 0)
    assert b"came 1" in shown
    assert b"it was stopped for" in shown
    assert b"interrupted before its end" in shown


def _until(screen: Any, text: bytes) -> bytes:
    """What a terminal shows until `text` has come."""
    shown = b""
    with contextlib.suppress(OSError):
        while text not in shown and (more := screen.read(1024)):
            shown += more
    return shown


def test_runs_are_repeated_warm_ups_dropped_and_differing_codes_said(tmp_path: Path) -> None:
    count = tmp_path / "count"
    code = f"from pathlib import Path; p = Path({str(count)!r}); n = len(p.read_text()) if p.exists() else 0\n"
    code += "p.write_text('x' * (n + 1)); raise SystemExit(n % 2 * 4)"
    done = measure("-r", "6", "--warmup", "1", "--json", "--", *PYTHON, code)
    record = json.loads(done.stdout)
    assert (done.returncode, len(count.read_text())) == (4, 7)
    runs = record["runs"]
    assert (runs["warmup"], runs["exit_codes"], len(runs["values"])) == (1, [4, 0, 4, 0, 4, 0], 6)
    assert runs["min"] <= runs["low"] <= runs["median"] <= runs["high"] <= runs["max"]
    assert runs["level"] >= 0.95
    assert record["process"]["joules"] == pytest.approx(runs["median"])
    assert any("the exit code was not the same in every run: 0, 4, 0" in line for line in record["warnings"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give one thing to measure"),
        (["--pid", "1", "--", "true"], 2, "give one thing to measure"),
        (["--pid", "99999999"], 2, "there is no process 99999999"),
        (["--pid", "1", "-r", "2"], 2, "cannot be run again"),
        (["--duration", "3s", "--", "true"], 2, "--duration is for --pid"),
        (["--pid", "1", "--duration", "3 parsecs"], 2, "is not time with a unit"),
        (["--pid", "1", "--duration", "0s"], 2, "give time above zero"),
        (["-r", "0", "--", "true"], 2, "Invalid value for '-r'"),
        (["--require", "luck", "--", "true"], 2, "--require is measured"),
        (["-o", "no/such/folder.json", "--", "true"], 2, "does not exist"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., Any], arguments: list[str], code: int, message: str) -> None:
    got, out, err = run("measure", *arguments)
    assert (got, out) == (code, "")
    assert err.startswith("trimwatt: ") and message in err and err.count("\n") == 1
    assert list(Path().iterdir()) == []


def test_a_required_sensor_that_is_absent_runs_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "TRIMWATT_POWERCAP": str(tmp_path)}
    plain = measure("--json", "--", "true", env=environment)
    if json.loads(plain.stdout)["process"]["origin"] != "estimated":
        pytest.skip("this machine has sensors")
    done = measure("--require", "measured", "--", "touch", tmp_path / "ran", env=environment)
    assert done.returncode == 3 and done.stderr.count("\n") == 1 and "trimwatt doctor" in done.stderr
    assert list(tmp_path.iterdir()) == []


COUNTERS = """
import os, sys, time
from pathlib import Path
from trimwatt.meter.fake import FakePowercap, FakeZone, constant
class Steady(FakePowercap):
    def write(self):
        # a counter is never seen empty, as the kernel's is not
        for key in self.zones:
            with open(self.energy_file(key), "r+" if self.energy_file(key).exists() else "w") as file:
                file.write(f"{self.counter(key)}\\n")
tree = Steady(Path(sys.argv[1]), [FakeZone("intel-rapl:0", "package-0", constant(40), start_uj=10**11),
                                  FakeZone("intel-rapl:0:0", "dram", constant(4), start_uj=10**11)])
print(flush=True)
last = time.monotonic()
while True:
    time.sleep(0.002)
    now = time.monotonic()
    tree.advance(now - last)
    last = now
"""


@pytest.fixture
def counters(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a machine with counters of 40 W and 4 W, which another process keeps running."""
    with subprocess.Popen([sys.executable, "-c", COUNTERS, str(tmp_path / "tree")], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield {**os.environ, "TRIMWATT_POWERCAP": str(tmp_path / "tree" / "class" / "powercap")}
        finally:
            process.kill()


def test_with_counters_it_is_a_measurement(tmp_path: Path) -> None:
    zones = [FakeZone("intel-rapl:0", "package-0", constant(40)), FakeZone("intel-rapl:0:0", "dram", constant(4))]
    tree = FakePowercap(tmp_path, zones)
    # the command itself moves the counters, by 20 J and 2 J: no clock has a part in it
    code = (
        "import os, sys, time\ntime.sleep(0.05)\nfor file, more in zip(sys.argv[1:], (20_000_000, 2_000_000)):\n"
        " with open(file) as old: now = int(old.read())\n"
        " with open(file + '.new', 'w') as new: new.write(f'{now + more}\\n')\n"
        " os.replace(file + '.new', file)\ntime.sleep(0.05)"
    )
    files = [tree.energy_file(key) for key in tree.zones]
    environment = {**os.environ, "TRIMWATT_POWERCAP": str(tree.root)}
    done = measure("--require", "measured", "--json", "--", *PYTHON, code, *files, env=environment)
    record = json.loads(done.stdout)
    assert (done.returncode, record["energy"]["origin"], record["coverage"]) == (0, "measured", 1.0)
    assert record["energy"]["joules"] == pytest.approx(22, rel=1e-3)


def test_a_sensor_lost_on_the_way_is_a_warning_and_the_code_is_the_commands(
    counters: dict[str, str], tmp_path: Path
) -> None:
    lose = f"sleep 0.2; rm -r {tmp_path}/tree/class/powercap/intel-rapl:0*; sleep 0.1; exit 6"
    done = measure("--require", "measured", "--json", "--", "sh", "-c", lose, env=counters)
    record = json.loads(done.stdout)
    assert done.returncode == 6
    assert record["energy"] is None or record["energy"]["origin"] != "measured"
    assert any(line.startswith("--require measured, but") for line in record["warnings"])
    assert any("lost" in line for line in record["warnings"])


def test_ctrl_c_with_counters_too(counters: dict[str, str]) -> None:
    # their keep-alive thread must not be the one that takes the signal
    with running("--", "sh", "-c", "echo ready; exec sleep 30", env=counters) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "measured" in err and "Traceback" not in err


def test_the_reading_goes_to_a_file_and_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "reading.json"
    assert measure("-o", file, "--", "true").returncode == 0
    assert json.loads(file.read_text())["schema"] == "trimwatt/reading/1"
    done = measure("-o", file, "--", "touch", tmp_path / "ran")
    assert done.returncode == 2 and "--force" in done.stderr and not (tmp_path / "ran").exists()
    assert measure("-o", file, "--force", "--", "true").returncode == 0


def test_a_folder_lost_on_the_way_costs_the_file_not_the_exit_code(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    done = measure("-o", folder / "x.json", "--", "sh", "-c", f"rmdir {folder}; touch {folder}; exit 3")
    assert done.returncode == 3
    assert "could not be written" in done.stderr and "Traceback" not in done.stderr and "process " in done.stderr


def test_without_a_home_and_with_little_environment() -> None:
    done = measure("--", "/bin/true", env={"PATH": ""})
    assert done.returncode == 0 and "process " in done.stderr


def test_a_reader_that_has_left_does_not_change_the_code() -> None:
    with running("--json", "--", "sh", "-c", "sleep 0.3; exit 3") as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(120) == 3


def test_options_behind_the_command_are_its_own() -> None:
    done = measure("echo", "--json", "--debug", "-r", "2")
    assert (done.returncode, done.stdout) == (0, "--json --debug -r 2\n")
    assert measure("--", "echo", "--", "--debug").stdout == "-- --debug\n"


def test_ignored_signals_stay_ignored() -> None:
    code = "trap '' INT; exec \"$@\""
    shown = subprocess.run(
        ["sh", "-c", code, "sh", *MEASURE, "--", "grep", "SigIgn", "/proc/self/status"],  # noqa: S607
        capture_output=True, text=True, timeout=300, check=True,
    ).stdout  # fmt: skip
    assert int(shown.split()[1], 16) & 0x7FFFFFFF == 1 << (signal.SIGINT - 1)
