"""What a study keeps as it goes, so that its report can be made where it was stopped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError
from trimwatt.store import Store
from trimwatt.store._base import FILE, IDENTITY
from trimwatt.store.deferring import DeferringStore
from trimwatt.study.folder import Place

ABOUT, PROGRESS = "about", "progress"
_STAGES = {"trial": "search", "finals": "finals", "confirm": "confirmation"}


class Watch:
    """Passes the events of a study on, keeps how far it got, and ends it where its folder is gone."""

    def __init__(self, place: Place, store: Store, event: Any) -> None:
        self._place, self._store, self._event = place, store, event
        event("opened", kept=[trial["id"] for trial in store.trials() if trial.get("status") != "stopped"])

    def __call__(self, kind: str, **fields: Any) -> None:
        self._place.check()
        if kind in _STAGES:
            self._store.set(PROGRESS, {"stage": _STAGES[kind], "left": fields.get("left")})
        self._event(kind, **fields)


def keep_waiting(store: DeferringStore, event: Any) -> list[str]:
    """Write what waits for the database at the end of a study; what could not be written is said, and returned."""
    if store.catch_up() or not store.waiting:
        return []
    count = store.waiting
    trials = f"{count} finished trial{'s' * (count != 1)}"
    event("warning", text=f"the database is locked by another process to the end; {trials} could not be kept in it")
    return [f"the database was locked by another process to the end; {trials} stood in memory alone, and stand here"]


def read(store: Store) -> dict[str, Any] | None:
    """What a study kept, in the form of study.json but without a verdict; None where it kept no trial.

    Raises InputError where what was kept is no study's.
    """
    asked, trials = store.study(), store.trials()
    if asked is None or not trials:
        return None
    try:
        options = asked.get("options") or {}
        reference = next((trial for trial in trials if trial["id"] == store.get("reference")), trials[0])
        floor = _floor(asked, options, reference)
        return {
            **_opening(asked, options), **(store.get(ABOUT) or {}),
            "floor": floor, "baseline": trials[0]["id"], "reference": reference["id"], "recommended": None,
            "verdict": None, "payback": None, "ledger": store.ledger(),
            "trials": trials if reference is trials[0] else [_estimated(floor, trial) for trial in trials],
            "warnings": [_not_done(trials, store.get(PROGRESS) or {})],
        }  # fmt: skip
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"the database holds no study that this version knows ({type(error).__name__})") from error


def _opening(asked: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """The same from what decides whether a study may be resumed, which every version kept."""
    metric, data = asked.get("metric"), asked.get("data")
    name, task = (metric[0], metric[1]) if isinstance(metric, list) else (metric, None)
    return {
        "schema": "trimwatt/study/1", "task": task, "metric": name, "scenario": options.get("scenario"),
        "data": data if isinstance(data, dict) else {},
    }  # fmt: skip


def _floor(asked: dict[str, Any], options: dict[str, Any], reference: dict[str, Any]) -> dict[str, Any] | None:
    """The floor as the study had it: given, or the reference's quality less the drop; None for one's own metric."""
    if options.get("floor") is not None:
        return {"kind": "absolute", "value": options["floor"]}
    from trimwatt import metric

    name = asked["metric"][0] if isinstance(asked["metric"], list) else asked["metric"]
    try:
        value = metric.get(name).floor(reference["quality"]["value"], options["max_drop"])
    except (InputError, KeyError, TypeError):
        return None
    return {"kind": "max_drop", "value": value, "max_drop": options["max_drop"]}


def _estimated(floor: dict[str, Any] | None, trial: dict[str, Any]) -> dict[str, Any]:
    """A trial by its estimate alone: it was tested against the reference of its time, perhaps another than the last."""
    if floor is None or not trial.get("quality"):
        return {**trial, "floor_test": None}
    found = trial["quality"]
    least = floor["value"]
    meets = found["value"] >= least if found["greater_is_better"] else found["value"] <= least
    return {**trial, "meets_floor": meets, "floor_test": None, "floor_margin": None}


def _not_done(trials: list[dict[str, Any]], progress: dict[str, Any]) -> str:
    """What was done before the study was stopped, and what was not."""
    counts = Counter(trial["status"] for trial in trials)
    done = [f"{counts['done']} candidate{'s' * (counts['done'] != 1)} measured, the baseline among them"]
    done += [f"{counts[status]} {status}" for status in ("failed", "skipped", "stopped") if counts[status]]
    stage, left = progress.get("stage") or "search", progress.get("left")
    more = f"{left} more candidate{'s' * (left != 1)}" if isinstance(left, int) and left else "further candidates"
    steps = {"search": more, "finals": "direct finals", "confirmation": "confirmation on the test rows"}
    missing = list(steps.values())[[*steps].index(stage) if stage in steps else 0 :]
    return f"This study was stopped. Done: {', '.join(done)}. Not done: {', '.join([*missing, 'the artifact'])}."


def is_kept(folder: Path) -> bool:
    """Whether there is a study in `folder` that may have been stopped."""
    return (folder / FILE).is_file() or (folder / IDENTITY).is_file()
