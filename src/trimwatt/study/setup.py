"""From what the user gave to a workload and a baseline."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import numpy as np

from trimwatt import _imports, framework, input, metric, tasks
from trimwatt.errors import InputError
from trimwatt.framework import channels
from trimwatt.metric import Metric, Reads
from trimwatt.recipe import Recipe
from trimwatt.scenario import Scenario
from trimwatt.study.asked import ask
from trimwatt.study.candidate import Candidate
from trimwatt.study.reference import Reference
from trimwatt.technique import Technique, make, registry
from trimwatt.workload import Data, Outputs, Told, Workload

_SERVED_BY = {"torch": "torch", "sklearn": "sklearn", "onnx": "onnxruntime"}
_NICKNAMES = {"resnet": "small-resnet", "cnn": "small-cnn"}


def task_of(task: str, outputs: str | None) -> str:
    """The task asked, or that of a model which answers with values; raises InputError for unknown outputs."""
    if outputs not in (None, *get_args(Outputs)):
        raise InputError(f"outputs is one of {', '.join(get_args(Outputs))}, got {outputs!r}")
    return tasks.for_outputs(outputs).name if outputs == "values" and task == "auto" else task


def load_given(model: Any, data: Data) -> Workload | None:
    """The model that the user gave, as it came; None where there is none."""
    return None if model is None else input.load_model(model, data)


def fitted_columns(model: Workload | None) -> tuple[str, ...]:
    """Names of the columns that a given model says it was fitted on."""
    return () if model is None else tuple(str(name) for name in getattr(model.model, "feature_names_in_", ()))


def ask_given(given: Workload | None, base: Workload, most_s: float) -> tuple[Workload, Reference | None]:
    """`base` with what asking the given model itself has shown, and its answers as the reference.

    There are none where no model was given, or one that is to be trained first. Raises InputError for a model that
    cannot be asked or answers by chance.
    """
    if given is None or base.trainer is not None:
        return base, None
    asked = ask(given, base, most_s)
    base = replace(base, by_batch=asked.by_batch is not None)
    return base, Reference(replace(asked, workload=base))


def workload(
    model: Any,
    data: Data,
    *,
    metric_name: str | None,
    positive: Any,
    scenario: Scenario,
    seed: int,
    train: bool,
    outputs: Outputs | None = None,
    classes: Any = None,
) -> Workload:
    """The job as given; raises InputError where model, data, task and metric do not fit."""
    task = data.task
    code = task.positive(data.train.y, data.classes, positive)
    chosen = _metric(metric_name, data, code)
    base = Workload(
        data=data, metric=chosen, scenario=scenario, seed=seed, outputs=task.outputs[0],
        decide=task.decision(data, code),
    )  # fmt: skip
    if model is None:
        _refuse_without_model(outputs, classes)
        return base
    if not task.takes_models:
        raise InputError(f"a model for {task.name} cannot be given in this version; leave it out: models are made here")
    told = Told(outputs, None if classes is None else input.read_classes(classes, data.classes))
    given = input.load_model(model, data)
    merged = replace(
        given, data=data, metric=chosen, scenario=scenario, seed=seed,
        outputs=given.outputs if given.outputs in task.outputs else base.outputs, decide=given.decide or base.decide,
    )  # fmt: skip
    if train and merged.trainer is None:
        merged = replace(merged, trainer=make("train"))
    adopted = channels.located(_to_be_fitted(merged) or framework.get(merged.form).adopt(merged, told))
    return adopted if adopted.trainer is not None else _perhaps_seen(adopted)


def _perhaps_seen(fitted: Workload) -> Workload:
    """Nothing is proven of a fitted model by rows that it may have been fitted on: a split must be named."""
    data = fitted.rows
    if data.split_by == "source":
        return fitted
    known, judged = data.independence, len(data.val) + len(data.test)
    reason = "the model came fitted, with rows that name no split, and may have seen them all"
    remedy = "name the rows that it was not fitted on, by a column of train, val and test or as (train, val, test)"
    seen = replace(
        known, kinds=(*known.kinds, "seen"), rows=judged, withheld=True,
        reason="; ".join(filter(None, (reason, known.reason))),
        remedy=" and ".join(filter(None, (remedy, known.remedy))),
    )  # fmt: skip
    note = f"not independent: {reason}; {remedy}"
    return replace(fitted, data=replace(data, independence=seen, warnings=(*data.warnings, note)))


def _refuse_without_model(outputs: Outputs | None, classes: Any) -> None:
    for name, value in (("outputs", outputs), ("classes", classes)):
        if value is not None:
            raise InputError(f"{name} says what a given model answers with, and no model is given; leave it out")


def _to_be_fitted(given: Workload) -> Workload | None:
    """An unfitted scikit-learn model with its fit as a step, for a worker with limits to do; None for any other."""
    if given.form != "sklearn":
        return None
    from trimwatt.framework import sklearn as known

    if known.is_fitted(given.model):
        return None
    known.check_task(given)
    return replace(given, trainer=make("fit"))


def _metric(name: str | None, data: Data, positive: int | None) -> Metric:
    task, y = data.task, data.train.y
    if name is not None and ":" in name:
        return _custom(name, data)
    if name is None or name in task.metrics:
        return task.metric(name or task.metrics[0], y, positive)
    if not any(name in other.metrics for other in tasks.registry().values()):
        metric.get(name)
    fitting = ", ".join(task.metrics)
    raise InputError(f"metric {name!r} does not fit {task.name}; use {fitting} or package.module:callable")


def _custom(name: str, data: Data) -> Metric:
    """A metric of the user's, function(truth, prediction) -> float; its `greater_is_better` says False for an error."""
    function = input.resolve(name)

    def call(truth: Any, prediction: Any, weights: Any) -> float:
        return float(function(*(data.task.decode(y, data.classes) for y in (truth, prediction))))

    some = data.train.y[:50]
    try:
        tried = call(some, some, None)
    except Exception as error:
        raise InputError(
            f"metric {name} failed on training rows: {type(error).__name__}: {error}; it is called with "
            "(truth, prediction) as arrays and returns a number"
        ) from error
    if not np.isfinite(tried):
        raise InputError(f"metric {name} returned {tried} where prediction and truth are equal; it returns a number")
    reads: Reads = "values" if data.task.target == "value" else "labels"
    return Metric(name, call, bool(getattr(function, "greater_is_better", True)), reads, custom=True)


def baseline(base: Workload, named: str | Technique | Recipe | None) -> Candidate:
    """What everything is compared with: the model given, or what a practitioner would have taken for the data."""
    tail = (make("threshold"),) if base.needs_threshold else ()
    if base.form != "none":
        if named is not None:
            raise InputError("a baseline is named only where no model is given; the model itself is the baseline here")
        if base.trainer is None:
            # a model that was given fitted decides by its own rule
            return Candidate((), _SERVED_BY[base.form])
        return Candidate((base.trainer, *tail), _SERVED_BY[base.form], given=(base.trainer,))
    core = _practice(base) if named is None else _named(named)
    form = "torch" if any(step.gives == "torch" for step in core) else "sklearn"
    return Candidate((*core, *tail), _SERVED_BY[form])


def _practice(base: Workload) -> Recipe:
    for names in base.task.baselines(base.rows.kind):
        steps = tuple(make(name) for name in names)
        if _imports.available("torch") or not any(step.gives == "torch" for step in steps):
            return steps
    raise InputError(f"no customary model of {base.task.name} can be made here; name one by --baseline")


def _named(named: str | Technique | Recipe) -> Recipe:
    if isinstance(named, Technique):
        return (named,)
    if isinstance(named, tuple):
        return named
    kinds = {n: k for n, k in registry().items() if k.gives in ("sklearn", "torch") and not k.needs}
    name = _NICKNAMES.get(named, named)
    if name not in kinds:
        raise InputError(f"baseline {named!r} is unknown; use one of {', '.join(sorted((*kinds, *_NICKNAMES)))}")
    step = make(name)
    return (step, make("train")) if kinds[name].gives == "torch" else (step,)
