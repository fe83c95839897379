"""The end of a study: direct finals among those that could be the cheapest, then one look at the test rows."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from trimwatt.compare.finals import Finals
from trimwatt.errors import TrialFailed
from trimwatt.study import again, recommend
from trimwatt.study.bench import Judged
from trimwatt.study.engine import Engine, Found, compared
from trimwatt.trial import Trial
from trimwatt.workload import Array


def decide(engine: Engine, found: Found) -> None:
    """Choose the cheapest proven to meet the floor, of those tied the one cheapest to find; the baseline may win."""
    there = [t for t in engine.trials if t.id in engine.openable()]
    pool = recommend.eligible(there, engine.options, found.reference, _alike(engine, found))
    all_that_meet = recommend.acceptable(there, engine.options)
    if not pool and engine.options.strict:
        # nothing is proven on these rows, which is no reason to leave a baseline that meets the floor on them
        pool = [trial for trial in all_that_meet if trial.id == found.baseline.id]
    _decide(engine, found, pool)
    kept = found.recommended is not None and found.recommended.id in (found.baseline.id, found.reference.id)
    if kept and not engine.options.strict and len(all_that_meet) > len(pool):
        # what was proven saved nothing after all
        _decide(engine, found, all_that_meet)
    found.by_estimate = all_that_meet[0] if all_that_meet and found.recommended is None else None
    found.independent = not _rests_on_ties(engine, found.recommended or found.by_estimate)
    found.safest = recommend.cheapest_proven(pool, found.recommended, found.reference)
    found.boldest = recommend.cheaper_by_estimate(pool, found.recommended, all_that_meet)
    found.as_data = recommend.cheapest_as_data([*pool, *all_that_meet], found.recommended, found.baseline.id)
    _note_columns(engine, found)
    engine.keep_pending()


def _alike(engine: Engine, found: Found) -> set[str]:
    """Where judged rows prove nothing: the reference's own model in whatever runtime answers alike, on any rows."""
    if not engine.workload.rows.independence.withheld:
        return set()
    same = (trial for trial in engine.trials if trial.recipe == found.reference.recipe)
    return {trial.id for trial in same if engine.judging.answers_alike(trial, found.reference)}


def _rests_on_ties(engine: Engine, chosen: Trial | None) -> bool:
    """Whether what is said of it, or of all where none is chosen, needs rows that are tied to training rows."""
    return engine.workload.rows.independence.withheld or (chosen is not None and chosen.withheld)


def _note_columns(engine: Engine, found: Found) -> None:
    """Say which columns the recommended model reads, where the data have more."""
    rows, chosen = engine.workload.rows.train.x, found.recommended
    read = engine.artifact(chosen).columns if chosen is not None else None
    if isinstance(rows, dict) and read is not None and len(read) < len(rows):
        names = ", ".join(repr(name) for name in read[:12]) + (" ..." if len(read) > 12 else "")
        found.notes.append(f"the recommended model reads {len(read)} of the {len(rows)} columns: {names}")


def _decide(engine: Engine, found: Found, pool: list[Trial]) -> None:
    """Choose from `pool`, cheapest first: by direct finals where there is time, else by screening."""
    rivals = recommend.finalists([t for t in pool if t.id != found.baseline.id])
    affordable = int(engine.unspent_s() / engine.pace_s) - 2
    eligible = {trial.id for trial in pool}
    found.recommended, found.tied = recommend.by_screening(pool, found.baseline.id)
    if rivals and affordable < 1:
        # nor for fitting the choice again, which must not be held to a baseline and a reference that were
        found.notes.append("no time was left for direct finals: the choice rests on screening")
        return
    again.fit_again(engine, found, rivals[: max(0, affordable)])
    if found.recommended is not None:
        found.recommended = engine.by_id(found.recommended.id)
    if rivals:
        _finals(engine, found, rivals[:affordable], eligible)


def _finals(engine: Engine, found: Found, rivals: list[Trial], eligible: set[str]) -> None:
    engine.event("finals", names=[trial.name for trial in rivals])
    with ExitStack() as stack, engine.ledger.booking("measure", None, "finals"):
        arms, present = [], []
        for trial in rivals:
            try:
                arms.append(stack.enter_context(engine.bench.open(engine.artifact(trial), trial.name)))
                present.append(trial)
            except TrialFailed as error:
                found.notes.append(f"{trial.name} did not open for the finals: {error}")
        try:
            result = engine.bench.finals(arms, max(2.0, 0.4 * engine.unspent_s())) if arms else None
        except TrialFailed as error:
            before = ", of the models before they were fitted again" if engine.fitted_again else ""
            found.notes.append(f"the finals were not finished, the choice rests on screening{before}: {error}")
            return
    if result is not None:
        settled = [
            engine.amend(compared(engine.by_id(t.id), found.baseline, c))
            for t, c in zip(present, result.to_baseline, strict=True)
        ]
        found.finals = result.to_dict()
        # a baseline that was fitted again is another, which may break a limit that the one before it kept
        kept = {t.id for t in recommend.acceptable([found.baseline, *settled], engine.options)}
        _choose(found, [found.baseline, *settled], result, eligible & kept)


def _choose(found: Found, everyone: list[Trial], result: Finals, eligible: set[str]) -> None:
    """The cheapest of the eligible arms, and those whose direct ratio to it cannot be told from 1."""
    indices = [i for i, trial in enumerate(everyone) if trial.id in eligible]
    first = min(indices, key=lambda i: result.to_baseline[i - 1].ratio if i else 1.0)
    tied = [i for i in indices if i == first or _verdict(result, i, first) in ("tied", "inconclusive")]
    found.tied = [everyone[i].id for i in tied]
    found.recommended = recommend.cheapest_to_find([everyone[i] for i in tied], found.baseline.id)


def _verdict(result: Finals, i: int, j: int) -> str:
    return result.pairs[min(i, j), max(i, j)].verdict


def confirm(engine: Engine, found: Found) -> None:
    """Ask the test rows once, for the baseline, the reference and the recommended trial."""
    try:
        _confirm(engine, found)
    except TrialFailed as error:
        found.confirmed = False
        found.notes.append(f"the test rows could not be asked: {error}")
        engine.keep_pending()


def _confirm(engine: Engine, found: Found) -> None:
    chosen, baseline = found.recommended, engine.bench.baseline
    if chosen is None or baseline is None:
        return
    engine.event("confirm", name=chosen.name)
    _note_earlier(engine, found, chosen.id)
    rows = engine.workload.rows.test
    with engine.ledger.booking("evaluate", None, "confirmation on test rows"):
        said = {found.baseline.id: engine.bench.predictions(baseline, rows)}
        for trial in (chosen, found.reference):
            if trial.id not in said:
                said[trial.id] = _asked(engine, trial)
        held_to, free = said[found.reference.id], engine.workload.rows.independence.test
        judged = {name: engine.bench.judge(rows, answers, held_to, free) for name, answers in said.items()}
    engine.keep_pending()
    for name, found_of in judged.items():
        engine.amend(replace(engine.by_id(name), test_quality=found_of.quality))
    found.baseline, found.reference = (engine.by_id(t.id) for t in (found.baseline, found.reference))
    found.recommended = engine.by_id(chosen.id)
    _confirm_by(found, judged[chosen.id])


def _confirm_by(found: Found, chosen: Judged) -> None:
    """Test rows that are tied to others confirm nothing, nor do those alone that are not, where the others disagree."""
    if chosen.meets and not chosen.independent:
        found.independent = False
    found.confirmed = chosen.meets if found.independent else None
    if not found.independent and not chosen.meets:
        found.notes.append("on the test rows, which are not independent, the recommended model misses the floor")


def _note_earlier(engine: Engine, found: Found, chosen: str) -> None:
    """Say so where the test rows have judged another choice before: each look at them makes them tell less."""
    asked = engine.store.get("test rows asked for") or []
    engine.store.set("test rows asked for", [*asked, chosen] if chosen not in asked else asked)
    if others := [name for name in asked if name != chosen]:
        found.notes.append(
            f"the test rows were asked before, for {', '.join(others)}: to choose again after that flatters a little"
        )


def _asked(engine: Engine, trial: Trial) -> Array:
    """Its answers to the test rows."""
    with engine.bench.open(engine.artifact(trial), trial.name) as arm:
        return engine.bench.predictions(arm, engine.workload.rows.test)
