"""Figures as text: nothing is lost, nothing unknown becomes a number."""

from __future__ import annotations

import re

import pytest
import sample_study as samples
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.report import _study, _text, tables

PREFIXES = {"n": 1e-9, "µ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@given(st.floats(1e-8, 1e11), st.floats(0.3, 1), st.floats(1, 3))
def test_a_value_and_its_interval_share_a_prefix_and_read_back(value: float, down: float, up: float) -> None:
    text, interval = _text.scaled(value, value * down, value * up, "J")
    number, unit = text.split(" ")
    factor = PREFIXES[unit.removesuffix("J")]
    assert float(number.replace(",", "")) * factor == pytest.approx(value, rel=6e-3)
    low, high = (float(part.replace(",", "")) for part in interval.split(" to "))
    assert low * factor == pytest.approx(value * down, abs=0.006 * value)
    assert high * factor == pytest.approx(value * up, abs=0.006 * value)
    assert "e" not in text + interval.replace(" to ", "")


@given(st.floats(0.001, 1e15))
def test_counts_have_three_digits_and_read_back(value: float) -> None:
    words = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
    number, _, word = _text.number(value).partition(" ")
    read = float(number.replace(",", "")) * words.get(word, 1)
    assert read == pytest.approx(value, rel=6e-3, abs=1)


@given(st.floats(0.001, 0.9), st.floats(0, 0.2))
def test_the_ratio_of_a_saving_turns_into_times_less(value: float, half: float) -> None:
    text, interval = _text.ratio(samples.ratio(value, half, verdict="less"))
    assert text.endswith("x less")
    low, high = (float(part.rstrip("x").replace(",", "")) for part in interval.split(" to "))
    assert low <= float(text.split("x")[0].replace(",", "")) <= high


def test_what_cannot_be_told_apart_claims_no_factor() -> None:
    assert _text.ratio(samples.ratio(0.98, verdict="tied"))[0] == "tied"
    assert _text.ratio(samples.ratio(0.9, verdict="inconclusive"))[0] == "inconclusive"


@pytest.mark.parametrize("function", [_text.energy, _text.quality, _text.ratio])
def test_unknown_is_a_dash_and_never_zero(function: object) -> None:
    assert function(None) == (_text.UNKNOWN, "")  # type: ignore[operator]
    assert _text.seconds(None) == _text.size(None) == _text.number(None) == _text.UNKNOWN
    assert _text.quality(samples.quality(float("nan"), 0.1)) == (_text.UNKNOWN, "")


def test_a_quality_and_its_half_width_have_the_same_decimals() -> None:
    assert (_text.quality(samples.quality(0.9094, 0.0031))[0], _text.half_width(samples.quality(0.9094, 0.0031))) == (
        "0.909", "±0.003",
    )  # fmt: skip
    assert _text.half_width(samples.quality(41.23, 0.8)) == "±0.8"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert _text.plain("a\x1b[31mb\nc\x07\u202ed") == "a [31mb c d"


def test_never_is_said_plainly() -> None:
    study = samples.sample()
    study["payback"]["study_predictions"] = None
    own, whole = _study.payback_lines(study)
    assert own == "after 2,610 predictions (its own cost, 63.5 J)"
    assert whole.startswith("never (the whole study")
    assert _study.payback_lines(samples.nothing_found()) == ["never: the baseline stays, so nothing is saved"]


def test_stages_add_up_to_the_total() -> None:
    study = samples.sample()
    stages = _study.ledger(study)
    assert sum(stage["joules"] for stage in stages) == pytest.approx(_study.total(study)["joules"])  # type: ignore[index]
    assert sum(stage["share"] for stage in stages) == pytest.approx(1)
    assert [stage["stage"] for stage in stages] == ["prepare", "train", "compress", "evaluate", "measure", "export"]


def test_measured_and_estimated_together_are_mixed() -> None:
    both = [samples.energy(1, origin="measured"), samples.energy(2, origin="estimated")]
    assert _study.sum_energy(both)["origin"] == "mixed"


def test_pairs_are_of_one_model_and_end_in_something_cheaper() -> None:
    study = samples.sample()
    pairs = _study.pairs(study)
    assert [(a["id"], b["id"]) for a, b in pairs] == [("t0", "t1"), ("t4", "t5")]
    for before, after in pairs:
        assert _study.cost_of(study, after) < _study.cost_of(study, before)  # type: ignore[operator]


def test_levers_on_a_given_model_are_of_its_lineage_and_rivals_are_not() -> None:
    def kin(*names: str) -> str:
        return _study.lineage({"recipe": [{"technique": name} for name in names]})

    assert kin() == kin("lower") == kin("lower", "static-int8") == kin("finetune", "prune-channels", "lower")
    assert kin("threshold") == kin()
    assert kin("mlp", "lower", "static-int8") == kin("mlp", "threshold") != kin()


def test_the_recommended_comes_first_and_what_failed_last() -> None:
    rows = _study.ranked(samples.sample())
    assert [row["id"] for row in rows[:2]] == ["t1", "t0"]
    assert [row["status"] for row in rows[-3:]] == ["failed", "skipped", "stopped"]


def test_the_csv_has_a_row_a_trial_and_empty_cells_for_the_unknown() -> None:
    import csv
    import io

    rows = list(csv.DictReader(io.StringIO(tables.csv(samples.sample()))))
    assert len(rows) == 13
    assert float(rows[1]["ratio_to_baseline_value"]) == 0.0065
    assert rows[10]["energy_per_prediction_joules"] == ""
    assert rows[8]["recipe"] == "mlp > prune-channels > fine-tune > static-int8"


def test_the_markdown_table_keeps_its_columns_whatever_names_hold() -> None:
    study = samples.hostile()
    study["trials"][0]["name"] = "a | b\nc"
    lines = [line for line in tables.markdown(study).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {11}
    assert len(lines) == 2 + 13
    assert "<script" not in "\n".join(lines).replace("\\<", "")


def test_candidates_are_placed_by_the_ratio_and_not_by_joules_of_another_moment() -> None:
    study = samples.sample()
    slowed, first = study["trials"][1], study["trials"][0]
    before = _study.cost_of(study, slowed)
    slowed["energy_per_prediction"]["joules"] *= 1.4
    assert _study.cost_of(study, slowed) == before == pytest.approx(0.0065 * _study.cost_of(study, first))  # type: ignore[operator]
    slowed["ratio_to_baseline"] = None
    assert _study.cost_of(study, slowed) == slowed["energy_per_prediction"]["joules"]
