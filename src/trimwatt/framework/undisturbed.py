"""Ask a model that the user gave and leave all as it was: its own state, and the generators of random numbers."""

from __future__ import annotations

import copy
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Random numbers go on afterwards as if nothing had been drawn inside."""
    python, plain = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    drawn = torch.random.get_rng_state() if torch is not None else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(plain)
        if torch is not None and drawn is not None:
            torch.random.set_rng_state(drawn)


@contextmanager
def kept_attributes(objects: list[Any]) -> Iterator[None]:
    """Attributes that calls set on these objects are as before afterwards."""
    before = [(item, dict(vars(item))) for item in objects if hasattr(item, "__dict__")]
    try:
        yield
    finally:
        for item, attributes in before:
            now = vars(item)
            for name in [name for name in now if name not in attributes]:
                del now[name]
            now.update(attributes)


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """The module itself in evaluation mode, without gradients; its mode and its buffers are as before afterwards."""
    import torch

    parts = list(module.modules())
    modes = [(part, part.training) for part in parts]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    with ExitStack() as stack:
        stack.callback(_restore, buffers)
        stack.callback(_set_modes, modes)
        stack.enter_context(kept_attributes(parts))
        for part in parts:
            for name in ("_buffers", "_parameters"):
                stack.enter_context(_kept_items(getattr(part, name, None)))
        module.eval()
        stack.enter_context(torch.inference_mode())
        yield


def _set_modes(modes: list[tuple[Any, bool]]) -> None:
    """Put each part into its mode; a scripted one does not keep it among its attributes."""
    for part, training in modes:
        if part.training != training:
            part.training = training


def _restore(tensors: list[tuple[Any, Any]]) -> None:
    """Write the contents back into tensors that were changed in place."""
    import torch

    with torch.no_grad():
        for tensor, content in tensors:
            if not torch.equal(tensor, content):
                tensor.copy_(content)


@contextmanager
def _kept_items(items: Any) -> Iterator[None]:
    before = dict(items) if isinstance(items, dict) else None
    try:
        yield
    finally:
        if before is not None:
            items.clear()
            items.update(before)


def copy_to_ask(model: Any) -> Any:
    """A deep copy, so that what calls change inside it (counters, lists, buffers) is not changed in the model given;
    that one itself where it cannot be copied.
    """
    if isinstance(model, bytes):
        return model
    try:
        return copy.deepcopy(model)
    except Exception:  # locks, open files, sessions of other libraries: each its own error
        return model


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Inside, `model` may be asked; afterwards it and all random numbers are as they were."""
    torch = sys.modules.get("torch")
    with ExitStack() as stack:
        stack.enter_context(kept_random_state())
        if torch is not None and isinstance(model, torch.nn.Module):
            stack.enter_context(evaluating(model))
        elif not isinstance(model, bytes):
            parts = model.get_params(deep=True).values() if hasattr(model, "get_params") else ()
            stack.enter_context(kept_attributes([model, *(p for p in parts if hasattr(p, "predict"))]))
        yield
