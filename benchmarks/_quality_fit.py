"""One contestant of quality.py trains on one fold: `python _quality_fit.py NAME FOLD RUN`, in its own interpreter.

FOLD has train.csv and judged.csv, RUN has task.json; RUN gets predictions.npz (label or value, and probability),
info.json (what was chosen, seconds) and the model, which _quality_serve.py opens. Trimwatt and peers are imported
where they are used alone; the targets of the rows kept back are nowhere in these files.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

Task = SimpleNamespace
Answer = tuple[Any, Any, dict[str, Any]]


def read(path: Path, task: Task) -> pd.DataFrame:
    """A table with its dates read."""
    return pd.read_csv(path, parse_dates=list(task.dates))


def as_categories(frame: pd.DataFrame, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """Text as categories, those of `like` where it is given; all else as it is."""
    text = [name for name in frame if not pd.api.types.is_numeric_dtype(frame[name]) and not _is_date(frame[name])]
    kinds = {name: "category" if like is None else like[name].dtype for name in text}
    return frame.astype(kinds)


def _is_date(column: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(column))


def without_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame for what takes no dates. As numbers they only grow: kept, they cost these models 18 points."""
    return frame.drop(columns=[name for name in frame if _is_date(frame[name])])


def _parts(fold: Path, task: Task) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Training rows, their targets and the rows that are judged, with text as categories."""
    train = read(fold / "train.csv", task)
    y = train.pop(task.target)
    train = as_categories(train)
    return train, y, as_categories(read(fold / "judged.csv", task), train)


def _untuned(model: Any, fold: Path, run: Path, task: Task) -> Answer:
    import _quality_export as export
    import joblib

    train, y, judged = _parts(fold, task)
    train, judged = without_dates(train), without_dates(judged)
    model.fit(train, y)
    joblib.dump(model, run / "model.joblib")
    info = {"model": type(model).__name__, "export": export.untuned(model, train, judged, run, task)}
    return model, judged, info


def hist_gradient_boosting(fold: Path, run: Path, task: Task) -> Answer:
    """scikit-learn's, at its defaults."""
    from sklearn import ensemble

    kind = "Regressor" if task.task == "regression" else "Classifier"
    return _untuned(getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=task.seed), fold, run, task)


def lightgbm(fold: Path, run: Path, task: Task) -> Answer:
    """LightGBM at its defaults."""
    import lightgbm as package

    kind = package.LGBMRegressor if task.task == "regression" else package.LGBMClassifier
    return _untuned(kind(random_state=task.seed, n_jobs=task.threads, verbose=-1), fold, run, task)


def flaml(fold: Path, run: Path, task: Task) -> Answer:
    """FLAML for the minutes given, its search space untouched."""
    import _quality_export as export
    import joblib
    from flaml import AutoML

    train, y, judged = _parts(fold, task)
    found = AutoML()
    metric = {"auc": "roc_auc"}.get(task.metric, task.metric)
    found.fit(
        train, y, task=task.task, metric=metric, time_budget=60 * task.minutes, n_jobs=task.threads, seed=task.seed,
        verbose=0,
    )  # fmt: skip
    joblib.dump(found, run / "model.joblib")
    chosen = {"estimator": found.best_estimator, "config": found.best_config, "validation_loss": found.best_loss}
    return found, judged, {"model": found.best_estimator, **chosen, "export": export.flaml(found, judged, run, task)}


def autogluon(fold: Path, run: Path, task: Task) -> Answer:
    """AutoGluon for the minutes given, its default preset and search space untouched."""
    from autogluon.tabular import TabularPredictor

    kind = "regression" if task.task == "regression" else "binary" if len(task.classes) == 2 else "multiclass"
    metric = {"auc": "roc_auc"}.get(task.metric, task.metric)
    found = TabularPredictor(
        label=task.target, problem_type=kind, eval_metric=metric, path=str(run / "autogluon"), verbosity=0
    )
    found.fit(read(fold / "train.csv", task), time_limit=60 * task.minutes, num_cpus=task.threads)
    board = found.leaderboard()
    names = [name.removesuffix("_L1") for name in board["model"]]
    info = {"model": found.model_best, "trained": names, "export": {"refused": "it offers no export of its ensembles"}}
    return found, read(fold / "judged.csv", task), info


def trimwatt(fold: Path, run: Path, task: Task) -> Answer:
    """The recommended artifact of `tw.optimize` in the minutes given."""
    import trimwatt as tw

    study = tw.optimize(
        data=str(fold / "train.csv"), target=task.target, metric=task.metric, budget=f"{60 * task.minutes:g}s",
        seed=task.seed, output=run / "study", force=True, task=task.task,
    )  # fmt: skip
    found, told = study.recommended, _studied(study.to_dict())
    if found is None:
        raise RuntimeError(f"nothing was recommended: {told['verdict']}")
    return _Artifact(found.artifact.open()), pd.read_csv(fold / "judged.csv"), told


def _studied(study: dict[str, Any]) -> dict[str, Any]:
    """What of a study tells why it chose as it did."""
    names = (
        "id", "name", "family", "runtime", "status", "reason", "meets_floor", "floor_test", "cpu_s_per_prediction",
        "quality", "train_quality", "test_quality", "ratio_to_baseline", "started", "finished",
    )  # fmt: skip
    trials = [{name: trial.get(name) for name in names} for trial in study["trials"]]
    by_id = {trial["id"]: trial["name"] for trial in trials}
    return {
        "model": by_id[study["recommended"]] if study["recommended"] else None,
        "reference": by_id.get(study.get("reference", study["baseline"])), "baseline": by_id[study["baseline"]],
        "verdict": study["verdict"], "warnings": study.get("warnings"), "ledger": _stages(study), "trials": trials,
        "export": {},
    }  # fmt: skip


def _stages(study: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in study["ledger"]:
        found[row["stage"]] = round(found.get(row["stage"], 0.0) + (row["cpu_s"] or 0.0), 2)
    return found


class _Artifact:
    """An artifact under the names that scikit-learn gives its answers."""

    def __init__(self, opened: Any) -> None:
        self.predict, self.predict_proba = opened.predict, opened.probabilities
        self.classes_ = opened.manifest["classes"]


CONTESTANTS: dict[str, Callable[[Path, Path, Task], Answer]] = {
    "trimwatt": trimwatt, "hist_gradient_boosting": hist_gradient_boosting, "lightgbm": lightgbm, "flaml": flaml,
    "autogluon": autogluon,
}  # fmt: skip


def answers(model: Any, judged: pd.DataFrame, task: Task) -> dict[str, np.ndarray[Any, Any]]:
    """Values, or class codes and probabilities in the order of task.classes."""
    said = np.asarray(model.predict(judged))
    if task.task == "regression":
        return {"value": said.astype(float)}
    known = [str(label) for label in getattr(model, "classes_", getattr(model, "class_labels", ()))]
    given = np.asarray(model.predict_proba(judged), dtype=float)
    chances = np.zeros((len(judged), len(task.classes)))
    chances[:, [task.classes.index(label) for label in known]] = given
    codes = {label: code for code, label in enumerate(task.classes)}
    return {"label": np.array([codes[str(label)] for label in said.tolist()]), "probability": chances}


def main() -> None:
    name, fold, run = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    task = Task(**json.loads((run / "task.json").read_text(encoding="utf-8")))
    started, used = time.monotonic(), time.process_time()
    model, judged, info = CONTESTANTS[name](fold, run, task)
    info |= {"fit_wall_s": round(time.monotonic() - started, 2), "fit_cpu_s": round(time.process_time() - used, 2)}
    np.savez(run / "predictions.npz", **answers(model, judged, task))
    (run / "info.json").write_text(json.dumps(info, indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
