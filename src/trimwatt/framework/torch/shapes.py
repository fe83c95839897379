"""What each convolution and dense layer of a module computes: sizes in and out, kernel, stride."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class LayerShape:
    """One layer as it ran. kind: "conv" or "dense".

    rows: sizes of its input around the channels: (n, height, width) of a convolution, (n,) or (n, steps) of a dense
    layer. kernel, stride, padding, dilation: one number an axis, empty for dense layers. groups: 1, or as many as
    channels for a depthwise convolution. runs: how often it ran for one request.
    """

    layer: str
    kind: str
    inputs: int
    outputs: int
    rows: tuple[int, ...]
    kernel: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    runs: int = 1

    @property
    def depthwise(self) -> bool:
        """Whether each channel is worked on by itself."""
        return self.groups > 1


def layer_shapes(module: nn.Module, rows: torch.Tensor) -> dict[str, LayerShape]:
    """The convolutions (not transposed, zero padded, ungrouped or depthwise) and dense layers, by name, as they run.

    rows: a request as the module takes it; the module must be in evaluation mode.
    """
    import torch
    from torch import nn

    found: dict[str, LayerShape] = {}

    def note(name: str, layer: nn.Module, given: tuple[Any, ...]) -> None:
        shape = _shape(name, layer, tuple(given[0].shape), found[name].runs + 1 if name in found else 1)
        if shape is not None:
            found[name] = shape

    hooks = [
        layer.register_forward_pre_hook(lambda layer, given, name=name: note(name, layer, given))
        for name, layer in module.named_modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Linear))
    ]
    try:
        with torch.no_grad():
            module(rows)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _shape(name: str, layer: Any, given: tuple[int, ...], runs: int) -> LayerShape | None:
    from torch import nn

    if isinstance(layer, nn.Linear):
        return LayerShape(name, "dense", layer.in_features, layer.out_features, given[:-1], runs=runs)
    plain = layer.groups in (1, layer.in_channels) and not isinstance(layer.padding, str)
    if not plain or layer.padding_mode != "zeros":
        return None
    return LayerShape(
        name, "conv", layer.in_channels, layer.out_channels, (given[0], *given[2:]), layer.kernel_size, layer.stride,
        layer.padding, layer.dilation, layer.groups, runs,
    )  # fmt: skip
