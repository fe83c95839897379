"""How long one candidate may take."""

from __future__ import annotations

import pytest

from trimwatt.study import patience
from trimwatt.trial import Trial
from trimwatt.units import parse_budget


@pytest.mark.parametrize(
    ("left_s", "share", "waiting", "each_s", "measuring_s", "allowed"),
    [
        (30.0, 0.5, 0, 4.0, 3.0, 27.0),
        (30.0, 0.5, 2, 4.0, 3.0, 19.0),
        (30.0, 0.5, 20, 4.0, 3.0, 15.0),
        (300.0, 0.25, 25, 20.0, 3.0, 75.0),
        (300.0, 0.25, 3, 20.0, 3.0, 237.0),
        (30.0, 0.1, 20, 4.0, 3.0, 10.0),
        (6.0, 0.25, 20, 4.0, 3.0, 6.0),
        (0.2, 0.5, 0, 4.0, 3.0, 1.0),
        (-5.0, 0.5, 3, 4.0, 3.0, 1.0),
        (40.0, 0.5, 8, None, 3.0, 20.0),
        (40.0, 0.5, 0, None, 3.0, 37.0),
    ],
)
def test_a_candidate_gets_its_share_and_what_the_others_have_no_use_for(
    left_s: float, share: float, waiting: int, each_s: float | None, measuring_s: float, allowed: float
) -> None:
    assert patience.allowed_s(left_s, share, waiting, each_s, measuring_s) == pytest.approx(allowed)


def test_fewer_that_wait_never_leave_it_less() -> None:
    limits = [patience.allowed_s(60.0, 0.25, waiting, 5.0, 3.0) for waiting in range(20)]
    assert limits == sorted(limits, reverse=True) and limits[-1] == 15.0


def _trial(started: str, finished: str) -> Trial:
    return Trial("t00", "a", "f", [], "onnxruntime", "k", started=started, finished=finished)


def test_the_longest_trial_yet_is_what_the_others_are_thought_to_take() -> None:
    short = _trial("2026-01-01T00:00:00.000+00:00", "2026-01-01T00:00:01.500+00:00")
    long = _trial("2026-01-01T23:59:50.000+00:00", "2026-01-02T00:00:02.000+00:00")
    assert patience.longest_s([short, long, short]) == 12.0
    assert patience.longest_s([_trial("", ""), short]) == 1.5
    assert patience.longest_s([]) is None


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("1s", "a budget of 1.00 s does not even cover the baseline; give more, say --budget 1min"),
        ("30min", "a budget of 30 min 0 s does not even cover the baseline; give more, say --budget 120min"),
        ("10J", "a budget of 10.0 J does not even cover the baseline; give more, say --budget 40J"),
        ("5Wh", "a budget of 18.0 kJ does not even cover the baseline; give more, say --budget 72000J"),
    ],
)
def test_what_does_not_cover_the_baseline_is_told_with_a_budget_that_may(budget: str, said: str) -> None:
    assert patience.too_little(parse_budget(budget)) == said
    assert parse_budget(said.rpartition(" ")[2]).amount > parse_budget(budget).amount
