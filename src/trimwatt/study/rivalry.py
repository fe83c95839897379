"""How candidates stand to each other: who is beaten for certain, and how sure each rank is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trimwatt.compare import many
from trimwatt.compare.pareto import front
from trimwatt.study.engine import Engine
from trimwatt.trial import Trial
from trimwatt.workload import Array

# rows times candidates times draws that are judged at most: some seconds
_MOST = 2e8
_DRAWS = 1000


def placed(engine: Engine) -> list[Trial]:
    """The trials with their place: on the front unless another beat them in 95 % of resamples; ranked by cost.

    Source: facts behind the comparer's rules, docs/evidence.md, rule 10. Where answers of an earlier run are gone, the
    front of the figures themselves.
    """
    done = [t for t in engine.trials if t.quality is not None and t.ratio_to_baseline is not None]
    if not done:
        return engine.trials
    shares = _dominated(engine, done)
    flags = _front(engine, done) if shares is None else [share < 0.95 for share in shares]
    ranks = _ranks(engine, done)
    known = {
        t.id: replace(t, on_front=bool(flag), dominated=None if shares is None else float(shares[n]), rank=ranks[n])
        for n, (t, flag) in enumerate(zip(done, flags, strict=True))
    }
    return [known.get(trial.id, trial) for trial in engine.trials]


def _bounds(trial: Trial) -> tuple[float, float, float]:
    ratio = trial.ratio_to_baseline
    return (1.0, 1.0, 1.0) if ratio is None else (ratio.value, ratio.low, ratio.high)


def _ranks(engine: Engine, done: Sequence[Trial]) -> list[dict[str, int]]:
    rng = np.random.default_rng(engine.workload.seed)
    bounds = [_bounds(trial) for trial in done]
    observed = np.array([value for value, _, _ in bounds])
    return [
        rank.to_dict() for rank in many.rank_intervals(many.cost_draws_from_intervals(bounds, rng), np.log(observed))
    ]


def _dominated(engine: Engine, done: Sequence[Trial]) -> list[float] | None:
    """The share of resamples in which each is beaten, rows and ratios drawn together; None without all answers.

    One that was given up after some of the folds is held to the others on the rows of these.
    """
    found = [engine.judging.answered(trial.id) for trial in done]
    answers = [answer for answer in found if answer is not None]
    if len(answers) < len(done):
        return None
    most = max(len(answer) for answer in answers)
    whole = [n for n, answer in enumerate(answers) if len(answer) == most]
    shares = dict(zip(whole, _beaten(engine, [done[n] for n in whole], [answers[n] for n in whole]), strict=True))
    for n in range(len(done)):
        if n not in shares:
            beside, few = [*whole, n], len(answers[n])
            shares[n] = _beaten(engine, [done[m] for m in beside], [answers[m][:few] for m in beside])[-1]
    return [shares[n] for n in range(len(done))]


def _beaten(engine: Engine, done: Sequence[Trial], answers: Sequence[Array]) -> list[float]:
    metric, validation, n = engine.workload.quality, engine.judging.validation, len(answers[0])
    truth, folds = validation.rows(n).y, validation.folds(n)
    # values and ranks take longer than labels
    each = len(truth) * (1 if metric.reads == "labels" else 4)
    draws = int(min(_DRAWS, max(100, _MOST / (each * len(done)))))
    rng = np.random.default_rng(engine.workload.seed)
    cost = many.cost_draws_from_intervals([_bounds(trial) for trial in done], rng, draws)
    quality = many.quality_draws(metric, truth, list(answers), rng, draws, None if folds is None else folds.number)
    return [float(share) for share in many.dominated_share(cost, quality, metric.greater_is_better)]


def _front(engine: Engine, done: Sequence[Trial]) -> list[bool]:
    cost = [_bounds(trial)[0] for trial in done]
    quality = [trial.quality.value for trial in done if trial.quality]
    return [bool(flag) for flag in front(cost, quality, engine.workload.quality.greater_is_better)]
