"""Reading study.json: what may be absent is absent here too, and the sentences that every output shares."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import Any

from trimwatt.report import _text
from trimwatt.technique import registry

Study = dict[str, Any]
Row = dict[str, Any]
STAGES = ("prepare", "train", "compress", "evaluate", "measure", "export", "report")


def trials(study: Study) -> list[Row]:
    return list(study.get("trials") or [])


def find(study: Study, name: str | None) -> Row | None:
    """The trial with id `name`."""
    return next((t for t in trials(study) if t["id"] == name), None) if name else None


def baseline(study: Study) -> Row | None:
    return find(study, study.get("baseline"))


def recommended(study: Study) -> Row | None:
    return find(study, study.get("recommended"))


def withheld(study: Study) -> bool:
    """Whether the recommendation rests on rows that are not independent of the training rows."""
    return (study.get("independence") or {}).get("status") == "withheld"


def measured(study: Study) -> list[Row]:
    """Trials with a quality and an energy, in the study's order."""
    return [t for t in trials(study) if t.get("quality") and cost_of(study, t) is not None]


def cost_of(study: Study, trial: Row) -> float | None:
    """Joules a prediction, as compared: the baseline's times the ratio that was measured side by side.

    A trial's own joules were read at another time than the baseline's, when the host may have been slower; only the
    ratio tells candidates apart. Where there is none, its own joules.
    """
    own, first, ratio = trial.get("energy_per_prediction"), baseline(study), trial.get("ratio_to_baseline")
    if own and first and first.get("energy_per_prediction") and ratio and ratio["value"]:
        return float(first["energy_per_prediction"]["joules"] * ratio["value"])
    return own["joules"] if own else None


ROLES = ("recommended", "reference", "baseline")


def marks(study: Study, trial: Row) -> list[str]:
    """Which of "recommended", "reference" (where that is not the baseline) and "baseline" a trial is."""
    own = study.get("reference") != study.get("baseline")
    return [role for role in ROLES if trial["id"] == study.get(role) and (own or role != "reference")]


def judged_on(study: Study) -> str:
    """What the quality of candidates was told on, in words."""
    folds = (study.get("validation") or {}).get("folds")
    return f"rows judged out of fold, in {folds} folds" if folds else "validation rows"


def qualities(study: Study, trial: Row) -> list[tuple[str, Row]]:
    """How well a trial did on the rows that it learned from, those it was chosen by and test rows: (where, quality)."""
    known = (
        ("training rows", "train_quality"), (judged_on(study), "quality"), ("test rows, asked once", "test_quality")
    )  # fmt: skip
    return [(where, trial[name]) for where, name in known if trial.get(name)]


def ranked(study: Study) -> list[Row]:
    """Those with a role, then those that keep the floor, those below, and what was not measured; cheapest first."""

    def place(trial: Row) -> tuple[int, float]:
        known = cost_of(study, trial) or float("inf")
        if roles := marks(study, trial):
            return ROLES.index(roles[0]), known
        return 5 if trial["status"] != "done" else 3 if trial.get("meets_floor") else 4, known

    return sorted(trials(study), key=place)


def _stage(step: Row) -> str:
    """Where in a recipe a step may stand; one of a plugin that is not installed here is taken for a change."""
    kind = registry().get(str(step.get("technique")))
    return "compress" if kind is None else kind.stage


def steps(trial: Row) -> list[Row]:
    """The steps of a recipe that change the model, without lowering and the choice of a threshold."""
    return [step for step in trial.get("recipe") or [] if _stage(step) not in ("lower", "decide")]


def lineage(trial: Row) -> str:
    """The model that a trial grew out of: the step of its recipe that makes one, or the model given."""
    first = [step for step in steps(trial)[:1] if _stage(step) == "model"]
    return json.dumps(first, sort_keys=True, default=str)


def pairs(study: Study, most: int = 4) -> list[tuple[Row, Row]]:
    """Before and after: of each model the plainest form, and its cheapest form that keeps the floor (or the cheapest).

    The pair of baseline and recommendation comes first, then that of the recommendation's own model, then the others.
    """
    groups: dict[str, list[Row]] = {}
    for trial in measured(study):
        groups.setdefault(lineage(trial), []).append(trial)
    found = [(_before(group, study), _after(group, study)) for group in groups.values() if len(group) > 1]
    first, last = baseline(study), recommended(study)
    if first and last and first in measured(study) and last in measured(study):
        found.insert(0, (first, last))
    different = [(a, b) for a, b in found if a["id"] != b["id"]]
    unique = {(a["id"], b["id"]): (a, b) for a, b in different}
    return list(unique.values())[:most]


def _before(group: list[Row], study: Study) -> Row:
    return min(group, key=lambda t: (len(steps(t)), -(cost_of(study, t) or 0)))


def _after(group: list[Row], study: Study) -> Row:
    keep = [t for t in group if t.get("meets_floor")] or group
    return min(keep, key=lambda t: (t["id"] != study.get("recommended"), cost_of(study, t) or 0))


def front(study: Study) -> list[Row]:
    """Trials on the front, that is not dominated for certain, the cheapest first."""
    return sorted((t for t in measured(study) if t.get("on_front")), key=lambda t: cost_of(study, t) or 0)


def staircase(study: Study) -> list[Row]:
    """Of the front, those that are better than all that are cheaper, by the figures themselves."""
    steps: list[Row] = []
    for trial in front(study):
        quality = trial["quality"]
        sign = 1 if quality.get("greater_is_better", True) else -1
        if not steps or sign * quality["value"] > sign * steps[-1]["quality"]["value"]:
            steps.append(trial)
    return steps


def prices(study: Study) -> list[str]:
    """What each further point of quality costs, a line for each family of which several were measured."""
    from trimwatt.compare import price

    return [f"{family}: {price.sentence(found)}" for family, found in price.from_study(study).items()]


def ledger(study: Study) -> list[Row]:
    """Stages that have entries: joules, `[low, high]`, origin, cpu_s and share of the total."""
    entries = study.get("ledger") or []
    whole = sum(e["joules"] for e in entries) or 1.0
    rows = []
    for stage in (*STAGES, *sorted({e["stage"] for e in entries} - set(STAGES))):
        mine = [e for e in entries if e["stage"] == stage]
        if mine:
            total = sum_energy(mine)
            rows.append({"stage": stage, **total, "share": total["joules"] / whole, "entries": len(mine)})
    return rows


def sum_energy(entries: Iterable[Row]) -> Row:
    """The sum of at least one entry: bounds add, and measured + estimated is mixed."""
    rows = list(entries)
    kinds = {e["origin"] for e in rows}
    total: Row = {
        name: sum(e.get(name) or 0.0 for e in rows) for name in ("joules", "low", "high", "cpu_s", "duration_s")
    }
    return total | {"origin": kinds.pop() if len(kinds) == 1 else "mixed"}


def origins(study: Study) -> list[str]:
    """Where the energies come from, without repeats."""
    energies = [t.get("energy_per_prediction") for t in trials(study)] + list(study.get("ledger") or [])
    return sorted({e["origin"] for e in energies if e})


def basis(study: Study) -> str | None:
    """What ratios divide, in words."""
    found = {t["ratio_to_baseline"]["basis"] for t in trials(study) if t.get("ratio_to_baseline")}
    words = {"cpu_seconds": "CPU seconds", "dynamic_energy": "dynamic energy"}
    return " and ".join(sorted(words.get(b, str(b)) for b in found)) or None


def command(study: Study) -> str | None:
    """The command line that made the study."""
    words = (study.get("host") or {}).get("command")
    return shlex.join(str(word) for word in words) if isinstance(words, list) and words else None


def total(study: Study) -> Row | None:
    """All joules of the study."""
    if study.get("total"):
        return dict(study["total"])
    return sum_energy(study["ledger"]) if study.get("ledger") else None


def verdict(study: Study) -> str:
    """The study's sentence, or what there is to say before it has one."""
    if study.get("verdict"):
        return str(study["verdict"])
    count = sum(t["status"] == "done" for t in trials(study))
    return (
        f"No verdict yet: the study ended early with {count} candidate{'s' * (count != 1)} measured; --resume goes on."
    )


_FORMS = {"array": "one array", "dict": "a dict of columns", "frame": "a DataFrame"}


def asked_line(study: Study) -> str:
    """How the model was asked, which belongs to every figure of energy and latency; "" where nothing is known of it."""
    scenario = study.get("scenario") or {}
    size, threads = scenario.get("batch_size"), scenario.get("threads")
    form = _FORMS.get(str(scenario.get("request")), scenario.get("request"))
    parts = [] if size is None else [f"requests of {size:,} row{'s' * (size != 1)}"]
    parts += [f"as {form}"] if form else []
    parts += [] if threads is None else [f"on {threads} thread{'s' * (threads != 1)}"]
    return " ".join(parts)


def floor_line(study: Study) -> str:
    """`f1 at least 0.719`, with the margin these rows can resolve where that is known."""
    floor = study.get("floor")
    if not floor or not _text.known(floor.get("value")):
        return "no floor was set"
    least = next((t["quality"]["greater_is_better"] for t in trials(study) if t.get("quality")), True)
    line = f"{study['metric']} {'at least' if least else 'at most'} {_text.figure(floor['value'])}"
    margin: Any = (recommended(study) or {}).get("floor_margin")
    return f"{line} (these rows resolve {_text.figure(margin)})" if _text.known(margin) else line


def payback_lines(study: Study) -> list[str]:
    """When the search is paid back: `after 152 predictions (its own cost, 40.0 J)`, and for the whole study."""
    chosen, payback = recommended(study), study.get("payback")
    if chosen is None or not payback:
        return []
    if chosen["id"] == study.get("baseline"):
        return ["never: the baseline stays, so nothing is saved"]
    both = (("its own cost", chosen.get("cost"), "own"), ("the whole study", total(study), "study"))
    return [_payback(what, cost, payback.get(f"{key}_predictions")) for what, cost, key in both]


def _payback(what: str, cost: Row | None, count: float | None) -> str:
    after = "never" if count is None else f"after {_text.number(count)} predictions"
    return f"{after} ({what}, {_text.energy(cost)[0]})" if cost else f"{after} ({what})"


def origin_lines(study: Study) -> list[str]:
    """What is measured and what is estimated, said plainly."""
    kinds, divides = origins(study), basis(study)
    lines = []
    if "estimated" in kinds or "mixed" in kinds:
        lines.append("Joules are estimated from CPU time by a model of this processor: no counter gave them all.")
    elif kinds:
        lines.append("Joules are measured by counters.")
    if divides:
        how = f"Ratios are measured side by side, as {divides}, never by dividing two energies"
        lines.append(f"{how}: they do not share the error of the model." if "estimated" in kinds else f"{how}.")
    carbon = study.get("carbon") or {}
    if not _text.known(carbon.get("grams_co2e")):
        lines.append("Carbon is unknown: no grid was named.")
    return lines


def finished(study: Study) -> str:
    """The day and the minute the last trial ended, in UTC."""
    ends = [str(t["finished"]) for t in trials(study) if t.get("finished")]
    return max(ends)[:16].replace("T", " ") + " UTC" if ends else ""


def version(study: Study) -> str:
    """The version that made the study."""
    return str(((study.get("host") or {}).get("versions") or {}).get("trimwatt") or "")
