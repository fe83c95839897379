"""A tenth of `make fuzz`, always the same cases: opened baselines answer as the models that were given."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="random modules need PyTorch: pip install 'trimwatt[torch]'")

from fuzz import KINDS, MOST_REFUSED, run


@pytest.mark.parametrize("kind", KINDS)
def test_the_opened_baseline_answers_as_the_model_that_was_given(kind: str) -> None:
    outcomes = list(run(kind, range(KINDS[kind][2] // 10)))
    faults = [
        f"{number}: {found.kind}: {found.reason}"
        for number, found in outcomes
        if found.kind not in ("equal", "refused")
    ]
    assert faults == []
    refused = [f"{number}: {found.reason}" for number, found in outcomes if found.kind == "refused"]
    assert len(refused) <= max(1, MOST_REFUSED * len(outcomes)), refused


@pytest.mark.parametrize("kind", KINDS)
def test_a_case_is_the_same_whatever_ran_before(kind: str) -> None:
    alone = [outcome for _, outcome in run(kind, [2])]
    after = [outcome for _, outcome in run(kind, [0, 2])][1:]
    assert alone == after
