"""ONNX Runtime on the CPU: one file holds preprocessing, network and decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.framework import onnx as framework
from trimwatt.rows import packing
from trimwatt.rows.view import View
from trimwatt.runtime import _view
from trimwatt.runtime._base import Artifact, Session
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Rows, Workload

_FILE, _PREDICTION = "model.onnx", ["prediction"]


class OnnxRuntime:
    """Exports any form, lowered where it is not ONNX yet; opens with the scenario's threads, which do not spin."""

    name = "onnxruntime"
    forms = frozenset({"onnx"})
    trusted = False

    def export(self, workload: Workload, folder: Path) -> Artifact:
        """Write `model.onnx`; raises TrialFailed where the model cannot be converted or joined."""
        require("onnx", "onnx", "Exporting to ONNX")
        (folder / _FILE).write_bytes(framework.join(framework.lower(workload)))
        files = (_FILE, *_view.write(workload, folder))
        return Artifact(folder, self.name, files, tensors=packing.described(workload.prepare))

    def open(self, artifact: Artifact, scenario: Scenario) -> Session:
        """A session; files that may come from elsewhere are opened from the bytes whose digest was checked."""
        own = artifact.digests is None
        model = artifact.folder / _FILE if own else framework.self_contained(artifact.content(_FILE), artifact.content)
        return OnnxSession(framework.open_session(model, scenario.threads), _view.read(artifact))


class OnnxSession:
    """An opened `model.onnx`. view: how it sees stored columns, None where they go in as they are."""

    def __init__(self, session: Any, view: View | None = None) -> None:
        self._session = session
        said = session.get_modelmeta().custom_metadata_map
        self.takes_requests = packing.KEY in said
        self._feed = framework.feeder(framework.types(session), said, view)
        outputs = [entry.name for entry in session.get_outputs()]
        # the probabilities are not computed where only the label is asked: 7 % of a small model's time
        self._asked = require("onnxruntime", "onnx", "Running ONNX models").RunOptions()
        self._asked.only_execute_path_to_fetches = True
        self._scores = ["probability" if "probability" in outputs else "prediction"]

    def predict(self, rows: Rows) -> Array:
        """Labels or values (n,) of rows as an array, a dict of columns or a DataFrame."""
        return np.asarray(self._session.run(_PREDICTION, self._feed(rows), self._asked)[0])

    def scores(self, rows: Rows) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,)."""
        return np.asarray(self._session.run(self._scores, self._feed(rows))[0])
