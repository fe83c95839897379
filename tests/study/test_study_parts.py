"""Recommendation, pay-back, folders and options, without a single process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt.energy import Energy
from trimwatt.errors import InputError
from trimwatt.study import folder as folders
from trimwatt.study import recommend, summary, verdict
from trimwatt.study.engine import Found
from trimwatt.study.limits import Limits
from trimwatt.study.options import Options
from trimwatt.trial import Quality, Ratio, Trial
from trimwatt.workload import Independence


def _trial(name: str, ratio: float, *, meets: bool = True, cost: float = 1.0, joules: float = 1.0) -> Trial:
    return Trial(
        name, name, "tree", [], "onnxruntime", name, meets_floor=meets, floor_test="not_disproven",
        quality=Quality("accuracy", 0.9, 0.88, 0.92, 360, True), latency_s={"p50": 0.002, "p95": 0.003},
        size_bytes=1000, peak_rss_bytes=50_000_000,
        ratio_to_baseline=Ratio(ratio, ratio * 0.95, ratio * 1.05, 20, "less", "cpu_seconds"),
        cost=Energy(cost, cost, cost, "estimated"), energy_per_prediction=Energy(joules, joules, joules, "estimated"),
    )  # fmt: skip


def test_the_cheapest_that_meets_the_floor_comes_first() -> None:
    trials = [
        _trial("a", 0.5),
        _trial("b", 0.1, meets=False),
        _trial("c", 0.2),
        replace(_trial("d", 0.1), status="failed"),
    ]
    assert [t.id for t in recommend.eligible(trials, Options())] == ["c", "a"]


def test_strict_takes_only_what_is_proven() -> None:
    proven = replace(_trial("p", 0.6), floor_test="proven")
    assert recommend.eligible([_trial("a", 0.5), proven], Options(strict=True)) == [proven]


def test_what_is_proven_goes_before_what_is_cheaper_unless_boldness_is_asked() -> None:
    unproven, proven = _trial("a", 0.2), replace(_trial("p", 0.6), floor_test="proven")
    assert recommend.eligible([unproven, proven], Options()) == [proven]
    assert recommend.eligible([unproven, proven], Options(bold=True)) == [unproven, proven]


def test_where_nothing_proven_saves_the_estimate_is_taken() -> None:
    unproven, dearer = _trial("a", 0.2), replace(_trial("p", 0.97), floor_test="proven")
    assert recommend.eligible([unproven, dearer], Options()) == [unproven, dearer]
    assert recommend.eligible([unproven, dearer], Options(strict=True)) == [dearer]


def test_where_rows_prove_nothing_the_same_model_in_a_leaner_runtime_goes_before_the_estimate() -> None:
    given, same, smaller = _trial("g", 1.0), _trial("s", 0.6), _trial("a", 0.2)
    trials, alike = [given, same, smaller], {"g", "s"}
    assert recommend.eligible(trials, Options(), given, alike) == [same, given]
    assert recommend.eligible(trials, Options(bold=True), given, alike) == [smaller, same, given]
    assert recommend.eligible(trials, Options(strict=True), given, alike) == []
    # the same model that saves nothing is no reason to go without what does
    assert recommend.eligible([given, smaller], Options(), given, {"g"}) == [smaller, given]


def test_strict_and_bold_exclude_each_other() -> None:
    with pytest.raises(InputError, match="ask for one of them"):
        Options(strict=True, bold=True)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [({"max_latency": "1ms"}, 0), ({"max_latency": 0.01}, 1), ({"max_size": "999B"}, 0), ({"max_memory": "40MB"}, 0)],
)
def test_limits_rule_out(limits: dict[str, Any], kept: int) -> None:
    assert len(recommend.eligible([_trial("a", 0.5)], Options(**limits))) == kept


def test_an_unknown_figure_breaks_a_limit_that_is_set() -> None:
    assert Limits(memory_bytes=1).broken(None, None, None) == "memory"
    assert Limits().broken(None, None, None) is None


def test_only_what_could_still_be_cheapest_goes_to_the_finals() -> None:
    ranked = [_trial("a", 0.10), _trial("b", 0.11), _trial("c", 0.30)]
    assert [t.id for t in recommend.finalists(ranked)] == ["a", "b"]
    assert recommend.finalists([]) == []


def test_of_those_tied_the_one_cheapest_to_find() -> None:
    assert recommend.cheapest_to_find([_trial("a", 0.1, cost=40), _trial("b", 0.1, cost=4)]).id == "b"


def test_of_those_tied_one_that_opens_without_trust() -> None:
    objects, data = replace(_trial("a", 0.1, cost=4), runtime="sklearn"), _trial("b", 0.1, cost=40)
    assert recommend.cheapest_to_find([objects, data]).id == "b"
    assert recommend.cheapest_to_find([objects, replace(data, runtime="openvino")]).id == "b"
    assert recommend.cheapest_to_find([objects, replace(data, runtime="torch")]).id == "a"
    # the model one has needs no other file
    assert recommend.cheapest_to_find([objects, data], baseline="a").id == "a"
    assert recommend.by_screening([objects, data])[0] is data


def test_beside_a_choice_that_needs_trust_the_cheapest_that_does_not_is_named() -> None:
    objects, near, far = replace(_trial("a", 0.1), runtime="sklearn"), _trial("b", 0.3), _trial("c", 0.5)
    base = _trial("base", 1.0)
    assert recommend.cheapest_as_data([objects, near, far], objects, "base") is near
    assert recommend.cheapest_as_data([objects, base], objects, "base") is None
    assert recommend.cheapest_as_data([objects, near], near, "base") is None
    assert recommend.cheapest_as_data([objects, near], objects, "a") is None
    found = Found(base, base, 0.9, recommended=objects, as_data=near)
    said = verdict.sentence(found, Options(), recommend.PayBack(None, None), Independence())
    assert (
        "opens for you here, or with --trust; the cheapest that opens anywhere without trust is b (0.300 times" in said
    )
    assert "none that meets the floor opens without" in verdict.sentence(
        replace(found, as_data=None), Options(), recommend.PayBack(None, None), Independence()
    )
    assert "--trust" not in verdict.sentence(
        replace(found, recommended=near, as_data=None), Options(), recommend.PayBack(None, None), Independence()
    )


def test_a_proven_one_is_named_beside_a_choice_that_is_not() -> None:
    dear, cheap, loss = (replace(_trial(n, r), floor_test="proven") for n, r in (("d", 0.8), ("p", 0.6), ("l", 1.2)))
    unproven = _trial("a", 0.5)
    assert recommend.cheapest_proven([unproven, cheap, dear], unproven) is cheap
    assert recommend.cheapest_proven([unproven, loss], unproven) is None
    assert recommend.cheapest_proven([cheap, dear], cheap) is None


def test_a_cheaper_one_is_named_beside_a_proven_choice_where_it_is_surely_cheaper() -> None:
    proven, cheaper, near = replace(_trial("p", 0.6), floor_test="proven"), _trial("a", 0.5), _trial("n", 0.58)
    assert recommend.cheaper_by_estimate([proven], proven, [cheaper, proven]) is cheaper
    assert recommend.cheaper_by_estimate([proven], proven, [near, proven]) is None
    wide = replace(cheaper, ratio_to_baseline=Ratio(0.45, 0.2, 0.9, 6, "less", "cpu_seconds"))
    assert recommend.cheaper_by_estimate([proven], proven, [wide, cheaper, proven]) is cheaper
    assert recommend.cheaper_by_estimate([cheaper, proven], proven, [cheaper, proven]) is None
    assert recommend.cheaper_by_estimate([proven], cheaper, [cheaper, proven]) is None


def test_what_is_not_known_is_not_said_to_be_never() -> None:
    base = _trial("base", 1.0)
    chosen = replace(_trial("c", 0.5, joules=0.5), cost=None)
    pay = recommend.pay_back(base, chosen, None)
    said = verdict.sentence(Found(base, base, 0.9, chosen), Options(), pay, None)
    assert "is unknown" in said and "never" not in said
    dearer = replace(_trial("x", 1.3, joules=1.3), ratio_to_baseline=Ratio(1.3, 1.2, 1.4, 20, "more", "cpu_seconds"))
    told = verdict.sentence(
        Found(base, base, 0.9, dearer), Options(), recommend.pay_back(base, dearer, base.cost), None
    )
    assert "times less" not in told and "never pays back" in told


@given(st.floats(0.01, 0.99), st.floats(1, 1e6))
def test_pay_back_is_when_the_saving_equals_the_cost(share: float, cost: float) -> None:
    base, chosen = _trial("base", 1, joules=2.0), _trial("c", share, cost=cost, joules=2.0 * share)
    pay = recommend.pay_back(base, chosen, Energy(3 * cost, cost, 4 * cost, "estimated"))
    assert pay.own_predictions is not None and pay.study_predictions is not None
    assert pay.own_predictions * (2.0 - 2.0 * share) == pytest.approx(cost)
    assert pay.study_predictions == pytest.approx(3 * pay.own_predictions)


def test_what_saves_nothing_never_pays_back() -> None:
    same = _trial("same", 1.0)
    assert recommend.pay_back(same, same, same.cost) == recommend.PayBack(None, None)


def test_points_meant_as_percent_are_caught() -> None:
    with pytest.raises(InputError, match=r"did you mean 0\.01"):
        Options(max_drop=1)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["max_drop", "floor"])
def test_a_limit_that_is_no_number_is_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} is a finite number, got {value:g}"):
        Options(**{name: value})


def test_a_folder_that_cannot_be_made_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file is no folder that one can write to"):
        folders.choose(tmp_path / "file" / "a" / "b", "x.csv", resume=False, force=True)
    assert folders.choose(tmp_path / "a" / "b", "x.csv", resume=False, force=False) == tmp_path / "a" / "b"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_there_is_refused_and_a_strangers_never_replaced(tmp_path: Path) -> None:
    place = tmp_path / "out"
    assert folders.choose(place, "x.csv", resume=False, force=False) == place
    place.mkdir()
    (place / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is there already"):
        folders.choose(place, "x.csv", resume=False, force=False)
    with pytest.raises(InputError, match="not a study of trimwatt"):
        folders.choose(place, "x.csv", resume=False, force=True)
    with pytest.raises(InputError, match="no study in"):
        folders.choose(place, "x.csv", resume=True, force=False)


def test_input_that_turns_out_unusable_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "out"
    with pytest.raises(InputError), folders.Place(place, resume=False):
        (place / "half").write_text("x")
        raise InputError("a budget that does not cover the baseline")
    assert not place.exists()


def test_json_is_written_beside_and_renamed(tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    folders.write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        folders.write_json(path, {"a": float("nan")})
    assert path.read_text() == '{\n "a": 1\n}'


def test_a_floor_that_was_named_is_set_by_no_model() -> None:
    assert Options().seeks_reference and not Options(reference="baseline").seeks_reference
    assert not Options(floor=0.9).seeks_reference


def test_strict_ends_with_4_where_the_strongest_is_taken_though_cheaper_ones_may_do() -> None:
    base, strong, cheap = _trial("base", 1.0, meets=False), _trial("strong", 0.9), _trial("cheap", 0.1)
    found = Found(base, strong, 0.9, recommended=strong, confirmed=True)
    every = [base, replace(strong, floor_test="proven"), cheap]
    assert summary.exit_code(found, Options(strict=True), every) == 0
    found.boldest = cheap
    assert summary.exit_code(found, Options(strict=True), every) == 4
    assert summary.exit_code(found, Options(), every) == 0
