"""Heads and feed-forward neurons of transformer encoders: where they are, and how they are taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trimwatt.framework.torch.mha import Attention

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class Units:
    """Units that go from `makers` (rows) into `taker` (columns), `width` of each a unit; `layer` is the whole.

    kind: "heads" or "neurons". The names are of dense layers, as the module knows them.
    """

    kind: str
    layer: str
    makers: tuple[str, ...]
    taker: str
    width: int
    number: int


def found(module: nn.Module) -> list[Units]:
    """Heads and neurons of all encoder layers whose layout is known, in order; `opened` modules only.

    Known are the layout of BERT in transformers (attention.self.query, key, value, attention.output.dense,
    intermediate.dense, output.dense) and torch.nn.TransformerEncoderLayer.
    """
    units: list[Units] = []
    waiting: list[Units] = []  # neurons of a layer stand behind the heads that lie inside it
    for name, part in module.named_modules():
        if waiting and not name.startswith(_dot(waiting[0].layer, "")):
            units, waiting = units + waiting, []
        units += _heads(part, name)
        waiting += _neurons(part, name)
    return units + waiting


def _dot(name: str, *parts: str) -> str:
    return ".".join([*([name] if name else []), *parts])


def _heads(part: Any, name: str) -> list[Units]:
    from torch import nn

    if isinstance(part, Attention):
        makers = tuple(_dot(name, one) for one in ("query", "key", "value"))
        return [Units("heads", name, makers, _dot(name, "out"), part.width, part.heads)]
    inner, after = getattr(part, "self", None), getattr(getattr(part, "output", None), "dense", None)
    size = getattr(inner, "attention_head_size", None)
    dense: list[Any] = [getattr(inner, one, None) for one in ("query", "key", "value")] + [after]
    if size is None or not all(isinstance(layer, nn.Linear) for layer in dense):
        return []
    makers = tuple(_dot(name, "self", one) for one in ("query", "key", "value"))
    return [Units("heads", name, makers, _dot(name, "output", "dense"), size, dense[0].out_features // size)]


def _neurons(part: Any, name: str) -> list[Units]:
    from torch import nn

    ends = getattr(part, "intermediate", None), getattr(part, "output", None)
    bert: list[Any] = [getattr(end, "dense", None) for end in ends]
    plain: list[Any] = [getattr(part, one, None) for one in ("linear1", "linear2")]
    for layers, names in ((bert, ("intermediate.dense", "output.dense")), (plain, ("linear1", "linear2"))):
        if all(isinstance(layer, nn.Linear) for layer in layers) and layers[0].out_features == layers[1].in_features:
            maker, taker = (_dot(name, one) for one in names)
            return [Units("neurons", name, (maker,), taker, 1, layers[0].out_features)]
    return []


def opened(module: nn.Module) -> nn.Module:
    """The module with each self-attention of torch.nn as dense layers, which may have any number of heads (in place).

    Only attention that is a part of torch.nn.TransformerEncoderLayer is replaced: how it is called is known there.
    """
    from torch import nn

    for part in module.modules():
        own = getattr(part, "self_attn", None)
        if isinstance(part, nn.TransformerEncoderLayer) and type(own) is nn.MultiheadAttention:
            part.self_attn = Attention.of(own)  # type: ignore[assignment]
    return module


def shrink_(module: nn.Module, units: Units, kept: torch.Tensor) -> None:
    """Leave only units `kept`, sorted, of one layer (in place)."""
    import torch

    places = (kept[:, None] * units.width + torch.arange(units.width)).reshape(-1)
    for name in units.makers:
        layer: Any = module.get_submodule(name)
        _put(layer, "weight", layer.weight[places])
        if layer.bias is not None:
            _put(layer, "bias", layer.bias[places])
        layer.out_features = len(places)
    taker: Any = module.get_submodule(units.taker)
    _put(taker, "weight", taker.weight[:, places])
    taker.in_features = len(places)
    if units.kind == "heads":
        _recount(module.get_submodule(units.layer), len(kept))


def _recount(layer: Any, number: int) -> None:
    if isinstance(layer, Attention):
        layer.heads = number
        return
    inner = layer.self
    for name, value in (("num_attention_heads", number), ("all_head_size", number * inner.attention_head_size)):
        if hasattr(inner, name):
            setattr(inner, name, value)


def _put(layer: Any, name: str, content: torch.Tensor) -> None:
    from torch import nn

    learns = getattr(layer, name).requires_grad
    setattr(layer, name, nn.Parameter(content.detach().clone(), requires_grad=learns))
