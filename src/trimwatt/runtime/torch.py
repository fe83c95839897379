"""PyTorch eager: the module as it is, in evaluation and inference mode, arrays ready, on the scenario's threads."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import _handoff, tasks
from trimwatt._imports import require
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.onnx.run import feeder, types
from trimwatt.framework.rows import from_request, takes_requests
from trimwatt.framework.torch import script
from trimwatt.framework.torch.run import evaluated, forward, tensor
from trimwatt.rows.columns import kind_of
from trimwatt.rows.view import View
from trimwatt.runtime import _view
from trimwatt.runtime._base import Artifact, Session
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Data, Rows, Split, Workload

LIVE, WEIGHTS = "live.bin", "weights.safetensors"
PROGRAM, RULE, PREPARE = "model.pt", "rule.json", "prepare.onnx"


class TorchRuntime:
    """Writes the module itself for this run, and for later a program that needs neither its source nor pickle."""

    name = "torch"
    forms = frozenset({"torch"})
    trusted = True

    def export(self, workload: Workload, folder: Path) -> Artifact:
        """Write `live.bin`, and `model.pt` with `rule.json` and `prepare.onnx`, or only weights where tracing fails.

        Raises TrialFailed for a model that is no torch module.
        """
        if workload.form != "torch":
            raise TrialFailed(f"the torch runtime runs PyTorch modules, got a {workload.form} model")
        light = replace(
            workload, model=evaluated(workload.model), data=_without_rows(workload.rows), rebuild=None, trainer=None
        )
        texts = frozenset(_texts(workload.rows.train.x))
        digest = _handoff.write(_Live(light, texts), folder / LIVE)
        return Artifact(folder, self.name, _durable(workload, texts, folder), digest)

    def open(self, artifact: Artifact, scenario: Scenario) -> Session:
        """A session; raises InputError where only weights are left, which say nothing of the network."""
        live = artifact.folder / LIVE
        if artifact.live is not None and live.is_file():
            return TorchSession(_handoff.read(live, artifact.live), scenario.threads)
        return TorchSession(_opened(artifact), scenario.threads)


@dataclass(frozen=True, eq=False)
class _Live:
    """A workload without rows. texts: names of its columns of text."""

    workload: Workload
    texts: frozenset[str]


def _texts(rows: Rows) -> list[str]:
    return [name for name, c in rows.items() if kind_of(c) == "text"] if isinstance(rows, dict) else []


def _without_rows(data: Data) -> Data:
    none = slice(0, 0)
    return replace(data, train=data.train.take(none), val=data.val.take(none), test=data.test.take(none))


def _durable(workload: Workload, texts: frozenset[str], folder: Path) -> tuple[str, ...]:
    """Write what can be opened later, and name it."""
    if not script.save(workload, folder / PROGRAM):
        safetensors = require("safetensors.torch", "torch", "Saving PyTorch weights")
        safetensors.save_model(evaluated(workload.model), str(folder / WEIGHTS))
        return (WEIGHTS,)
    decide, classes = workload.decide, workload.rows.classes
    rule = {
        "outputs": workload.outputs, "class_columns": workload.class_columns, "texts": sorted(texts),
        "task": workload.task.name, "classes": classes,
        "decide": decide and [decide.classes, decide.threshold, decide.positive],
        "view": (view := _view.view_of(workload.prepare)) and view.to_json(),
    }  # fmt: skip
    (folder / RULE).write_text(json.dumps(rule, default=lambda value: value.item()) + "\n", encoding="utf-8")
    if workload.prepare is None:
        return (PROGRAM, RULE)
    (folder / PREPARE).write_bytes(workload.prepare.to_onnx())
    return (PROGRAM, RULE, PREPARE)


def _opened(artifact: Artifact) -> _Live:
    """What `_durable` wrote."""
    if PROGRAM not in artifact.files:
        raise InputError(
            f"{artifact.folder} holds weights only, since the network could not be traced; load {WEIGHTS} into the "
            "module that made it"
        )
    from trimwatt.framework import onnx

    rule, listed = json.loads(artifact.content(RULE)), PREPARE in artifact.files
    data = _no_rows(rule)
    decide = data.task.decision(data) if rule["decide"] else None
    if decide is not None:
        known, threshold, positive = rule["decide"]
        decide = replace(decide, classes=tuple(known), threshold=threshold, positive=positive)
    columns = None if rule["class_columns"] is None else tuple(rule["class_columns"])
    listed_prepare = onnx.self_contained(artifact.content(PREPARE), artifact.content) if listed else None
    prepare = None if listed_prepare is None else _Prepare(listed_prepare, rule.get("view"))
    workload = Workload(
        data, model=script.load(artifact.content(PROGRAM), PROGRAM), form="torch",
        decide=decide, outputs=rule["outputs"], class_columns=columns, prepare=prepare,
    )  # fmt: skip
    return _Live(workload, frozenset(rule["texts"]))


def _no_rows(rule: dict[str, Any]) -> Data:
    """Data without rows, for the task that `rule` names; older files name none."""
    classes = None if rule["classes"] is None else tuple(rule["classes"])
    task = tasks.get(rule["task"]) if "task" in rule else None
    labels = task is not None and task.target == "labels"
    none = Split(np.empty((0, 0)), np.empty((0, len(classes or ())) if labels else 0))
    return Data(none, none, none, classes=classes, task=task)  # type: ignore[arg-type]


class _Prepare:
    """Preprocessing read back from its file."""

    takes_requests = True

    def __init__(self, model: bytes, view: list[dict[str, Any]] | None = None) -> None:
        runtime = require("onnxruntime", "onnx", "Preprocessing of a delivered PyTorch model")
        self._model = model
        self._session = runtime.InferenceSession(self._model, providers=["CPUExecutionProvider"])
        self.view = None if view is None else View.from_json(view)
        said = self._session.get_modelmeta().custom_metadata_map
        self._feed = feeder(types(self._session), said, self.view)

    def transform(self, rows: Any) -> Array:
        return np.asarray(self._session.run(None, self._feed(rows))[0])

    def to_onnx(self) -> bytes:
        return self._model


class TorchSession:
    """A module ready to answer. No memory format or compilation is changed: it is eager PyTorch as people run it."""

    def __init__(self, live: _Live, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._workload, self._texts = live.workload, live.texts
        self._module = evaluated(live.workload.model)
        self.takes_requests = takes_requests(live.workload.prepare)
        self._labels = _labels(live.workload)

    def predict(self, rows: Rows) -> Array:
        """Labels or values (n,)."""
        raw = self._raw(rows)
        if self._labels is not None and raw.ndim == 2 and raw.shape[1] > 1:
            return np.asarray(self._labels[raw.argmax(axis=1)])
        found = self._workload.probabilities(raw)
        return found if self._workload.decide is None else self._workload.decide.labels(found)

    def scores(self, rows: Rows) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,)."""
        return self._workload.probabilities(self._raw(rows))

    def _raw(self, rows: Any) -> Array:
        given = tensor(self._workload, rows if self.takes_requests else from_request(rows, self._texts))
        # a request is answered whole: a module may look at all of its rows
        return forward(self._module, given, max(1, len(given)))


def _labels(workload: Workload) -> Array | None:
    """The label of each of the module's columns where the largest one wins, so that no softmax is needed."""
    decide = workload.decide
    if decide is None or decide.threshold is not None:
        return None
    columns = workload.class_columns or range(len(decide.classes))
    return np.asarray([decide.classes[code] for code in columns])
