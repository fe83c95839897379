"""trimwatt compare: commands, artifacts, logs."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]


def _command(code: str) -> str:
    return shlex.join([sys.executable, "-S", "-E", "-c", code])


LONG, SHORT = (_command(f"print(sum(i * i for i in range({n})) * 0)") for n in (200000, 20000))


def test_two_commands_as_json(run: Run, tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    code, out, err = run("compare", "--a", LONG, "--b", SHORT, "--cap", "10", "--json", "-o", raw)
    record = json.loads(out)
    assert code == 0
    assert record["schema"] == "trimwatt/comparison/1"
    fixed = {"ratio", "low", "high", "pairs", "basis", "verdict", "self_test", "a", "b"}
    assert fixed <= record.keys()
    assert (record["verdict"], record["pairs"]) == ("more", 10)
    assert record["low"] > 1
    assert len(raw.read_text().splitlines()) > 20
    assert "raw.csv" in err
    code, _, err = run("compare", "--a", LONG, "--b", SHORT, "--cap", "5", "-o", raw)
    assert code == 2 and "--force" in err


def test_two_commands_for_people(run: Run) -> None:
    code, out, _ = run("compare", "--a", LONG, "--b", SHORT, "--cap", "5")
    flat = " ".join(out.split())
    assert code == 0
    for text in ("takes", "random error", "model error", "gross", "results", "5 pairs, fewer than 20"):
        assert text in flat


def test_strict_ends_with_four_where_nothing_can_be_claimed(run: Run) -> None:
    code, out, err = run("compare", "--a", SHORT, "--b", SHORT, "--cap", "5", "--strict", "--json")
    assert code == 4
    assert json.loads(out)["verdict"] == "inconclusive"
    assert err.strip().count("\n") == 0 and "--cap" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "two commands"),
        (["--a", "ls"], "--b is missing"),
        (["--a", "ls 'x", "--b", "ls"], "quotes"),
        (["--a", "", "--b", "ls"], "--a is empty"),
        (["--a", "ls", "--b", "ls", "--data", "x.csv"], "not both"),
        (["--a", "ls", "--b", "ls", "--precision", "200%"], "between 0 and 1"),
        (["--a", "ls", "--b", "ls", "--cap", "3"], "at least 5 pairs"),
        (["--a", "ls", "--b", "ls", "--cap", "a lot"], "budget"),
        (["--a", "no-such-program-here", "--b", "ls"], "cannot be started"),
        (["--a", "false", "--b", "true"], "ended with code 1"),
        (["--a", "echo 1", "--b", "echo 2"], "print different results"),
        (["--from-csv", "x.csv"], "--arm"),
        (["--from-csv", "x.csv", "--arm", "m", "--a", "1", "--b", "2", "--value", "v", "--where", "k"], "COLUMN=VALUE"),
    ],
)
def test_a_line_says_what_is_wrong(run: Run, arguments: list[str], why: str) -> None:
    code, out, err = run("compare", *arguments)
    assert (code, out) == (2, "")
    assert why in err and err.strip().count("\n") == 0


def test_what_commands_print_is_shown_when_asked(run: Run) -> None:
    code, out, err = run("compare", "--a", "echo seen", "--b", "echo seen", "--cap", "5", "-v", "--json")
    assert code == 0 and "seen" in err
    json.loads(out)


def test_artifacts_on_the_same_rows(run: Run, delivered: dict[str, Path], tmp_path: Path) -> None:
    from trimwatt.testing import samples

    rows = tmp_path / "rows.npz"
    np.savez(rows, x=samples.digits().rows.val.x)
    digits = delivered["digits"]
    code, out, err = run("compare", digits, digits, "--data", rows, "--cap", "5", "--json")
    assert code == 0, err
    record: dict[str, Any] = json.loads(out)
    assert record["parity"] == {
        "checked": True, "what": f"predictions on {len(np.load(rows)['x'])} rows", "equal": 1.0,
    }  # fmt: skip
    assert (record["a"]["name"], record["b"]["name"]) == ("digits (1)", "digits (2)")
    code, _, err = run("compare", digits, delivered["people"], "--data", rows)
    assert code == 2 and err.strip().count("\n") == 0


def test_a_log_is_looked_at_again(run: Run) -> None:
    rng = np.random.default_rng(0)
    lines = [
        f"{arm},{value * scale:.6f}" for arm, scale in (("old", 2), ("new", 1)) for value in rng.lognormal(0, 0.05, 30)
    ]
    Path("runs.csv").write_text("\n".join(["model,energy_J", *lines]) + "\n")
    asked = ("compare", "--from-csv", "runs.csv", "--arm", "model", "--a", "new", "--b", "old", "--value", "energy_J")
    code, out, _ = run(*asked)
    assert code == 0 and "less" in out and "unpaired" in " ".join(out.split())
    code, out, _ = run(*asked, "--json")
    record = json.loads(out)
    assert record["verdict"] == "less" and record["low"] < 0.5 < record["high"]
