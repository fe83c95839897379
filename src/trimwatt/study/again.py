"""Models fitted again on more rows than they were judged by: those that are handed over, and those they are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trimwatt.errors import TrialFailed
from trimwatt.study.candidate import Candidate, group
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
        if engine.unspent_s() < engine.fitting_s(trial) + 2 * engine.pace_s:
            found.notes.append(f"{engine.by_id(trial).name} was not fitted again on validation rows: no time was left")
            continue
        _fit(engine, found, engine.by_id(trial), replace(data, train=data.train.joined(data.val)))


def _fit(engine: Engine, found: Found, trial: Trial, data: Data) -> None:
    try:
        made = _made(engine, trial, data, _CHOSEN_BY)
        engine.artifacts[trial.id] = made.whole()
        engine.fitted_again.add(trial.id)
        if trial.id == found.baseline.id:
            _open_baseline(engine, found)
    except TrialFailed as error:
        found.notes.append(f"{trial.name} stays as it was fitted on the training rows alone: {error}")


def _made(engine: Engine, trial: Trial, data: Data, rows: str) -> Made:
    """The recipe of a trial, from other rows, in a folder of its own."""
    candidate = engine.candidates[trial.id]
    engine.event("stage", text=f"{trial.name}, fitted again")
    engine.workshop.use(rows, data)
    place = engine.place(f"{trial.id}-again")
    with engine.ledger.booking("prepare", trial.id, "worker process"):
        made = engine.workshop.make(candidate.recipe, candidate.runtime, place, engine.unspent_s(), rows)
        engine.ledger.book(trial.id, made.outcome.usages)
    return made


def _open_baseline(engine: Engine, found: Found) -> None:
    """The baseline as it is now, for all that follows to be compared with."""
    artifact = engine.artifacts[found.baseline.id]
    with engine.ledger.booking("measure", found.baseline.id, "baseline, fitted again"):
        arm = engine.bench.open(artifact, "baseline")
        engine.bench.close()
        engine.bench.baseline = arm
        side = engine.bench.alone(arm)
        figures = engine.figures(arm, artifact)
    notes = [*found.baseline.notes, NOTE]
    own = {"energy_per_prediction": side.energy, "cpu_s_per_prediction": side.cpu_s, "notes": notes, **figures}
    found.baseline = engine.amend(replace(engine.by_id(found.baseline.id), **own))
    if found.reference.id == found.baseline.id:
        found.reference = found.baseline


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
            figures = engine.figures(arm, artifact)
            settled = chosen
            if chosen.id != found.baseline.id:
                comparison = engine.bench.screen(arm, max(2.0, 0.4 * engine.unspent_s()))
                settled = compared(chosen, found.baseline, comparison)
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
    return from_nothing or group(candidate.recipe[0]) in ("classical", "architecture")
