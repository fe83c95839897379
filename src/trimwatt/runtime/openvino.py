"""OpenVINO on the CPU: the file that ONNX Runtime takes, run by another engine, in float32 or in bfloat16."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from trimwatt._imports import require
from trimwatt.errors import TrialFailed
from trimwatt.framework import onnx as framework
from trimwatt.framework.prepare import ColumnPrepare
from trimwatt.rows import packing
from trimwatt.rows.columns import kind_of
from trimwatt.rows.view import View
from trimwatt.runtime import _view
from trimwatt.runtime._base import Artifact, Session
from trimwatt.scenario import Scenario
from trimwatt.workload import Array, Rows, Workload, count

_FILE, _LABELS = "model.onnx", "labels.json"
# probabilities: sums of float32, of numbers with 8 bits of mantissa, and of 8-bit levels that round either way
_EXACT, _HALF, _STEPS = 1e-3, 5e-2, 5e-2


class OpenVino:
    """Exports any form, lowered where it is not ONNX yet; opens for latency, with the scenario's threads, in float32.

    A model is compiled for requests of the scenario's size, and once more where others come.
    """

    name = "openvino"
    package = "openvino"
    networks_only = True
    forms = frozenset({"onnx"})
    trusted = False
    precision = "f32"

    def export(self, workload: Workload, folder: Path) -> Artifact:
        """Write `model.onnx`, and `labels.json` where classes are text, which OpenVINO does not know.

        Raises TrialFailed for what it cannot run: text columns, trees, a precision that this processor lacks.
        """
        require("onnx", "onnx", "Exporting to ONNX")
        _engine()
        if _reads_text(workload):
            raise TrialFailed("OpenVINO takes no columns of text; use onnxruntime")
        coded, labels = _coded(framework.lower(workload))
        (folder / _FILE).write_bytes(framework.join(coded))
        files: tuple[str, ...] = (_FILE,)
        if labels is not None:
            (folder / _LABELS).write_text(json.dumps(labels, ensure_ascii=False) + "\n", encoding="utf-8")
            files = (_FILE, _LABELS)
        files = (*files, *_view.write(workload, folder))
        artifact = Artifact(folder, self.name, files, tensors=packing.described(workload.prepare))
        self.open(artifact, workload.scenario)
        return artifact

    def open(self, artifact: Artifact, scenario: Scenario) -> Session:
        """A session; raises TrialFailed where OpenVINO refuses the model."""
        labels = json.loads(artifact.content(_LABELS)) if _LABELS in artifact.files else None
        own = artifact.digests is None
        model = artifact.folder / _FILE if own else framework.self_contained(artifact.content(_FILE), artifact.content)
        return OpenVinoSession(model, scenario, self.precision, labels, _view.read(artifact))


class OpenVinoBf16(OpenVino):
    """The same in bfloat16, on processors that compute with it: answers change by up to a hundredth."""

    name = "openvino-bf16"
    precision = "bf16"


def _reads_text(workload: Workload) -> bool:
    rows = workload.rows.train.x
    if isinstance(workload.prepare, ColumnPrepare):
        return False  # words go in as the numbers of their categories
    return isinstance(rows, dict) and any(kind_of(column) == "text" for column in rows.values())


def _engine() -> ModuleType:
    """The package, without its telemetry, which is loaded with it where nothing is in the way."""
    if "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        try:
            return require("openvino", "openvino", "Running in OpenVINO")
        finally:
            del sys.modules["openvino_telemetry"]
    return require("openvino", "openvino", "Running in OpenVINO")


def _coded(workload: Workload) -> tuple[Workload, list[str] | None]:
    """The workload with class codes in the place of text labels, and those labels in order."""
    classes = workload.answers
    if workload.task.target != "class" or not any(isinstance(label, str) for label in classes):
        return workload, None
    codes = tuple(range(len(classes)))
    decide = None if workload.decide is None else replace(workload.decide, classes=codes)
    return replace(workload, decide=decide, data=replace(workload.rows, classes=codes)), [str(c) for c in classes]


class OpenVinoSession:
    """An opened `model.onnx`. error_bound: how far answers may be from those of the framework it came from."""

    def __init__(
        self, model: Path | bytes, scenario: Scenario, precision: str, labels: list[str] | None,
        view: View | None = None,
    ) -> None:  # fmt: skip
        self._engine = _engine()
        self._core = self._engine.Core()
        if precision == "bf16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise TrialFailed("this processor does not compute in bfloat16; use the runtime openvino")
        self._model, self._rows, self._labels = model, scenario.batch_size, labels
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": scenario.threads,
            "INFERENCE_PRECISION_HINT": precision, "ENABLE_CPU_PINNING": False,
        }  # fmt: skip
        read = self._read()
        types = {entry.get_any_name(): entry.get_element_type().to_dtype() for entry in read.inputs}
        said = _metadata(read)
        self.takes_requests = packing.KEY in said
        self._feed = framework.feeder(types, said, view)
        outputs = [entry.get_any_name() for entry in read.outputs]
        self._wanted = "probability" if "probability" in outputs else "prediction"
        quantized = any(node.get_type_name() == "FakeQuantize" for node in read.get_ops())
        self.error_bound = _HALF if precision == "bf16" else (_STEPS if quantized else _EXACT)
        self._compiled: dict[tuple[str, bool], Any] = {}
        self._request("prediction", True)

    def predict(self, rows: Rows) -> Array:
        """Labels or values (n,) of rows as an array, a dict of columns or a DataFrame."""
        found = self._answer("prediction", rows)
        return found if self._labels is None else np.asarray(self._labels)[found]

    def scores(self, rows: Rows) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,)."""
        return self._answer(self._wanted, rows)

    def _answer(self, output: str, rows: Rows) -> Array:
        feed = self._feed(rows)
        request = self._request(output, count(feed) == self._rows)
        request.infer({name: np.ascontiguousarray(value) for name, value in feed.items()}, share_inputs=True)
        return np.array(request.get_output_tensor(0).data)

    def _request(self, output: str, usual: bool) -> Any:
        """What computes one output; usual: for requests of the scenario's size, else of any."""
        if (output, usual) not in self._compiled:
            model = self._read()
            kept = [result for result in model.get_results() if output in result.get_output_tensor(0).get_names()]
            alone = self._engine.Model(kept, model.get_parameters(), output)
            try:
                if usual:
                    alone.reshape({e: [self._rows, *list(e.get_partial_shape())[1:]] for e in alone.inputs})
                compiled = self._core.compile_model(alone, "CPU", self._settings)
            except Exception as error:  # its errors are RuntimeError and bare C++ ones
                raise TrialFailed(f"OpenVINO refuses the model: {_line(error)}") from error
            self._compiled[output, usual] = compiled.create_infer_request()
        return self._compiled[output, usual]

    def _read(self) -> Any:
        try:
            return self._core.read_model(self._model)
        except Exception as error:  # its errors are RuntimeError and bare C++ ones
            raise TrialFailed(f"OpenVINO cannot read the model: {_line(error)}") from error


def _metadata(model: Any) -> dict[str, str]:
    """What the ONNX file says of its inputs."""
    place = ["framework", packing.KEY]
    return {packing.KEY: str(model.get_rt_info(place).value)} if model.has_rt_info(place) else {}


def _line(error: Exception) -> str:
    """The line that says why: the first ones name source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (telling or lines or [type(error).__name__])[0][:300]
