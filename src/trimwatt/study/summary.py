"""study.json: everything a study found, in one value."""

from __future__ import annotations

import math
from typing import Any

from trimwatt import input
from trimwatt.meter._base import Meter
from trimwatt.study import gap, host, recommend, rivalry, verdict
from trimwatt.study.engine import Engine, Found
from trimwatt.study.options import Options
from trimwatt.technique import REGISTRY
from trimwatt.trial import Trial
from trimwatt.workload import Data, Workload

SCHEMA = "trimwatt/study/1"


def summarize(engine: Engine, found: Found) -> dict[str, Any]:
    """study.json, but for what `settle_accounts` adds."""
    base, options = engine.workload, engine.options
    trials = rivalry.placed(engine)
    chosen = found.recommended
    test, validation = engine.bench.test_of_host, engine.judging.validation
    return {
        **opening(base, options, engine.ledger.meter),
        "floor": {"kind": engine.bench.floor.kind, "value": found.floor, "max_drop": options.max_drop},
        "self_test": test and test.to_dict(),
        "baseline": found.baseline.id,
        "reference": found.reference.id,
        "recommended": chosen and chosen.id,
        "independence": independence(base.rows, found.independent),
        "safest": found.safest and found.safest.id,
        "boldest": found.boldest and found.boldest.id,
        "as_data": found.as_data and found.as_data.id,
        "confirmed": found.confirmed,
        "refit": _refit(engine, found),
        "validation": {"folds": len(validation.parts) or None, "rows": len(validation.judged)},
        "reference_check": engine.bench.reference and engine.bench.reference.record,
        "tied": found.tied,
        "finals": found.finals,
        "verdict": None,
        "exit_code": exit_code(found, options, trials),
        "trials": [trial.to_dict() for trial in trials],
        "ledger": [],
        "total": None,
        "duration_s": None,
        "payback": None,
        "untried": found.untried,
        "warnings": [
            *([validation.note] if validation.note else []),
            *verdict.warnings(base, found, engine.ledger.meter.origin),
            *map(str, REGISTRY.known.refused),
            *gap.warnings(found),
            *_unlearned(engine, found),
            *(engine.bench.reference.warnings() if engine.bench.reference else []),
            *_host_warnings(test),
        ],
    }


def settle_accounts(engine: Engine, found: Found) -> dict[str, Any]:
    """What of study.json depends on the cost of the study until now."""
    ledger, chosen = engine.ledger, found.recommended
    total = ledger.total()
    pay = recommend.pay_back(found.baseline, chosen or found.baseline, total)
    return {
        "verdict": verdict.sentence(found, engine.options, pay, engine.workload.rows.independence),
        "ledger": [entry.to_dict() for entry in ledger.entries],
        "total": total and total.to_dict(),
        "duration_s": ledger.duration_s(),
        "payback": {"own_predictions": pay.own_predictions, "study_predictions": pay.study_predictions},
    }


def _unlearned(engine: Engine, found: Found) -> list[str]:
    if found.recommended is None:
        return []
    answers, rows = engine.judging.answered(found.recommended.id), engine.workload.rows
    if answers is None:
        return []
    return rows.task.find_unlearned(engine.judging.validation.judged.y[: len(answers)], answers, rows.classes)


def _refit(engine: Engine, found: Found) -> str | None:
    """The rows that the model handed over was fitted on; None where it came fitted or nothing is handed over."""
    chosen = found.recommended
    if chosen is None:
        return None
    if found.refitted:
        return "all"
    if engine.judging.validation.is_crossed or chosen.id in engine.fitted_again:
        return "train+val"
    came_fitted = engine.workload.form != "none" and engine.workload.trainer is None
    return None if came_fitted else "train"


def opening(base: Workload, options: Options, meter: Meter) -> dict[str, Any]:
    """What study.json says that is known before anything was tried; kept for the report of a study that is stopped."""
    return {
        "schema": SCHEMA,
        "task": base.task.name,
        "metric": base.quality.name,
        "scenario": base.scenario.to_dict(),
        "budget": {"amount": options.allowance.amount, "unit": options.allowance.kind},
        "data": described(base.rows),
        "independence": independence(base.rows),
        "host": host.facts(options.seed),
        "meter": {"name": meter.name, "origin": meter.origin, "about": _about(meter)},
    }


def exit_code(found: Found, options: Options, trials: list[Trial]) -> int:
    """0 ok; 1 nothing meets the floor or the test rows disagree; 4 under strict, when better evidence was wanted."""
    if found.recommended is None:
        return 1 if found.by_estimate is None else 4
    if found.confirmed is False:
        return 1
    if options.strict and not found.independent:
        return 4
    unproven = any(trial.meets_floor and trial.floor_test != "proven" for trial in trials)
    kept = found.recommended.id == found.baseline.id and unproven
    held_back = found.recommended.id == found.reference.id and found.boldest is not None
    return 4 if options.strict and (kept or held_back) else 0


def independence(rows: Data, confirmed: bool = True) -> dict[str, Any]:
    """Whether the grades rest on independent rows, and what ties the others: kinds, number of judged rows, columns.

    confirmed: whether what was found stands on the rows that are free of ties alone.
    """
    ties = rows.independence
    return {
        "status": "independent" if confirmed and not ties.withheld else "withheld",
        "kinds": list(ties.kinds),
        "rows": ties.rows,
        "columns": list(ties.columns),
        "reason": ties.reason or None,
        "not_examined": list(ties.not_examined),
    }


def described(rows: Data) -> dict[str, Any]:
    sizes = {name: len(getattr(rows, name)) for name in ("train", "val", "test")}
    return {
        "name": rows.name,
        "rows": sizes,
        "classes": None if rows.classes is None else list(rows.classes),
        "input": input.describe(rows),
    }


def _about(meter: Any) -> Any:
    describe = getattr(meter, "describe", None)
    return describe() if describe else None


def _host_warnings(test: Any) -> list[str]:
    if test is None or test.passed:
        return []
    return [f"in the self-test identical arms differed by {test.ratio - 1:+.1%}; smaller effects are not claimed"]


def plain(value: Any) -> Any:
    """JSON's own types; a number that is not one (an area under no curve) is unknown."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
