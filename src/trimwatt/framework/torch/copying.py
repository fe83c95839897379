"""Copies of modules that copy.deepcopy refuses, and modules taken out of what wraps them."""

from __future__ import annotations

import copy
import io
import pickle
import types
from typing import TYPE_CHECKING, Any

from trimwatt import _portable
from trimwatt.errors import InputError

if TYPE_CHECKING:
    from torch import nn

# kept as they are: a copy of a class or a function would be another one
_SHARED = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.CodeType, types.GeneratorType)


def copied(module: nn.Module) -> nn.Module:
    """A copy of its own: weights, buffers, attributes.

    Locks come free, activations that it keeps without their gradients; raises InputError, in one line, where something
    in it cannot be copied.
    """
    import torch

    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        # the weights of a deep copy of a program are computed tensors, which cannot be trained
        return _by_pickle(module)
    try:
        return copy.deepcopy(module)
    except Exception:  # weight_norm, spectral_norm, pruning hooks, locks, kept activations: each its own error
        return _by_pickle(module)


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside DataParallel or torch.compile, which change how it runs and not what it answers."""
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    while True:
        if isinstance(module, DataParallel | DistributedDataParallel):
            module = module.module
        elif "_orig_mod" in module._modules:
            module = module.get_submodule("_orig_mod")
        else:
            return module


def unwrap_inside_(module: nn.Module) -> None:
    """Do so for each inner module as well (in place)."""
    for name, part in list(module.named_children()):
        inner = unwrapped(part)
        if inner is not part:
            setattr(module, name, inner)
        unwrap_inside_(inner)


def _by_pickle(module: nn.Module) -> nn.Module:
    shared: list[Any] = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> int | None:
            if not isinstance(value, _SHARED):
                return None
            shared.append(value)
            return len(shared) - 1

        def reducer_override(self, value: Any) -> Any:
            return _portable.replacement(value)

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, place: Any) -> Any:
            return shared[place]

    file = io.BytesIO()
    try:
        Pickler(file).dump(module)
        file.seek(0)
        made: nn.Module = Unpickler(file).load()
    except Exception as error:  # pickle passes on whatever an object's own methods raise
        why = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise InputError(
            f"the model cannot be copied ({why}), and the one you gave is left as it is; take that attribute out of "
            "it, or let package.module:callable build a model without it"
        ) from error
    return made
