"""The pytest plugin, run for real by pytest's own pytester."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as xml
from dataclasses import replace
from pathlib import Path

import pytest

from trimwatt.energy import Energy, Reading
from trimwatt.errors import InputError
from trimwatt.integrations import _gate
from trimwatt.integrations._gate import Limit, increase, place, share
from trimwatt.integrations.pytest_plugin import _work

pytest_plugins = ["pytester"]
SPIN = """
import time, pytest
def spin(seconds=0.03):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(100))
    return "answer"
"""


def run(pytester: pytest.Pytester, test: str, *options: str) -> pytest.RunResult:
    """Run a file of tests in which `spin` keeps a core busy."""
    pytester.makepyfile(SPIN + test)
    plugin = "trimwatt.integrations.pytest_plugin"
    loaded = any(point.value == plugin for point in _points())
    return pytester.runpytest("-p", "no:cacheprovider", *([] if loaded else ["-p", plugin]), *options)


def _points() -> list[object]:
    from importlib.metadata import entry_points

    return list(entry_points(group="pytest11"))


def test_a_frugal_test_passes_and_a_greedy_one_fails_with_the_letter_j(pytester: pytest.Pytester) -> None:
    result = run(pytester, """
@pytest.mark.max_energy("1 MJ")
def test_frugal(): spin()
@pytest.mark.max_energy("1 nJ")
def test_greedy(): spin()
""")  # fmt: skip
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*test_*.py .J*", "*FAILURES*", "*energy * exceeds the limit of 1.00 nJ*"])
    assert "Traceback" not in result.stdout.str()


def test_a_limit_within_the_interval_is_a_warning_and_strict_makes_it_a_failure(pytester: pytest.Pytester) -> None:
    test = """
@pytest.mark.max_energy("1 J")
def test_straddles(energy):
    energy(spin)
    low, high = energy.total.low, energy.total.high
    object.__setattr__(LIMIT[0], "joules", (low + high) / 2)
LIMIT = []
@pytest.fixture(autouse=True)
def limit(request):
    from trimwatt.integrations import pytest_plugin
    LIMIT[:] = [request.node.stash[pytest_plugin._LIMIT]]
"""
    result = run(pytester, test)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*EnergyInconclusive: inconclusive: energy * lies within its interval*"])
    run(pytester, test, "-W", "error").assert_outcomes(passed=1, warnings=1)
    run(pytester, test, "-W", "ignore").assert_outcomes(passed=1, warnings=0)
    run(pytester, test, "--energy-strict").assert_outcomes(failed=1)


def test_the_fixture_calls_as_often_as_the_mark_says_and_judges_one_call(pytester: pytest.Pytester) -> None:
    result = run(pytester, """
from trimwatt.units import parse_energy
def test_without_a_mark(energy):
    assert energy(spin, seconds=0.01) == "answer"
    assert energy.joules > 0 and energy.reading.cpu_s >= 0.01
@pytest.mark.max_energy("1 MJ", repeat=4)
def test_with_one(energy):
    calls = []
    energy(calls.append, 1)
    assert calls == [1] * 4 and energy.calls == 1
def test_an_error_of_the_function_is_its_own(energy):
    with pytest.raises(ZeroDivisionError):
        energy(lambda: 1 / 0)
""")  # fmt: skip
    result.assert_outcomes(passed=3)


def test_ten_calls_are_no_dearer_a_call_than_one(pytester: pytest.Pytester) -> None:
    result = run(pytester, """
TAKEN = []
@pytest.mark.parametrize("n", [pytest.param(n, marks=pytest.mark.max_energy("1 MJ", repeat=n)) for n in (1, 10)])
def test_it(energy, n):
    energy(spin, 0.06)
    TAKEN.append(energy.reading.cpu_s / n)
def test_both():
    assert TAKEN[0] == pytest.approx(TAKEN[1], rel=0.3)
""")  # fmt: skip
    result.assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ('"5"', "'5' is not energy with a unit"),
        ('"5 parsecs"', "is not energy with a unit; write it like 10kJ or 5Wh"),
        ('"0 J"', "0 J allows nothing"),
        ("5", "takes one limit with its unit"),
        ("", "takes one limit with its unit"),
        ('"5 J", repeat=0', "repeat is a whole number of at least 1, got 0"),
        ('"5 J", repeat=2', "take it and write energy(function, ...)"),
        ('"5 J", repeats=2', "does not know repeats"),
        ('"5 J", min_source="guessed"', "min_source is one of estimated, mixed, measured"),
    ],
)
def test_a_wrong_mark_is_one_line(pytester: pytest.Pytester, mark: str, message: str) -> None:
    result = run(pytester, f"@pytest.mark.max_energy({mark})\ndef test_it(): pass")
    result.assert_outcomes(errors=1)
    assert message in result.stdout.str()
    assert "Traceback" not in result.stdout.str() and "site-packages" not in result.stdout.str()


def test_a_fixture_that_is_never_called_is_said(pytester: pytest.Pytester) -> None:
    result = run(pytester, '@pytest.mark.max_energy("5 J")\ndef test_it(energy): pass')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*never called it*"])


def test_a_test_that_fails_by_itself_keeps_its_own_letter(pytester: pytest.Pytester) -> None:
    result = run(pytester, '@pytest.mark.max_energy("1 nJ")\ndef test_it():\n    assert spin() == 2')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*test_*.py F*", "*AssertionError*"])


def test_where_only_estimates_are_a_measured_limit_is_skipped_and_never_passed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(pytester.path / "none"))
    from trimwatt.meter import session

    if session.meter().sensor.origin != "estimated":
        pytest.skip("this machine has sensors")
    test = '@pytest.mark.max_energy("1 MJ", min_source="measured")\ndef test_it(): raise SystemExit("was run")'
    result = run(pytester, test, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs a measured source; this machine offers an estimate only*"])


def test_where_counters_are_a_measured_limit_is_judged(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = f"""
from pathlib import Path
from trimwatt.meter.fake import FakePowercap, FakeZone, constant
TREE = FakePowercap(Path({str(pytester.path / "tree")!r}), [
    FakeZone("intel-rapl:0", "package-0", constant(50)), FakeZone("intel-rapl:0:0", "dram", constant(5))])
def work():
    end = time.monotonic() + 0.15
    while time.monotonic() < end:
        TREE.advance(0.02)
"""
    monkeypatch.setenv("TRIMWATT_POWERCAP", str(pytester.path / "tree" / "class" / "powercap"))
    result = run(pytester, tree + """
@pytest.mark.max_energy("1 MJ", min_source="measured")
def test_frugal(): work()
@pytest.mark.max_energy("1 nJ", min_source="measured")
def test_greedy(): work()
""")  # fmt: skip
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*measured exceeds the limit of 1.00 nJ*"])


def test_junit_has_the_joules(pytester: pytest.Pytester) -> None:
    run(pytester, '@pytest.mark.max_energy("1 MJ")\ndef test_it(): spin()', "--junitxml=out.xml").assert_outcomes(
        passed=1
    )
    root = xml.parse(pytester.path / "out.xml").getroot()  # noqa: S314 - just written
    found = {p.get("name"): p.get("value") for p in root.iter("property")}
    low, joules, high = (float(found[name] or "") for name in ("energy_J_low", "energy_J", "energy_J_high"))
    assert 0 < low <= joules <= high
    assert found["energy_origin"] in ("estimated", "mixed", "measured")


SIZED = """
import os
def test_it(energy): energy(spin, float(os.environ["SPIN"]))
test_it = pytest.mark.max_energy("1 MJ", repeat=5)(test_it)
"""


def test_a_baseline_is_kept_and_an_increase_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPIN", "0.02")
    result = run(pytester, SIZED, "--energy-save", "main")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*kept as the baseline 'main'*"])
    kept = json.loads((pytester.path / ".trimwatt" / "energy" / "main.json").read_text())
    (test,) = kept["tests"].values()
    assert len(test["looks"]) == 5 and test["low"] <= test["joules"] <= test["high"]
    gate = ("--energy-compare", "main", "--energy-fail-on-increase", "60%")
    assert "baseline" in run(pytester, SIZED, *gate).stdout.str()
    monkeypatch.setenv("SPIN", "0.1")
    result = run(pytester, SIZED, *gate)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*times the baseline*1.6 allowed*"])
    run(pytester, SIZED, *gate[:2]).assert_outcomes(passed=1)
    kept["host"]["processor"] = "another"
    (pytester.path / ".trimwatt" / "energy" / "main.json").write_text(json.dumps(kept))
    result = run(pytester, SIZED, *gate)
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(["*made on another machine or sensor*"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--energy-compare", "absent"], "there is no energy baseline 'absent'"),
        (["--energy-compare", "../etc"], "a baseline's name is letters"),
        (["--energy-fail-on-increase", "10%"], "add --energy-compare NAME"),
        (["--energy-compare", "kept", "--energy-fail-on-increase", "10"], "write it like 10%"),
        (["--energy-save", "kept"], "replace it with --energy-force"),
        (["--energy-compare", "broken"], "is no energy baseline"),
    ],
)
def test_wrong_options_are_one_line_and_run_nothing(
    pytester: pytest.Pytester, options: list[str], message: str
) -> None:
    folder = pytester.path / ".trimwatt" / "energy"
    folder.mkdir(parents=True)
    (folder / "kept.json").write_text('{"schema": "trimwatt/pytest/1", "host": {}, "tests": {}}')
    (folder / "broken.json").write_text("{")
    result = run(pytester, 'def test_it(): raise SystemExit("was run")', *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert "Traceback" not in result.stderr.str() and "was run" not in result.stdout.str()


def test_workers_of_xdist_are_judged_each_and_their_figures_reach_the_baseline(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    result = run(pytester, """
@pytest.mark.max_energy("1 MJ")
def test_a(): spin()
@pytest.mark.max_energy("1 nJ")
def test_b(): spin()
@pytest.mark.max_energy("1 MJ")
def test_c(energy): energy(spin)
""", "-n", "2", "--energy-save", "main", "-p", "xdist")  # fmt: skip
    result.assert_outcomes(passed=2, failed=1)
    assert "J" in result.stdout.str()
    kept = json.loads((pytester.path / ".trimwatt" / "energy" / "main.json").read_text())
    assert len(kept["tests"]) == 3


def test_a_run_without_marks_says_nothing_and_loads_nothing(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(): spin()")
    result.assert_outcomes(passed=1)
    assert "energy" not in result.stdout.str()
    code = (
        "import sys, pytest; before = set(sys.modules); import trimwatt.integrations.pytest_plugin;"
        " print(sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "['trimwatt']"


def test_the_mark_and_the_options_are_told(pytester: pytest.Pytester) -> None:
    assert "max_energy(limit, repeat=1" in run(pytester, "", "--markers").stdout.str()
    assert "--energy-fail-on-increase" in run(pytester, "", "--help").stdout.str()


def test_the_judgement() -> None:
    limit = Limit(5.0)
    assert [limit.judge(Energy(j, j - 1, j + 1, "measured"))[0] for j in (3.9, 4.0, 4.1, 6.0, 6.1)] == [
        "kept", "kept", "inconclusive", "inconclusive", "exceeded",
    ]  # fmt: skip
    assert [Limit(1, min_source="mixed").accepts(o) for o in ("estimated", "mixed", "measured")] == [False, True, True]
    assert Limit.of(("3 mWh",), {}).joules == pytest.approx(10.8)


def test_an_increase_needs_looks_that_do_not_overlap() -> None:
    before = [1.0, 1.02, 1.05]
    assert increase([1.0, 1.01, 1.1], before, 0.1)[0] == "kept"
    assert increase([1.2, 1.21, 1.3], before, 0.1)[0] == "exceeded"
    assert increase([1.12, 1.2, 1.3], before, 0.1)[0] == "inconclusive"
    assert increase([1.3], [1.0], 0.1)[0] == "inconclusive"
    assert increase([2.0], [1.0], 0.1)[0] == "exceeded"


def test_a_baseline_that_did_nothing_settles_nothing() -> None:
    assert increase([1.0], [0.0], 0.1)[0] == "inconclusive"


def test_waiting_longer_is_not_more_work() -> None:
    one = Energy(1.0, 0.9, 1.1, "estimated")
    quiet = Reading(None, one.scaled(2), {}, 0.1, 0.05, marginal=one, idle=one)
    stretched = replace(quiet, process=one.scaled(9), duration_s=0.8, idle=one.scaled(8))
    assert _work(stretched) == _work(quiet) == 1.0
    assert _work(replace(quiet, marginal=None)) == 2.0


@pytest.mark.parametrize("text", ["10", "ten%", "-5%", ""])
def test_an_increase_that_is_no_percentage(text: str) -> None:
    with pytest.raises(InputError, match="write it like 10%"):
        share(text)
    assert share("12.5 %") == 0.125


def test_a_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    for name in ("../x", "/x", "", ".hidden", "a/b"):
        with pytest.raises(InputError):
            place(tmp_path, name)
    assert place(tmp_path, "v1.2").parent == tmp_path / ".trimwatt" / "energy"
    assert _gate.SCHEMA == "trimwatt/pytest/1"
