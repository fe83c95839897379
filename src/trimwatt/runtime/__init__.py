"""Runtimes: what runs artifacts. One file a runtime; strangers' by the entry points `trimwatt.runtimes`."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from trimwatt import _imports
from trimwatt.errors import InputError
from trimwatt.runtime._base import Artifact, Runtime, Session

__all__ = ["Artifact", "Runtime", "Session", "get", "names", "needs_trust", "precision", "serving"]

_OWN = {
    "onnxruntime": "onnxruntime:OnnxRuntime", "openvino": "openvino:OpenVino", "openvino-bf16": "openvino:OpenVinoBf16",
    "sklearn": "sklearn:SklearnRuntime", "torch": "torch:TorchRuntime", "torch-bf16": "torch_bf16:TorchBf16Runtime",
}  # fmt: skip


def names() -> tuple[str, ...]:
    """Every runtime known here, whether or not its package is installed."""
    return tuple(sorted(_OWN.keys() | _plugins().keys()))


def get(name: str) -> Runtime:
    """The runtime called `name`, imported now; raises InputError, naming those known, where there is none."""
    if name in _OWN:
        module, _, kind = _OWN[name].partition(":")
        return cast(Runtime, getattr(importlib.import_module(f"trimwatt.runtime.{module}"), kind)())
    plugin = _plugins().get(name)
    if plugin is None:
        raise InputError(f"runtime {name!r} is unknown; runtimes are {', '.join(names())}")
    return cast(Runtime, plugin.load()())


def serving(form: str, network: bool) -> tuple[str, ...]:
    """The runtimes, installed here, that take a model of this form, itself or turned into ONNX; the usual one first.

    network: whether it is one; a runtime says by `networks_only` that it has no operators for trees and the like.
    """
    known = ((name, get(name)) for name in names() if _is_installed(name))
    fits = [n for n, r in known if {form, "onnx"} & r.forms and (network or not getattr(r, "networks_only", False))]
    return tuple(sorted(fits, key=lambda name: name != "onnxruntime"))


def precision(name: str) -> str:
    """The numbers that a runtime computes with: "f32" unless it says otherwise."""
    return str(getattr(get(name), "precision", "f32"))


def _is_installed(name: str) -> bool:
    package = getattr(get(name), "package", "")
    return not package or _imports.available(package)


def needs_trust(name: str) -> bool:
    """Whether opening an artifact of this runtime can run code, as is assumed of one that does not say."""
    return bool(getattr(get(name), "trusted", True))


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="trimwatt.runtimes") if entry.name not in _OWN}
