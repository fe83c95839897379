"""Models fitted again on more rows than they were judged by: those that are handed over, and those they are held to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from trimwatt.compare.arms import SessionArm
from trimwatt.energy import Energy, total
from trimwatt.errors import TrialFailed
from trimwatt.runtime._base import Artifact
from trimwatt.study.candidate import Candidate
from trimwatt.study.engine import Engine, Found, compared
from trimwatt.study.workshop import Made
from trimwatt.trial import Trial
from trimwatt.workload import Data

# names of the rows, as the workshop knows them
_CHOSEN_BY, _EVERY = "all", "every"
NOTE = "fitted again on training and validation rows"


def fit_again(engine: Engine, found: Found, rivals: Sequence[Trial]) -> None:
    """Fit baseline, rivals and reference on training and validation rows, in this order, for as long as time lasts.

    With folds they are already. What comes of it is measured in the finals. A model that came fitted stays as it is.
    """
    if engine.judging.validation.is_crossed:
        return
    data = engine.workload.rows
    for trial in dict.fromkeys(t.id for t in (found.baseline, *rivals, found.reference)):
        if trial in engine.fitted_again or not _learns(engine, engine.candidates.get(trial)):
            continue
        if engine.unspent_s() < engine.fitting_s(trial) + 3 * engine.pace_s:
            found.notes.append(f"{engine.by_id(trial).name} was not fitted again on validation rows: no time was left")
            continue
        _fit(engine, found, engine.by_id(trial), replace(data, train=data.train.joined(data.val)))


def _fit(engine: Engine, found: Found, trial: Trial, data: Data) -> None:
    """Put the trial fitted again in the place of what was judged, where it opens and keeps the limits."""
    try:
        made = _made(engine, trial, data, _CHOSEN_BY)
        artifact = made.whole()
        own = _measure(engine, trial, artifact, is_baseline=trial.id == found.baseline.id)
    except TrialFailed as error:
        found.notes.append(f"{trial.name} stays as it was fitted on the training rows alone: {error}")
        return
    engine.artifacts[trial.id] = artifact
    engine.fitted_again.add(trial.id)
    own |= {"cost": _cost(trial, made), "notes": [*trial.notes, NOTE]}
    engine.amend(replace(trial, **own))
    found.baseline, found.reference = (engine.by_id(t.id) for t in (found.baseline, found.reference))


def _made(engine: Engine, trial: Trial, data: Data, rows: str) -> Made:
    """The recipe of a trial, from other rows, in a folder of its own."""
    candidate = engine.candidates[trial.id]
    engine.event("stage", text=f"{trial.name}, fitted again")
    engine.workshop.use(rows, data)
    place = engine.place(f"{trial.id}-again")
    with engine.ledger.booking("prepare", trial.id, "worker process"):
        threshold, left_s = engine.threshold(trial), engine.unspent_s()
        made = engine.workshop.make(candidate.recipe, candidate.runtime, place, left_s, rows, threshold)
        engine.ledger.book(trial.id, made.outcome.usages)
    return made


def _measure(engine: Engine, trial: Trial, artifact: Artifact, is_baseline: bool) -> dict[str, Any]:
    """What the trial says of itself as it is now; the baseline stays open for all that follows to be compared with."""
    with engine.ledger.booking("measure", trial.id, "fitted again"), ExitStack() as stack:
        arm = stack.enter_context(engine.bench.open(artifact, "baseline" if is_baseline else trial.name))
        if not is_baseline:
            return _figures(engine, trial, arm, artifact)
        side, figures = engine.bench.alone(arm), engine.figures(arm, artifact)
        stack.pop_all()
        engine.bench.close()
        engine.bench.baseline = arm
        return {"energy_per_prediction": side.energy, "cpu_s_per_prediction": side.cpu_s, **figures}


def _figures(engine: Engine, trial: Trial, arm: SessionArm, artifact: Artifact) -> dict[str, Any]:
    """The figures of a trial fitted again; raises TrialFailed where it breaks a limit that it kept before."""
    before = {"latency_s": trial.latency_s, "size_bytes": trial.size_bytes, "peak_rss_bytes": trial.peak_rss_bytes}
    figures = engine.figures(arm, artifact)
    broken = _broken(engine, figures)
    if broken and not _broken(engine, before):
        raise TrialFailed(f"fitted again it breaks the limit on {broken}")
    return figures


def _broken(engine: Engine, figures: dict[str, Any]) -> str | None:
    latency_s = (figures["latency_s"] or {}).get("p50")
    return engine.options.limits.broken(latency_s, figures["size_bytes"], figures["peak_rss_bytes"])


def _cost(trial: Trial, made: Made) -> Energy | None:
    """What finding it took, with fitting it again."""
    return total([cost for cost in (trial.cost, made.cost) if cost is not None])


def fit_on_all(engine: Engine, found: Found) -> None:
    """Where that was asked, fit the confirmed model on the test rows too, and measure what is then handed over."""
    chosen = found.recommended
    if engine.options.refit != "all" or chosen is None:
        return
    if not found.confirmed or not _learns(engine, engine.candidates.get(chosen.id)):
        why = "it came fitted" if found.confirmed else "it is not confirmed"
        found.notes.append(f"{chosen.name} was not fitted again on the test rows: {why}")
        return
    data = engine.workload.rows
    every = replace(data, train=data.train.joined(data.val).joined(data.test))
    try:
        made = _made(engine, chosen, every, _EVERY)
        artifact = made.whole()
        with engine.bench.open(artifact, chosen.name) as arm, engine.ledger.booking("measure", chosen.id, "all rows"):
            figures = _figures(engine, chosen, arm, artifact)
            settled = replace(chosen, cost=_cost(chosen, made))
            if chosen.id != found.baseline.id:
                comparison = engine.bench.screen(arm, max(2.0, 0.4 * engine.unspent_s()))
                settled = compared(settled, found.baseline, comparison)
    except TrialFailed as error:
        found.notes.append(f"{chosen.name} was not fitted again on the test rows: {error}")
        return
    engine.artifacts[chosen.id] = artifact
    found.recommended = engine.amend(replace(settled, **figures))
    found.refitted = True
    found.notes.append(
        "the model handed over was fitted again after confirmation, with the test rows, and is itself not judged"
    )


def _learns(engine: Engine, candidate: Candidate | None) -> bool:
    """Whether its recipe fits a model from nothing, not one that came fitted."""
    if candidate is None or not candidate.recipe:
        return False
    from_nothing = engine.workload.form == "none" or engine.workload.trainer is not None
    return from_nothing or candidate.recipe[0].stage == "model"
