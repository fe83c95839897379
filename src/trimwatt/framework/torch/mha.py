"""Self-attention as four dense layers, with any number of heads of one width."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """What torch.nn.MultiheadAttention does within an encoder layer, for a number of heads that need not divide it.

    heads: how many; width: of each. query, key, value: (n, steps, features) to (n, steps, heads * width).
    """

    # what torch.nn's encoder layers ask before they choose a fused path, which this has not
    in_proj_bias = None
    _qkv_same_embed_dim = False

    def __init__(self, features: int, heads: int, width: int, bias: bool, batch_first: bool, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(features, heads * width, bias) for _ in range(3))
        self.out = nn.Linear(heads * width, features, bias)
        self.heads, self.num_heads, self.width, self.batch_first, self.dropout = (
            heads,
            heads,
            width,
            batch_first,
            dropout,
        )

    @classmethod
    def of(cls, other: Any) -> Attention:
        """The same attention, its weights copied."""
        width = other.embed_dim // other.num_heads
        bias = other.in_proj_bias is not None
        made = cls(other.embed_dim, other.num_heads, width, bias, other.batch_first, other.dropout)
        parts = other.in_proj_weight.chunk(3), other.in_proj_bias.chunk(3) if bias else (None,) * 3
        with torch.no_grad():
            for layer, weight, offset in zip((made.query, made.key, made.value), *parts, strict=True):
                layer.weight.copy_(weight)
                if offset is not None:
                    layer.bias.copy_(offset)
            made.out.load_state_dict(other.out_proj.state_dict())
        learns = other.in_proj_weight.requires_grad
        return made.requires_grad_(learns).to(other.in_proj_weight.dtype).train(other.training)

    def forward(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        key_padding_mask: torch.Tensor | None = None,
        need_weights: bool = False,
        attn_mask: torch.Tensor | None = None,
        is_causal: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        """As torch.nn.MultiheadAttention, for rows of one length; weights are never given."""
        x = query if self.batch_first else query.transpose(0, 1)
        n, steps = x.shape[:2]
        q, k, v = (
            layer(x).view(n, steps, -1, self.width).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mask = _mask(attn_mask, key_padding_mask, x.dtype)
        dropped = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(q, k, v, mask, dropped)
        answer = self.out(seen.transpose(1, 2).reshape(n, steps, -1))
        return (answer if self.batch_first else answer.transpose(0, 1)), None


def _mask(attention: torch.Tensor | None, padding: torch.Tensor | None, kind: torch.dtype) -> torch.Tensor | None:
    """What is added to the scores, (n or 1, 1, steps or 1, steps)."""
    total: torch.Tensor | None = None
    if attention is not None:
        total = _added(attention, kind)[None, None]
    if padding is not None:
        some = _added(padding, kind)[:, None, None]
        total = some if total is None else total + some
    return total


def _added(mask: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask.to(kind)
    return torch.zeros(mask.shape, dtype=kind).masked_fill(mask, torch.finfo(kind).min)
