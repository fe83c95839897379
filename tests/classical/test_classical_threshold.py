"""The decision threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimwatt import metric
from trimwatt.errors import TrialFailed
from trimwatt.technique._base import Technique, apply
from trimwatt.technique.classical import Linear, Tree
from trimwatt.technique.lower import Lower
from trimwatt.technique.threshold import Threshold, best_threshold
from trimwatt.testing import samples
from trimwatt.testing.technique import TechniqueContract
from trimwatt.workload import Decide, Workload


class TestContract(TechniqueContract):
    @pytest.fixture
    def technique(self) -> Technique:
        return Threshold()

    @pytest.fixture(params=["sklearn", "onnx"])
    def workload(self, request: pytest.FixtureRequest) -> Workload:
        fitted = apply(Linear(), samples.people())
        return apply(Lower(), fitted) if request.param == "onnx" else fitted


def test_it_raises_f1_where_the_positive_class_is_rare() -> None:
    rng = np.random.default_rng(0)
    share = rng.beta(0.5, 4, 20_000)
    truth, probabilities = (rng.random(20_000) < share).astype(np.int64), np.stack([1 - share, share], axis=1)
    f1 = metric.get("f1", 1)
    best = best_threshold(f1, truth[:1000], probabilities[:1000], 1)
    after, before = (f1(truth[1000:], Decide((0, 1), t, 1).codes(probabilities[1000:])) for t in (best, 0.5))
    assert after > before + 0.05
    # for calibrated scores the best threshold is half the best F1 (the reference, theorem 2)
    assert best == pytest.approx(after / 2, abs=0.05)


def test_the_rarer_class_is_positive_where_nobody_says() -> None:
    work = replace(apply(Linear(), samples.people()), decide=None)
    done = apply(Threshold(), work)
    assert done.decide is not None and done.decide.positive == 1


@given(st.integers(10, 60), st.integers(10, 60), st.integers(0, 1))
def test_classes_that_do_not_overlap_are_told_apart(low: int, high: int, positive: int) -> None:
    share = np.concatenate([np.linspace(0.05, 0.30, low), np.linspace(0.45, 0.60, high)])
    truth = np.repeat([1 - positive, positive], [low, high])
    probabilities = np.empty((low + high, 2))
    probabilities[:, positive], probabilities[:, 1 - positive] = share, 1 - share
    f1 = metric.get("f1", positive)
    best = best_threshold(f1, truth, probabilities, positive)
    assert 0.30 < best <= 0.45
    assert f1(truth, Decide((0, 1), best, positive).codes(probabilities)) == 1.0


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=300), st.integers(0, 2**16))
def test_a_threshold_lies_between_scores(scores: list[float], seed: int) -> None:
    share = np.asarray(scores, dtype=np.float64)
    truth = np.random.default_rng(seed).integers(0, 2, len(share))
    best = best_threshold(metric.get("accuracy"), truth, np.stack([1 - share, share], axis=1), 1, seed)
    assert 0 < best < 1
    assert best == 0.5 or share.min() < best < share.max()


def test_nothing_to_decide_is_a_reason() -> None:
    digits = apply(Tree(), samples.digits(rows=200))
    with pytest.raises(TrialFailed, match="two classes"):
        apply(Threshold(), digits)
    people = replace(apply(Tree(), samples.people()), metric=metric.get("auc", positive=1))
    with pytest.raises(TrialFailed, match="auc does not read labels"):
        apply(Threshold(), people)
