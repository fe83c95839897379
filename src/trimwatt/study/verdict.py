"""The study in one sentence, and what a reader must know beside it."""

from __future__ import annotations

from trimwatt import units
from trimwatt.runtime import needs_trust
from trimwatt.study.engine import Found
from trimwatt.study.options import Options
from trimwatt.study.recommend import PayBack
from trimwatt.trial import Quality, Trial
from trimwatt.workload import Independence, Workload


def sentence(found: Found, options: Options, pay: PayBack, ties: Independence) -> str:
    """What to use, why, how sure, and when it pays back."""
    chosen, baseline = found.recommended, found.baseline
    if chosen is None and found.by_estimate is not None:
        return _by_estimate(found, found.by_estimate, options, ties)
    if chosen is None:
        return f"Nothing that was tried meets the floor of {_number(found.floor, baseline)}{_within(options)}."
    if chosen.id == baseline.id:
        what = "nothing proven to meet the floor" if found.boldest or options.strict else "nothing that meets the floor"
        doubt = "" if found.independent else f"; {_not_independent(ties)}"
        return f"Keep the baseline, {baseline.name}: {what} was shown to take less{doubt}."
    sure = _confirmed(found) if found.independent else _not_independent(ties)
    parts = [f"Use {chosen.name}: {_saving(chosen)}{_beside(found, chosen)}", _quality(chosen, found), sure]
    return "; ".join(parts) + ". " + _pay_back(pay, baseline, chosen) + _trust(found)


def _by_estimate(found: Found, best: Trial, options: Options, ties: Independence) -> str:
    """What strict holds back: it meets the floor, but these rows do not prove it."""
    sure = "" if found.independent else f", {_not_independent(ties)}"
    return (
        f"Nothing that was tried is proven to meet the floor of {_number(found.floor, found.baseline)}"
        f"{_within(options)}, as --strict asks; {best.name} meets the floor by estimate{sure}; "
        f"{_saving(best)}; {_quality(best, found)}."
    )


def _trust(found: Found) -> str:
    """Where the recommended model can run code when it is opened: that, and the cheapest that cannot."""
    if found.recommended is None or not needs_trust(found.recommended.runtime):
        return ""
    other = "none that meets the floor opens without"
    if found.as_data is not None:
        other = f"the cheapest that opens anywhere without trust is {_named(found.as_data)}"
    return f" Its file can run code, so it opens for you here, or with --trust; {other}."


def _saving(trial: Trial) -> str:
    ratio = trial.ratio_to_baseline
    if ratio is None:
        return "its ratio to the baseline is unknown"
    what = "dynamic energy" if ratio.basis == "dynamic_energy" else "CPU time"
    value, low, high = (units.three(x) for x in (ratio.value, ratio.low, ratio.high))
    said = f"{value} times the baseline's {what} a prediction [{low} to {high}]"
    return said if ratio.value >= 1 else f"{said}, that is {units.three(1 / ratio.value)} times less"


def _beside(found: Found, chosen: Trial) -> str:
    """What it takes beside the reference, where that is neither the baseline nor the choice itself."""
    mine, theirs = chosen.ratio_to_baseline, found.reference.ratio_to_baseline
    if found.reference.id in (chosen.id, found.baseline.id) or mine is None or theirs is None:
        return ""
    return f" (the strongest model, {found.reference.name}, takes {units.three(theirs.value)} times)"


def _quality(trial: Trial, found: Found) -> str:
    quality, margin = trial.quality, trial.floor_margin
    if quality is None:
        return "quality unknown"
    grade = {"proven": "proven", "not_disproven": "not disproven", "failed": "failed", None: "not tested"}[
        trial.floor_test
    ]
    rows = f"{quality.rows:,} {'rows, judged out of fold,' if found.folds else 'validation rows'}"
    resolves = f", {rows} resolve {units.three(margin)}" if margin is not None else ""
    by = ""
    if found.reference.id == trial.id != found.baseline.id:
        by = ", the strongest model found"
    elif found.reference.id != found.baseline.id:
        by = f" set by {found.reference.name}"
    floor = f"a floor of {found.floor:.4f}{by}"
    return f"{quality.metric} {quality.value:.4f} against {floor} ({grade}{resolves})"


def _confirmed(found: Found) -> str:
    test = found.recommended.test_quality if found.recommended else None
    base, held_to = found.baseline.test_quality, found.reference.test_quality
    if test is None or base is None:
        return "not checked on test rows"
    how = "confirmed" if found.confirmed else "NOT CONFIRMED"
    others = f"the baseline {base.value:.4f}"
    if (
        held_to is not None
        and found.recommended
        and found.reference.id not in (found.baseline.id, found.recommended.id)
    ):
        others = f"the reference {held_to.value:.4f}, {others}"
    return f"{how} on {test.rows} test rows ({test.value:.4f}, {others})"


def _not_independent(ties: Independence) -> str:
    return f"not independently confirmed: {ties.reason} (to have it confirmed, {ties.remedy})"


def _pay_back(pay: PayBack, baseline: Trial, chosen: Trial) -> str:
    if baseline.energy_per_prediction is None or chosen.energy_per_prediction is None or chosen.cost is None:
        return "Whether finding it pays back is unknown, as not all of its energy is."
    if pay.own_predictions is None or pay.study_predictions is None:
        return "Finding it never pays back."
    return (
        f"Finding it pays back after {_count(pay.own_predictions)} predictions, "
        f"the whole study after {_count(pay.study_predictions)}."
    )


def _count(value: float) -> str:
    for limit, divisor, word in ((1e6, 1e6, " million"), (1e4, 1e3, " thousand")):
        if value >= limit:
            return units.three(value / divisor) + word
    return f"{value:.0f}"


def _number(value: float, baseline: Trial) -> str:
    quality: Quality | None = baseline.quality
    return f"{value:.4f} {quality.metric}" if quality else f"{value:.4f}"


def _within(options: Options) -> str:
    broken = [name for name, value in vars(options.limits).items() if value is not None]
    return " within the limits asked" if broken else ""


def _named(trial: Trial) -> str:
    times = units.three(trial.ratio_to_baseline.value) if trial.ratio_to_baseline else "unknown"
    return f"{trial.name} ({times} times the baseline's)"


def warnings(workload: Workload, found: Found, meter_origin: str) -> list[str]:
    """What the reader must know, the data's own warnings first."""
    notes = [*workload.rows.warnings, *found.notes]
    if meter_origin != "measured":
        notes.append("no energy sensor is readable here: joules are estimated from CPU time, ratios are of CPU seconds")
    if found.untried:
        notes.append(
            f"the budget ended before {len(found.untried)} candidates were tried: {', '.join(found.untried[:5])}"
        )
    if found.safest is not None:
        notes.append(
            "the recommended model meets the floor on the validation rows by its estimate only; the cheapest that is"
            f" proven to is {_named(found.safest)}, which goes first without --bold"
        )
    if found.boldest is not None:
        notes.append(
            f"cheaper, but these validation rows do not prove that it meets the floor: {_named(found.boldest)};"
            " --resume --bold goes on from here and chooses by the estimate"
        )
    if found.confirmed is False:
        notes.append("on the test rows the recommended model misses the floor: the recommendation is not confirmed")
    return notes
