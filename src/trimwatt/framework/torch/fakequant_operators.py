"""Operators of ONNX in PyTorch: those of networks that have been lowered, folded and quantized.

Each takes the node's attributes and its inputs (None where one is left out) and follows the operator's description,
https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Operator = Callable[..., Any]
_TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float32, 2: torch.uint8}


def _split_pads(pads: Sequence[int]) -> list[int]:
    """ONNX's (begin..., end...) as PyTorch's pairs, the last axis first."""
    half = len(pads) // 2
    return [pads[k + side * half] for k in reversed(range(half)) for side in (0, 1)]


def _window(a: dict[str, Any], x: Tensor, fill: float) -> Tensor:
    """`x` padded as a convolution or pooling asks."""
    sizes = a["kernel_shape"]
    pads = list(a.get("pads") or [0] * (2 * len(sizes)))
    if a.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", b"SAME_LOWER"):
        pads = _same(a, x, sizes)
    return functional.pad(x, _split_pads(pads), value=fill) if any(pads) else x


def _same(a: dict[str, Any], x: Tensor, sizes: Sequence[int]) -> list[int]:
    strides, dilations = a.get("strides", [1] * len(sizes)), a.get("dilations", [1] * len(sizes))
    whole = [
        max((math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
        for n, k, s, d in zip(x.shape[2:], sizes, strides, dilations, strict=True)
    ]
    less, more = [w // 2 for w in whole], [w - w // 2 for w in whole]
    return [*less, *more] if a["auto_pad"] == b"SAME_UPPER" else [*more, *less]


def _conv(a: dict[str, Any], x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    x = _window({**a, "kernel_shape": w.shape[2:]}, x, 0.0)
    rank = w.ndim - 2
    convolve: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]
    ones = [1] * rank
    made: Tensor = convolve(x, w, b, a.get("strides", ones), 0, a.get("dilations", ones), a.get("group", 1))
    return made


def _gemm(a: dict[str, Any], x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    x, w = (x.t() if a.get("transA") else x), (w.t() if a.get("transB") else w)
    made = a.get("alpha", 1.0) * (x @ w) if a.get("alpha", 1.0) != 1.0 else x @ w
    return made if b is None else made + a.get("beta", 1.0) * b


def _max_pool(a: dict[str, Any], x: Tensor) -> Tensor:
    rank = len(a["kernel_shape"])
    pool: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    x = _window(a, x, -math.inf)
    ones = [1] * rank
    made: Tensor = pool(
        x, a["kernel_shape"], a.get("strides", ones), 0, a.get("dilations", ones), bool(a.get("ceil_mode", 0))
    )
    return made


def _average_pool(a: dict[str, Any], x: Tensor) -> Tensor:
    rank = len(a["kernel_shape"])
    pool: Any = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    ones = [1] * rank
    padded = _window(a, x, 0.0)
    made: Tensor = pool(padded, a["kernel_shape"], a.get("strides", ones), 0, bool(a.get("ceil_mode", 0)))
    if padded is x or a.get("count_include_pad", 0):
        return made
    inside = _window(a, torch.ones_like(x[:1, :1]), 0.0)
    covered: Tensor = pool(inside, a["kernel_shape"], a.get("strides", ones), 0, bool(a.get("ceil_mode", 0)))
    return made / covered


def _axes(a: dict[str, Any], axes: Tensor | None) -> list[int] | None:
    return a.get("axes") if axes is None else axes.tolist()


def _reduced(by: Operator) -> Operator:
    def reduce(a: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = _axes(a, axes) or list(range(x.ndim))
        made: Tensor = by(x, dim=chosen, keepdim=bool(a.get("keepdims", 1)))
        return made

    return reduce


def _reshape(a: dict[str, Any], x: Tensor, shape: Tensor) -> Tensor:
    sizes = [x.shape[k] if size == 0 and not a.get("allowzero") else size for k, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def _flatten(a: dict[str, Any], x: Tensor) -> Tensor:
    axis = a.get("axis", 1) % (x.ndim + 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _unsqueeze(a: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _axes(a, axes) or []
    for axis in sorted(one % (x.ndim + len(chosen)) for one in chosen):
        x = x.unsqueeze(axis)
    return x


def _squeeze(a: dict[str, Any], x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = _axes(a, axes)
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _slice(a: dict[str, Any], x: Tensor, starts: Tensor, ends: Tensor, *rest: Tensor | None) -> Tensor:
    axes, steps = (*rest, None, None)[:2]
    chosen = range(x.ndim) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(chosen, starts.tolist(), ends.tolist(), strides, strict=False):
        where = torch.tensor(range(x.shape[axis])[slice(start, None if step < 0 and end < -(2**31) else end, step)])
        x = x.index_select(axis, where) if step != 1 else x.narrow(axis, int(where[0]) if len(where) else 0, len(where))
    return x


def _pad(a: dict[str, Any], x: Tensor, pads: Tensor, fill: Tensor | None = None, axes: Tensor | None = None) -> Tensor:
    given, sizes = pads.tolist(), [0] * (2 * x.ndim)
    chosen = list(range(x.ndim)) if axes is None else axes.tolist()
    for k, axis in enumerate(chosen):
        sizes[axis % x.ndim], sizes[axis % x.ndim + x.ndim] = given[k], given[k + len(chosen)]
    if (mode := a.get("mode", b"constant")) != b"constant":
        made: Tensor = functional.pad(x, _split_pads(sizes[2 : x.ndim] + sizes[x.ndim + 2 :]), mode.decode())
        return made
    return functional.pad(x, _split_pads(sizes), value=0.0 if fill is None else float(fill))


def _gather(a: dict[str, Any], x: Tensor, index: Tensor) -> Tensor:
    axis = a.get("axis", 0) % x.ndim
    flat = x.index_select(axis, index.reshape(-1) % x.shape[axis])
    return flat.reshape([*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]])


def _split(a: dict[str, Any], x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = a.get("axis", 0)
    parts = a["outputs"] if sizes is None else sizes.tolist()
    if sizes is None:
        parts = -(-x.shape[axis] // parts)
    made: tuple[Tensor, ...] = x.split(parts, axis)  # type: ignore[no-untyped-call]
    return made


def _clip(a: dict[str, Any], x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def _layer_norm(a: dict[str, Any], x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    shape = x.shape[a.get("axis", -1) % x.ndim :]
    return functional.layer_norm(x, shape, w.reshape(shape), b, a.get("epsilon", 1e-5))


def _batch_norm(a: dict[str, Any], x: Tensor, w: Tensor, b: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    return functional.batch_norm(x, mean, var, w, b, False, 0.0, a.get("epsilon", 1e-5))


def _shape(a: dict[str, Any], x: Tensor) -> Tensor:
    return torch.tensor(x.shape[a.get("start", 0) : a.get("end")])


def _div(a: dict[str, Any], x: Tensor, y: Tensor) -> Tensor:
    return x / y if x.is_floating_point() else torch.div(x, y, rounding_mode="floor")


def _fill(a: dict[str, Any], shape: Tensor) -> Tensor:
    value = a.get("value", torch.zeros(1))
    made: Tensor = value.reshape(()).expand(shape.tolist())
    return made


def _plain(function: Operator) -> Operator:
    """An operator without attributes."""
    return lambda a, *inputs: function(*inputs)


def _global(function: Operator) -> Operator:
    return lambda a, x: function(x, tuple(range(2, x.ndim)), keepdim=True)


OPERATORS: dict[str, Operator] = {
    "Abs": _plain(torch.abs), "Add": _plain(torch.add), "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm, "Cast": lambda a, x: x.to(_TYPES[a["to"]]), "Clip": _clip,
    "Concat": lambda a, *parts: torch.cat(parts, a["axis"]), "ConstantOfShape": _fill, "Conv": _conv, "Div": _div,
    "Elu": lambda a, x: functional.elu(x, a.get("alpha", 1.0)), "Equal": _plain(torch.eq), "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp), "Expand": lambda a, x, shape: x * torch.ones(shape.tolist(), dtype=x.dtype),
    "Flatten": _flatten, "Gather": _gather,
    "Gelu": lambda a, x: functional.gelu(x, approximate=a.get("approximate", b"none").decode()), "Gemm": _gemm,
    "GlobalAveragePool": _global(torch.mean), "GlobalMaxPool": _global(torch.amax),
    "HardSigmoid": lambda a, x: (a.get("alpha", 0.2) * x + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _plain(functional.hardswish), "Identity": _plain(lambda x: x), "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda a, x: functional.leaky_relu(x, a.get("alpha", 0.01)), "Log": _plain(torch.log),
    "LogSoftmax": lambda a, x: x.log_softmax(a.get("axis", -1)), "MatMul": _plain(torch.matmul),
    "Max": _plain(torch.maximum), "MaxPool": _max_pool, "Min": _plain(torch.minimum), "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg), "Pad": _pad, "Pow": _plain(torch.pow), "Reciprocal": _plain(torch.reciprocal),
    "ReduceMax": _reduced(torch.amax), "ReduceMean": _reduced(torch.mean), "ReduceSum": _reduced(torch.sum),
    "Relu": _plain(torch.relu), "Reshape": _reshape, "Shape": _shape, "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice, "Softmax": lambda a, x: x.softmax(a.get("axis", -1)), "Split": _split,
    "Sqrt": _plain(torch.sqrt), "Squeeze": _squeeze, "Sub": _plain(torch.sub), "Tanh": _plain(torch.tanh),
    "Transpose": lambda a, x: x.permute(a.get("perm") or list(reversed(range(x.ndim)))), "Unsqueeze": _unsqueeze,
    "Where": _plain(torch.where),
}  # fmt: skip
# these hand numbers on as they are, and so leave them on their grid
MOVES = frozenset({
    "Concat", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice", "Split", "Squeeze", "Transpose",
    "Unsqueeze",
})  # fmt: skip
