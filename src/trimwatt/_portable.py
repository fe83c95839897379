"""Objects that pickle refuses, or takes wrongly, and that mean the same in a copy or in another process."""

from __future__ import annotations

import _thread
import io
import sys
import threading
from typing import Any

_LOCKS: dict[type, Any] = {_thread.LockType: threading.Lock, type(threading.RLock()): threading.RLock}


def replacement(value: Any) -> Any:
    """How pickle is to rebuild `value`, NotImplemented where it knows itself.

    A lock becomes a free one, a tensor that was computed with gradients becomes its plain values, a TorchScript module
    goes as its own file format.
    """
    if type(value) in _LOCKS:
        return _LOCKS[type(value)], ()
    torch = sys.modules.get("torch")
    if torch is None:
        return NotImplemented
    if isinstance(value, torch.Tensor) and not value.is_leaf:
        return _given, (value.detach(),)
    if isinstance(value, torch.jit.ScriptModule):
        return _opened_script, (_written_script(value),)
    return NotImplemented


def _given(value: Any) -> Any:
    return value


def _written_script(module: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


def _opened_script(content: bytes) -> Any:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.load(io.BytesIO(content), map_location="cpu")
