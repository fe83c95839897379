"""Runs recorded elsewhere: units asked for, broken readings counted, nothing claimed from too little."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.compare import logfile, recorded, unpaired
from trimwatt.errors import InputError

CODECARBON = "timestamp,project_name,run_id,duration,emissions,emissions_rate,energy_consumed,tracking_mode\n"


def log(n: int = 30, ratio: float = 0.5, seed: int = 0, sigma: float = 0.2) -> dict[str, list[str]]:
    """Skewed runs of two arms in the order a, b, a, b, ..."""
    rng = np.random.default_rng(seed)
    joules = np.exp(sigma * rng.standard_normal(2 * n)) * np.where(np.arange(2 * n) % 2 == 0, ratio, 1.0)
    return {
        "model": ["small", "large"] * n, "energy_J": [repr(float(v)) for v in joules],
        "f1": [f"{v:.4f}" for v in 0.9 - 0.01 * (np.arange(2 * n) % 2 == 0) + 0.001 * rng.standard_normal(2 * n)],
    }  # fmt: skip


def analyse(columns: dict[str, list[str]], **options: object) -> recorded.Recorded:
    asked = {"arm": "model", "a": "small", "b": "large", "value": "energy_J", **options}
    return recorded.analyse(columns, **asked)  # type: ignore[arg-type]


def test_a_known_ratio_is_found_by_both_methods() -> None:
    for method in ("yuen", "bootstrap"):
        found = analyse(log(), method=method)
        assert found.verdict == "less"
        assert found.low is not None and found.high is not None
        assert found.low < 0.5 < found.high
        assert found.high / found.low < 1.35


@given(st.floats(-3, 3), st.integers(0, 50))
def test_scaling_one_arm_scales_the_ratio_and_its_bounds(shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(12), rng.standard_normal(17)
    plain, moved = unpaired.yuen_welch(a, b), unpaired.yuen_welch(a + shift, b)
    assert moved.value == pytest.approx(plain.value + shift)
    assert moved.half_width == pytest.approx(plain.half_width)


def test_equal_samples_of_equal_size_have_yuens_interval_with_twice_the_freedom() -> None:
    from scipy.special import stdtrit

    x = np.random.default_rng(0).standard_normal(20)
    found, one = unpaired.yuen_welch(x, x), unpaired.trimmed(x)
    assert found.value == 0
    assert found.half_width == pytest.approx(stdtrit(22, 0.975) * math.sqrt(2 * one.squared_error))


def test_trimmed_means_of_skewed_runs_are_covered() -> None:
    rng, hits = np.random.default_rng(1), 0
    for _ in range(300):
        a, b = np.log(rng.lognormal(0, 1, 20) + 0.3), np.log(rng.lognormal(0, 1, 30) + 0.3)
        interval = unpaired.yuen_welch(a, b)
        hits += interval.low <= 0 <= interval.high
    assert hits >= 275


def test_cliffs_delta_is_that_of_its_definition() -> None:
    found = unpaired.cliffs_delta(np.array([1.0, 2, 3, 4]), np.array([2.0, 3, 5]))
    assert found.value == pytest.approx((3 - 7) / 12)
    assert -1 <= found.low < found.value < found.high <= 1
    apart = unpaired.cliffs_delta(np.arange(30.0), np.arange(30.0) + 100)
    assert (apart.value, apart.size) == (-1, "large")
    assert -0.95 < apart.high < -0.7


def test_runs_needed_fall_with_the_square_of_the_difference_and_are_enough() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal(200), rng.standard_normal(200)
    wide, close = (unpaired.runs_needed(a, b, d) for d in (0.4, 0.2))
    assert wide is not None and close is not None
    assert close == pytest.approx(4 * wide, rel=0.02)
    seen = 0
    for _ in range(300):
        interval = unpaired.yuen_welch(rng.standard_normal(wide) + 0.4, rng.standard_normal(wide))
        seen += interval.low > 0
    assert 0.72 <= seen / 300 <= 0.92
    assert unpaired.runs_needed(a, b, 0.0) is None


def test_few_runs_claim_nothing() -> None:
    columns = {name: cells[:8] for name, cells in log(ratio=0.1).items()}
    found = analyse(columns)
    assert (found.verdict, found.ratio) == ("inconclusive", None)
    assert "at least 5" in found.reason
    assert json.loads(json.dumps(found.to_dict()))["ratio"] is None


def test_a_difference_that_its_runs_barely_show_is_not_claimed() -> None:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(40)
    noise -= unpaired.trimmed(noise).mean
    shift = 2.3 * math.sqrt(2 * unpaired.trimmed(noise).squared_error)
    joules = np.concatenate([np.exp(noise - shift), np.exp(noise)])
    found = analyse({"model": ["small"] * 40 + ["large"] * 40, "energy_J": [repr(float(v)) for v in joules]})
    assert found.high is not None and found.high < 1
    assert found.verdict == "inconclusive"
    assert "runs an arm, and there are 40" in found.reason
    needed = found.needed["difference_seen"]
    assert needed is not None and 40 < needed < 80


def test_broken_readings_are_counted_by_kind_and_not_averaged() -> None:
    clean, broken = log(), log()
    for row, cell in zip((0, 2, 4, 6), ("0.0", "-1", "", "oops"), strict=True):
        broken["energy_J"][row] = cell
    found = analyse(broken)
    assert (found.a.rows, len(found.a.values)) == (30, 26)
    assert (found.a.zero_or_less, found.a.missing, found.a.unreadable) == (2, 1, 1)
    assert found.b.rows == len(found.b.values) == 30
    assert sum("left out" in w for w in found.warnings) == 3
    whole = analyse(clean)
    assert found.ratio == pytest.approx(whole.ratio, rel=0.15)
    kept = {name: [c for i, c in enumerate(cells) if i not in (0, 2)] for name, cells in broken.items()}
    without = analyse(kept)
    assert found.low is not None and without.low is not None
    assert found.low < without.low, "what failed readings may have hidden widens the interval"


def test_more_failed_readings_than_trimming_removes_end_it() -> None:
    columns = log()
    for row in range(0, 16, 2):
        columns["energy_J"][row] = "0"
    found = analyse(columns)
    assert (found.verdict, found.ratio) == ("inconclusive", None)
    assert "zero or less" in found.reason


def test_quality_is_told_beside_in_its_own_unit() -> None:
    f1 = analyse(log(), quality=["f1"]).quality["f1"]
    assert f1["low"] < -0.01 < f1["high"] < 0
    constant = {**log(), "f1": ["0.9"] * 60}
    assert any("same in every run" in w for w in analyse(constant, quality=["f1"]).warnings)


@pytest.mark.parametrize(("claim", "verdict"), [(0.8, "holds"), (0.5, "not settled"), (0.2, "short")])
def test_a_claim_is_judged_by_the_whole_interval(claim: float, verdict: str) -> None:
    found = analyse(log(), claim=claim)
    assert found.claim == {"ratio": claim, "verdict": verdict}
    assert found.needed["difference_claimed"] is not None


def test_groups_are_compared_within() -> None:
    # large ran mostly on the fast machine: pooled, the small model seems no cheaper
    rng = np.random.default_rng(3)
    rows = [("small", "slow")] * 25 + [("small", "fast")] * 8 + [("large", "slow")] * 8 + [("large", "fast")] * 25
    true = [(0.5 if m == "small" else 1.0) * (4.0 if h == "slow" else 1.0) for m, h in rows]
    joules = [repr(float(t * math.exp(0.1 * z))) for t, z in zip(true, rng.standard_normal(len(rows)), strict=True)]
    columns = {"model": [m for m, _ in rows], "machine": [h for _, h in rows], "energy_J": joules}
    pooled, grouped = analyse(columns), analyse(columns, group="machine")
    assert pooled.ratio is not None and pooled.ratio > 0.8
    assert grouped.ratio == pytest.approx(0.5, rel=0.1)
    assert grouped.verdict == "less"
    assert set(grouped.groups) == {"slow", "fast"}


def test_a_claim_is_judged_in_each_group() -> None:
    rng = np.random.default_rng(4)
    rows = [(m, s) for s in ("x", "y") for m in ("small", "large") for _ in range(30)]
    true = np.array([1.0 if m == "large" else {"x": 0.5, "y": 0.1}[s] for m, s in rows])
    columns = {
        "model": [m for m, _ in rows], "set": [s for _, s in rows],
        "energy_J": list(true * np.exp(rng.normal(0, 0.05, len(rows)))),
    }  # fmt: skip
    found = analyse(columns, group="set", claim=0.2)
    assert found.claim == {"ratio": 0.2, "verdict": "differs by group", "groups": {"short": 1, "holds": 1}}
    assert analyse(columns, group="set", claim=0.9).claim == {"ratio": 0.9, "verdict": "holds", "groups": {"holds": 2}}
    assert analyse(columns, group="set").claim is None


def test_groups_that_disagree_are_not_made_one() -> None:
    columns = {name: a + b for (name, a), b in zip(log(ratio=0.3).items(), log(ratio=1.4).values(), strict=True)}
    columns["set"] = ["x"] * 60 + ["y"] * 60
    found = analyse(columns, group="set")
    assert found.verdict == "inconclusive"
    assert "disagree" in found.reason
    assert found.heterogeneity is not None and found.heterogeneity > 0.9


def test_runs_of_one_day_count_as_one_where_a_day_has_one_arm() -> None:
    columns = log()
    columns["day"] = [f"{m}{i // 20}" for i, m in enumerate(columns["model"])]
    found = analyse(columns, group="day")
    assert (len(found.a.values), found.verdict) == (3, "inconclusive")
    columns["day"] = [f"{m}{i // 10}" for i, m in enumerate(columns["model"])]
    assert analyse(columns, group="day").verdict == "less"


@pytest.mark.parametrize(
    ("name", "factor", "si"),
    [
        ("energy(J)", 1.0, "J"),
        ("e [mWh]", 3.6, "J"),
        ("train_kwh", 3.6e6, "J"),
        ("t_ms", 1e-3, "s"),
        ("e_MJ", 1e6, "J"),
    ],
)
def test_a_unit_is_read_from_the_name(name: str, factor: float, si: str) -> None:
    found = logfile.value_column(name, {name: ["1"]})
    assert (found[0], found[1].si) == (name, si)
    assert found[1].factor == pytest.approx(factor)


@pytest.mark.parametrize("name", ["energy", "energy_mj", "power_W", "x_id"])
def test_a_column_without_a_unit_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="does not say its unit"):
        logfile.value_column(name, {name: ["1"]})
    assert logfile.value_column(f"{name}:kWh", {name: ["1"]})[1].factor == 3.6e6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "modell"}, "is not in the log; it has model"),
        ({"a": "tiny"}, "no row has 'tiny' in model; it has large, small"),
        ({"value": "joules:J"}, "is not in the log"),
        ({"value": "energy_J:parsec"}, "no unit of energy"),
        ({"claim": -1.0}, "a claim is a ratio"),
        ({"b": "small"}, "two values"),
        ({"where": {"model": "none"}}, "nothing is left"),
        ({"quality": ["auc"]}, "is not in the log"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        analyse(log(), **options)


def test_codecarbons_file_is_known_by_its_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = [
        f"2026-01-01T00:00:{i:02d},{name},r{i},9.5,1e-5,1e-6,{scale * rng.lognormal(0, 0.05):.8g},machine"
        for i in range(12)
        for name, scale in (("int8", 1e-6), ("fp32", 3e-6))
    ]
    path = tmp_path / "emissions.csv"
    path.write_text(CODECARBON + "\n".join(lines) + "\n", encoding="utf-8")
    found = recorded.analyse(path, arm="project_name", a="int8", b="fp32", value="energy_consumed")
    assert found.verdict == "less"
    assert found.ratio == pytest.approx(1 / 3, rel=0.05)
    assert float(np.median(found.b.values)) == pytest.approx(3e-6 * 3.6e6, rel=0.05)
    assert any("estimates" in w for w in found.warnings)


def test_a_semicolon_file_with_decimal_commas_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"{m};{v},5" for v in range(1, 7) for m in ("a", "b")]
    path.write_text("model;energy_J\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = recorded.analyse(path, arm="model", a="a", b="b", value="energy_J")
    assert found.a.values.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5, 6.5]
    assert (found.ratio, found.verdict) == (1.0, "inconclusive")


def test_the_published_runs(shared_data: Path) -> None:
    found = recorded.analyse(
        shared_data / "ict4s22_runs.csv.gz", arm="no_datapoints", a=389, b=3900, value="train_energy(J)",
        where={"RQ": 2.1, "algorithm": "Random Forest"}, quality=["f1"], claim=1 - 0.9216,
    )  # fmt: skip
    assert found.verdict == "less"
    assert found.ratio == pytest.approx(0.0862, abs=5e-4)
    assert found.claim is not None and found.claim["verdict"] == "not settled"
    assert found.quality["f1"]["high"] < -0.25
