"""The baseline: made first, judged, measured against itself; what everything is compared with."""

from __future__ import annotations

import time
from dataclasses import replace

from trimwatt.errors import InputError, TrialFailed, TrialStopped
from trimwatt.study import patience, weights
from trimwatt.study.candidate import Candidate
from trimwatt.study.crossing import cross_baseline
from trimwatt.study.engine import Engine, Found, now
from trimwatt.study.worker import Usage
from trimwatt.trial import Ratio, Trial


def run(engine: Engine, candidate: Candidate) -> Found:
    """Make and open the baseline; raises InputError where it cannot be made or the budget does not cover it."""
    engine.event("stage", text=f"baseline: {candidate.name}")
    stored, trial, limit_s = engine.stored(candidate), engine.new(candidate), 0.8 * engine.unspent_s()
    engine.baseline_id = engine.judging.reference = trial.id
    engine.candidates[trial.id] = candidate
    try:
        trial = _made(engine, trial, candidate, stored, limit_s)
        return _measured(engine, trial, stored)
    except TrialStopped as error:
        raise InputError(patience.too_little(engine.options.allowance)) from error
    except TrialFailed as error:
        raise InputError(f"the baseline cannot be made: {error}") from error


def _made(engine: Engine, trial: Trial, candidate: Candidate, stored: Trial | None, limit_s: float) -> Trial:
    """The artifact of an earlier run serves again where files suffice to open it, and its answers are there."""
    answered = engine.judging.validation.is_crossed and engine.judging.answered(trial.id) is not None
    judged = answered or not engine.judging.validation.is_crossed
    if stored is not None and judged and candidate.runtime != "torch" and engine.openable() >= {trial.id}:
        return trial
    until = time.monotonic() + limit_s
    crossed = None if answered else cross_baseline(engine, trial, candidate, limit_s)
    known = stored is not None and weights.restore(engine, candidate, engine.place(trial.id))
    with engine.ledger.booking("prepare", trial.id, "worker process"):
        made = engine.make(trial, candidate, crossed, until - time.monotonic())
        engine.ledger.book(trial.id, made.outcome.usages if stored is None else _again(made.outcome.usages))
    engine.artifacts[trial.id] = made.whole()
    if not known:
        weights.keep(engine, candidate, engine.place(trial.id))
    if crossed is not None:
        engine.judging.keep(trial.id, crossed.val)
    return engine.with_making(trial, made, crossed)


def _measured(engine: Engine, trial: Trial, stored: Trial | None) -> Found:
    artifact, rows = engine.artifact(trial), engine.judging.validation.judged
    engine.bench.call_s = 0.8 * engine.unspent_s()
    with engine.ledger.booking("evaluate", trial.id, "baseline"):
        arm = engine.bench.baseline = engine.bench.open(artifact, "baseline")
        if engine.bench.reference is not None:
            engine.bench.reference.check_baseline(arm)
        if engine.judging.answered(trial.id) is None:
            engine.judging.keep(trial.id, engine.bench.predictions(arm, rows))
        judged = engine.judging.judge(engine.answers_of(trial))
    with engine.ledger.booking("measure", trial.id, "self-test"):
        test, side = engine.bench.check_host(artifact, 0.1 * engine.unspent_s()), engine.bench.alone(arm)
        trial = engine.described(trial, judged, arm, artifact)
    if stored is not None:
        return Found(stored, stored, judged.floor, folds=engine.judging.validation.is_crossed)
    trial = replace(
        trial, ratio_to_baseline=_itself(test.pairs, side.basis),
        energy_per_prediction=side.energy, cpu_s_per_prediction=side.cpu_s, finished=now(),
    )  # fmt: skip
    engine.keep(trial)
    return Found(trial, trial, judged.floor, folds=engine.judging.validation.is_crossed)


def _itself(pairs: int, basis: str) -> Ratio:
    """The baseline over itself."""
    return Ratio(1.0, 1.0, 1.0, pairs, "tied", basis, {"value": 1.0, "low": 1.0, "high": 1.0})


def _again(usages: list[Usage]) -> list[Usage]:
    """A baseline made once more after a restart is real work, booked as preparation."""
    return [replace(usage, stage="prepare", step=f"{usage.step} (after a restart)") for usage in usages]
