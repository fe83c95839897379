"""Gradients of convolution weights that only padding meets.

In a narrow picture the outer columns of a kernel may never meet a pixel. Their gradient is 0, and PyTorch's CPU backend
leaves that part of the result unwritten: whatever the memory held before, up to 1e30 or NaN, goes into the optimizer.
What such a weight holds changes no answer, but an export with it is no honest file, and int8 finds no scale for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_SIDES: dict[Callable[..., Any], int] = {functional.conv1d: 1, functional.conv2d: 2, functional.conv3d: 3}
_NAMES = ("input", "weight", "bias", "stride", "padding", "dilation")
_DEFAULTS: dict[str, Any] = {"stride": 1, "padding": 0, "dilation": 1}


@contextmanager
def zero_unreached(module: nn.Module, rows: torch.Tensor) -> Iterator[None]:
    """Inside, weights of convolutions that meet only padding get a gradient of 0.

    rows: a few as the module takes them, as large as those to come; where every weight meets some, nothing is done.
    """
    look, training = _Zeroing(), module.training
    module.eval()
    try:
        with torch.no_grad(), look:
            module(rows)
    finally:
        module.train(training)
    if not look.unreached:
        yield
        return
    with _Zeroing():
        yield


class _Zeroed(torch.autograd.Function):
    """The weight as it is; in its gradient the unreached part is 0."""

    @staticmethod
    def forward(ctx: Any, weight: torch.Tensor, unreached: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(unreached)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grads[0].masked_fill(ctx.saved_tensors[0], 0.0), None


class _Zeroing(TorchFunctionMode):
    """Takes each convolution's weight through `_Zeroed`; unreached: whether one had to be."""

    def __init__(self) -> None:
        super().__init__()
        self.unreached = False
        self._masks: dict[Any, torch.Tensor | None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SIDES:
            named = {**_DEFAULTS, **dict(zip(_NAMES, args, strict=False)), **kwargs}
            mask = self._mask(named, _SIDES[func])
            if mask is not None:
                self.unreached = True
                weight = _Zeroed.apply(named["weight"], mask)  # type: ignore[no-untyped-call]
                args, kwargs = (args[0], weight, *args[2:]) if len(args) > 1 else args, dict(kwargs)
                if "weight" in kwargs:
                    kwargs["weight"] = weight
        return func(*args, **kwargs)

    def _mask(self, named: dict[str, Any], sides: int) -> torch.Tensor | None:
        sizes, kernel = named["input"].shape[-sides:], named["weight"].shape[2:]
        key = (sizes, kernel, *(str(named[name]) for name in _DEFAULTS))
        if key not in self._masks:
            spread = [_each(named[name], sides) for name in _DEFAULTS]
            axes = [_reached(*axis) for axis in zip(sizes, kernel, *spread, strict=True)]
            self._masks[key] = _unreached(axes)
        return self._masks[key]


def _each(setting: Any, sides: int) -> Sequence[Any]:
    """A setting for each side: one number or word stands for all."""
    if isinstance(setting, int | str):
        return (setting,) * sides
    return tuple(setting) * (sides if len(setting) == 1 else 1)


def _reached(size: int, kernel: int, stride: int, padding: int | str, dilation: int) -> torch.Tensor:
    """(kernel,): whether each place of the kernel meets a pixel along one side."""
    span = dilation * (kernel - 1)
    left = span // 2 if padding == "same" else 0 if padding == "valid" else int(padding)
    whole = span if padding == "same" else 2 * left
    outputs = (size + whole - span - 1) // stride + 1
    place = torch.arange(outputs)[:, None] * stride + torch.arange(kernel) * dilation - left
    return ((place >= 0) & (place < size)).any(dim=0)


def _unreached(axes: list[torch.Tensor]) -> torch.Tensor | None:
    """True for each place of a kernel that meets no pixel, to be spread over channels; None where there is none."""
    reached = axes[0]
    for axis in axes[1:]:
        reached = reached[..., None] & axis
    return None if bool(reached.all()) else ~reached
