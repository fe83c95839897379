"""Runtimes: what runs artifacts. One file a runtime; strangers' by the entry points `trimwatt.runtimes`."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from trimwatt.errors import InputError
from trimwatt.runtime._base import Artifact, Runtime, Session

__all__ = ["Artifact", "Runtime", "Session", "get", "names", "needs_trust"]

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


def needs_trust(name: str) -> bool:
    """Whether opening an artifact of this runtime can run code, as is assumed of one that does not say."""
    return bool(getattr(get(name), "trusted", True))


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="trimwatt.runtimes") if entry.name not in _OWN}
