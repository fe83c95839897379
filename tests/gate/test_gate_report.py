"""What the gate says: in lines, and as Markdown that stays a table."""

from __future__ import annotations

from dataclasses import replace

from trimwatt.gate.result import Checked, Finding, Outcome
from trimwatt.report import gate

RATIO = Finding("energy", "a|b", "fail", 1.053, 1.031, 1.075, 1.02, "ratio", "cpu_seconds", "20 pairs")
BUDGET = Finding("energy", "budget", "inconclusive", 0.0052, 0.0041, 0.0063, 0.005, "J", "", "estimated")
SIZE = Finding("size", "budget", "pass", 1_140_000, None, None, 2e6, "B")
LOSS = Finding("quality", "main", "pass", 0.913, 0.90, 0.92, 0.905, "f1")
HOST = {"cpu": "Some CPU", "cores": 2, "sensor": "cpu-model (estimated)"}


def outcome(*findings: Finding, strict: bool = False, warning: str = "") -> dict[str, object]:
    warnings = (warning,) if warning else ()
    return Outcome((Checked("busy", "call", findings, warnings=warnings),), "a|b", HOST, strict).to_dict()


def test_each_finding_is_a_line_with_its_interval_limit_and_word() -> None:
    lines = gate.lines(outcome(RATIO, BUDGET, SIZE, LOSS, warning="CPU seconds are compared"))
    assert lines == [
        "busy",
        "  ✗ CPU seconds against a|b 1.053x [1.031x to 1.075x], limit 1.020x: broken (20 pairs)",
        "  ? energy 5.20 mJ [4.10 to 6.30], limit 5.00 mJ: not settled (estimated)",
        "  ✓ size 1.14 MB, limit 2.00 MB: kept",
        "  ✓ f1 against main 0.913 [0.900 to 0.920], limit 0.905: kept",
        "  ! CPU seconds are compared",
        "The gate is closed: 1 of 4 limits is broken.",
    ]


def test_the_verdict_says_what_strict_would_do() -> None:
    assert "passes with a warning" in gate.verdict(outcome(BUDGET, SIZE))
    assert "fails under --strict" in gate.verdict(outcome(BUDGET, SIZE, strict=True))
    assert gate.verdict(outcome(SIZE, LOSS)) == "All 2 limits are kept."
    assert "Nothing was asked" in gate.verdict(outcome())


def test_markdown_stays_a_table_whatever_stands_in_it() -> None:
    text = gate.markdown(outcome(replace(RATIO, note="*x* <b> | y\nz"), SIZE))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    # six cells: seven bars that no backslash stands before
    assert {row.count("|") - row.count("\\|") for row in rows} == {7}
    assert "\\*x\\* \\<b\\> \\| y z" in text
    assert "a\\|b" in text
    assert "<b>" not in text
