"""The door for models: ONNX files, `package.module:callable`, and objects of the frameworks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimwatt.errors import InputError
from trimwatt.input import calls
from trimwatt.input.checks import shown
from trimwatt.input.loading import existing
from trimwatt.workload import Data, Form, Workload

ALLOWED = "a PyTorch module, a fitted scikit-learn estimator or pipeline, an ONNX model or its path, or a Workload"
_KERAS = (
    "Keras models come as ONNX in this version: model.export('model.onnx', format='onnx') in Keras 3, then give "
    "model.onnx"
)
_PICKLED = (
    "pickled models are never loaded from files; write a function that builds the model and loads its weights "
    "(torch.load with weights_only=True, skops), and give it as package.module:callable"
)
_HINTS = {
    **dict.fromkeys((".keras", ".h5", ".hdf5"), _KERAS),
    **dict.fromkeys((".pt", ".pth", ".th", ".ckpt", ".pkl", ".pickle", ".joblib", ".skops", ".safetensors"), _PICKLED),
    ".tflite": "convert it to ONNX first (tf2onnx reads .tflite)",
    ".py": "give a callable of it as module:callable, without .py",
}


def load_model(source: Any, data: Data | None = None) -> Workload:
    """The workload of a model, not yet adopted by its framework.

    source: path of an .onnx file, "package.module:callable" (the current folder is importable), or the object itself:
    a PyTorch module, a scikit-learn estimator or pipeline, ONNX bytes or ModelProto, a Workload. `rebuild` is the
    callable, where there is one. Raises InputError, in one line, for all else.
    """
    if isinstance(source, str) and calls.is_spec(source) and not Path(source).exists():
        function = calls.resolve(source)
        return _called(function, source, data)
    if isinstance(source, str | Path):
        return _from_path(existing(Path(source)), data)
    made = from_object(source, data)
    if made is None:
        raise InputError(f"the model came as {_told(source)}; {ALLOWED} is allowed")
    return made


def _called(function: Callable[[], Any], spec: str, data: Data | None) -> Workload:
    value = calls.call(function, spec, ALLOWED)
    try:
        made = _from_path(existing(Path(value)), data) if isinstance(value, str | Path) else from_object(value, data)
    except InputError as error:
        raise InputError(f"{spec}() returned what cannot be used: {error}") from error
    if made is None:
        raise InputError(f"{spec}() returned {_told(value)}; {ALLOWED} is allowed; return one of these")
    return dataclasses.replace(made, rebuild=function)


def _from_path(path: Path, data: Data | None) -> Workload:
    suffix = path.suffix.lower()
    if path.is_dir():
        raise InputError(f"{path.name} is a folder; a model is an .onnx file or package.module:callable; {_KERAS}")
    if suffix == ".onnx":
        from trimwatt.input import onnxfile

        return _workload(onnxfile.read(path), "onnx", data)
    hint = _HINTS.get(suffix, "export the model to ONNX, or give a function that returns it")
    raise InputError(f"{path.name}: a model is an .onnx file or package.module:callable; {hint}")


def from_object(value: Any, data: Data | None) -> Workload | None:
    """The workload of a model object, None where it is of no known kind."""
    if isinstance(value, Workload):
        return value if value.data is not None or data is None else dataclasses.replace(value, data=data)
    form = form_of(type(value))
    if form == "onnx":
        from trimwatt.input import onnxfile

        value = onnxfile.checked(value if isinstance(value, bytes) else value.SerializeToString(), "the ONNX model")
    return None if form is None else _workload(value, form, data)


def form_of(kind: type) -> Form | None:
    """The form of a model of class `kind`, by where its bases are defined; no framework is imported."""
    if issubclass(kind, bytes):
        return "onnx"
    homes = {(base.__module__, base.__name__) for base in kind.__mro__}
    if any(module.partition(".")[0] == "keras" for module, _ in homes):
        raise InputError(f"the model is a Keras {kind.__name__}; {_KERAS}")
    if ("torch.nn.modules.module", "Module") in homes:
        return "torch"
    if ("sklearn.base", "BaseEstimator") in homes:
        return "sklearn"
    return "onnx" if any(m.startswith("onnx.") and name == "ModelProto" for m, name in homes) else None


def _workload(model: Any, form: Form, data: Data | None) -> Workload:
    return Workload(data=data, model=model, form=form)


def _told(value: Any) -> str:
    """What a value is, for a message; a class was most likely not called."""
    if isinstance(value, type):
        return f"the class {value.__name__} rather than an object of it (call it)"
    return "nothing (None)" if value is None else f"{type(value).__name__} {shown(repr(value), 50)}"
