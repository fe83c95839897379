"""8-bit pixels are quantized numbers already: scaling them can be left to the first convolution's weights.

A network for images starts with scaling: `(x / 255 - mean) / std`. Behind it comes a convolution that pads with
zeros, and zero there is the mean grey of each channel. Read as int8 the pixels have one zero point for all channels;
what each channel's mean differs from it is put into the weights of one more channel, constant inside the image and
zero outside, so that borders are answered as before too (below half a grey level the difference is let be).
A strip of neighbouring pixels is taken at once as channels, since int8 kernels want at least 16 of them and images
have 1 or 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from trimwatt.technique import _graph
from trimwatt.workload import Array

# "rounded": zeros around the picture are off by at most half a grey level, as any value is in int8
Folded = Literal["no", "exact", "rounded"]
_SIMPLE = ("Add", "Cast", "Div", "Identity", "Mul", "Reshape", "Squeeze", "Sub", "Transpose", "Unsqueeze")
_MORE = 128  # multiplications for each pixel, to spare averaging them
_WIDTH = 64  # output channels from which int8 kernels gain no more


@dataclass(frozen=True)
class Start:
    """What stands before the first convolution: its input is `factor[c] * pixel + shift[c]`.

    order: which axis of the stored rows (0 rows, then as stored) each axis (n, c, h, w) is; None for a channel axis
    that was added to grey images. pool: squares of so many pixels a side are averaged.
    """

    nodes: list[Any]
    convolution: Any
    order: tuple[int | None, ...]
    factor: Array
    shift: Array
    pool: int = 1


def folded(model: Any) -> Folded:
    """Let 8-bit pixels enter the first convolution as they are (in place); whether and how that could be done."""
    start = _start(model)
    if start is None:
        return "no"
    shape = _graph.sizes(model)[model.graph.input[0].name]
    height, width = shape[start.order[2] or 0], shape[start.order[3] or 0]
    if height is None or width is None or not _worth_pooling(model.graph, start, height, width):
        return "no"
    return _rewrite(model.graph, start, height, width)


def _worth_pooling(graph: Any, start: Start, height: int, width: int) -> bool:
    """Whether the convolution can take the averaging over for few multiplications more.

    A small CNN got faster at about a hundred more for each pixel; nothing above was measured.
    """
    if height % start.pool or width % start.pool:
        return False
    weight = _graph.arrays(graph)[start.convolution.input[1]]
    stride = int(np.prod(_graph.attribute(start.convolution, "strides", [1, 1])))
    more = int(weight.size) * (1 - 1 / start.pool**2) / stride
    return more <= _MORE * int(weight.shape[1])


def _start(model: Any) -> Start | None:
    graph, known = model.graph, _graph.arrays(model.graph)
    entry = graph.input[0]
    if len(graph.input) != 1 or entry.type.tensor_type.elem_type != 2:  # uint8
        return None
    rank, takers, sizes = len(_graph.sizes(model)[entry.name]), _graph.takers(graph), _graph.sizes(model)
    if rank not in (3, 4):
        return None
    order: list[int | None] = list(range(rank))
    factor, shift, value, nodes, pool = np.ones((1,) * rank), np.zeros((1,) * rank), entry.name, [], 1
    while True:
        # exporters read the number of rows from the input as well
        following = [taker for taker in takers[value] if taker is None or taker.op_type != "Shape"]
        if len(following) != 1 or following[0] is None:
            return None
        node = following[0]
        if node.op_type == "Conv":
            break
        step = _followed(node, value, order, factor, shift, known, sizes)
        if step is None:
            return None
        order, factor, shift = step
        pool *= _averaged(node)
        nodes.append(node)
        value = node.output[0]
    start = _checked(node, nodes, order, factor, shift, known)
    return None if start is None else replace(start, pool=pool)


def _checked(
    node: Any, nodes: list[Any], order: list[int | None], factor: Array, shift: Array, known: dict[str, Array]
) -> Start | None:
    """The start, if the convolution is of the plain kind and the scaling is by channel alone."""
    weight = known.get(node.input[1])
    plain = weight is not None and weight.ndim == 4 and _graph.attribute(node, "group", 1) == 1
    plain = plain and set(_graph.attribute(node, "dilations", [1])) == {1}
    plain = plain and _graph.attribute(node, "auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    plain = plain and (len(node.input) < 3 or node.input[2] in known) and len(order) == 4 and order[0] == 0
    by_channel = all(
        part.ndim == 4 and part.shape[0] == part.shape[2] == part.shape[3] == 1 for part in (factor, shift)
    )
    if weight is None or not plain or not by_channel or None in (order[2], order[3]):
        return None
    channels = weight.shape[1]
    flat = [np.broadcast_to(part, (1, channels, 1, 1)).reshape(-1).astype(np.float64) for part in (factor, shift)]
    return None if not flat[0].all() else Start(nodes, node, tuple(order), flat[0], flat[1])


def _followed(
    node: Any,
    value: str,
    order: list[int | None],
    factor: Array,
    shift: Array,
    known: dict[str, Array],
    sizes: dict[str, Any],
) -> tuple[list[int | None], Array, Array] | None:
    """Order, factor and shift behind `node`; None where it does more than scale and rearrange."""
    kind = node.op_type
    if kind == "AveragePool":
        # means of squares commute with scaling by channel; the convolution behind them can take both over
        spatial = len(order) == 4 and None not in (order[2], order[3]) and (order[2] or 0) < (order[3] or 0)
        return (order, factor, shift) if spatial and _averaged(node) > 1 else None
    if kind not in _SIMPLE:
        return None
    if kind in ("Cast", "Identity"):
        to_float = kind == "Identity" or _graph.attribute(node, "to") == 1
        return (order, factor, shift) if to_float else None
    if kind == "Transpose":
        perm = _graph.attribute(node, "perm", list(range(len(order)))[::-1])
        return [order[k] for k in perm], factor.transpose(perm), shift.transpose(perm)
    if kind in ("Squeeze", "Reshape") and len(order) == 4 and order[1] is None:
        made, stored = sizes.get(node.output[0], []), sizes.get(node.input[0], [])
        if len(made) == 3 and made[1:] == stored[2:]:
            return [order[k] for k in (0, 2, 3)], factor[:, 0], shift[:, 0]
    if kind == "Squeeze":
        return None
    if kind in ("Unsqueeze", "Reshape"):
        return _with_channel(node, order, factor, shift, known, sizes)
    return _scaled(node, value, order, factor, shift, known)


def _averaged(node: Any) -> int:
    """Pixels a side of the squares that a pooling layer averages; 1 for any other node or kind of pooling."""
    size = list(_graph.attribute(node, "kernel_shape", [1])) if node.op_type == "AveragePool" else [1]
    plain = len(set(size)) == 1 and list(_graph.attribute(node, "strides", [1])) == size
    plain = plain and not any(_graph.attribute(node, "pads", [0])) and not _graph.attribute(node, "ceil_mode", 0)
    return size[0] if plain else 1


def _with_channel(
    node: Any, order: list[int | None], factor: Array, shift: Array, known: dict[str, Array], sizes: dict[str, Any]
) -> tuple[list[int | None], Array, Array] | None:
    """A channel axis of size 1 added to grey images (n, h, w), or moved in (n, h, w, 1)."""
    made, stored = sizes.get(node.output[0], []), sizes.get(node.input[0], [])
    if len(made) != 4 or made[1] != 1 or made[2:] != stored[1:3]:
        return None
    if order == [0, 1, 2]:
        return [0, None, 1, 2], factor[:, None], shift[:, None]
    if order == [0, 1, 2, 3] and stored[3] == 1 and factor.size == shift.size == 1:
        return [0, 3, 1, 2], factor, shift
    return None


def _scaled(
    node: Any, value: str, order: list[int | None], factor: Array, shift: Array, known: dict[str, Array]
) -> tuple[list[int | None], Array, Array] | None:
    other = next((known.get(name) for name in node.input if name != value), None)
    if other is None or other.ndim > len(order):
        return None
    first, number = (
        node.input[0] == value,
        other.astype(np.float64).reshape((1,) * (len(order) - other.ndim) + other.shape),
    )
    if node.op_type == "Mul":
        return order, factor * number, shift * number
    if node.op_type == "Add":
        return order, factor, shift + number
    if node.op_type == "Sub":
        return (order, factor, shift - number) if first else (order, -factor, number - shift)
    return (order, factor / number, shift / number) if first else None


def _rewrite(graph: Any, start: Start, height: int, width: int) -> Folded:
    known, node, pool = _graph.arrays(graph), start.convolution, start.pool
    weight = known[node.input[1]].astype(np.float64)
    # each weight on a square's mean is as much, shared out, on each of its pixels
    weight = weight.repeat(pool, axis=2).repeat(pool, axis=3) / pool**2
    bias = known[node.input[2]].astype(np.float64) if len(node.input) > 2 else np.zeros(len(weight))
    pads = [pool * pad for pad in _graph.attribute(node, "pads", [0, 0, 0, 0])]
    strides = [pool * stride for stride in _graph.attribute(node, "strides", [1, 1])]
    zero = int(np.clip(np.rint(np.mean(-start.shift / start.factor)), 0, 255))
    scale = float(np.abs(start.factor).max())
    weight = weight * (start.factor / scale)[None, :, None, None]
    rest = (start.factor * zero + start.shift) / start.factor * scale  # value of a pixel at `zero`, in new units
    extra, level = None, 255 if zero < 128 else 0
    if not any(pads) or np.abs(rest).max() <= 0.5 * scale:
        bias = bias + np.einsum("ocij,c->o", weight, rest)
    else:
        extra = np.einsum("ocij,c->oij", weight, rest) / ((level - zero) * scale)
    strip = _strip(weight, extra, width, pads, strides)
    end = _end(graph, node)
    nodes = _entering(graph, start, strip, (height, width, weight.shape[1]), level)
    nodes += _convolving(
        graph, nodes[-1].output[0] if nodes else graph.input[0].name, node.name, scale, zero, strip, bias
    )
    nodes += _leaving(graph, nodes[-1].output[0], node, end, strip, (height, width))
    place = _graph.index(graph, node)
    graph.node.remove(node)
    if end is not None:
        graph.node.remove(end)
    _graph.put(graph, place, nodes)
    _graph.drop_unused(graph)
    return "rounded" if any(pads) and extra is None and np.abs(rest).max() > 1e-6 * scale else "exact"


def _end(graph: Any, node: Any) -> Any:
    """The activation behind the convolution, None where something else follows."""
    following = _graph.takers(graph)[node.output[0]]
    alone = len(following) == 1 and following[0] is not None
    return following[0] if alone and following[0].op_type in ("Clip", "LeakyRelu", "Relu") else None


def _entering(graph: Any, start: Start, strip: _Strip, sizes: tuple[int, int, int], level: int) -> list[Any]:
    """From rows as stored to strips with the constant channels, (n, h, w / pixels, channels)."""
    height, width, channels = sizes
    value: str = graph.input[0].name
    nodes: list[Any] = []

    def then(op: str, *more: str, **attributes: Any) -> None:
        nonlocal value
        nodes.append(_graph.node(op, [value, *more], f"pixels/{len(nodes)}", **attributes))
        value = nodes[-1].output[0]

    perm = [0, start.order[2], start.order[3], *([] if start.order[1] is None else [start.order[1]])]
    if perm != sorted(perm):  # type: ignore[type-var]
        then("Transpose", perm=perm)
    if strip.pixels > 1 or start.order[1] is None:
        shape = [-1, height, width // strip.pixels, strip.pixels * channels]
        then("Reshape", _graph.constant(graph, "pixels/strips", shape, np.int64))
    if strip.added:
        amount = _graph.constant(graph, "pixels/added", [0] * 7 + [strip.added], np.int64)
        then("Pad", amount, _graph.constant(graph, "pixels/level", level, np.uint8))
    then("Transpose", perm=[0, 3, 1, 2])
    return nodes


def _convolving(graph: Any, value: str, name: str, scale: float, zero: int, strip: _Strip, bias: Array) -> list[Any]:
    read = [value, _graph.constant(graph, "pixels/scale", scale, np.float32)]
    read.append(_graph.constant(graph, "pixels/zero", zero, np.uint8))
    weight = _graph.constant(graph, "pixels/weight", strip.weight, np.float32)
    shift = _graph.constant(graph, "pixels/bias", np.tile(bias, strip.outputs), np.float32)
    size = {"kernel_shape": list(strip.weight.shape[2:]), "pads": strip.pads, "strides": strip.strides}
    reader = _graph.node("DequantizeLinear", read, "pixels/read")
    convolution = _graph.node("Conv", ["pixels/read", weight, shift], "pixels/convolved", **size)
    convolution.name = name
    return [reader, convolution]


def _leaving(graph: Any, value: str, node: Any, end: Any, strip: _Strip, sizes: tuple[int, int]) -> list[Any]:
    """From strips back to pixels, (n, out, h, w), the activation done before that."""
    output = (node if end is None else end).output[0]
    nodes: list[Any] = []
    if end is not None:
        done = type(end).FromString(end.SerializeToString())
        done.input[0], done.output[0] = value, output if strip.outputs == 1 else "pixels/active"
        nodes.append(done)
    elif strip.outputs == 1:
        nodes.append(_graph.node("Identity", [value], output))
    if strip.outputs == 1:
        return nodes
    out = len(strip.weight) // strip.outputs
    tall = (sizes[0] + strip.pads[0] + strip.pads[2] - strip.weight.shape[2]) // strip.strides[0] + 1
    wide = sizes[1] // strip.pixels * strip.outputs
    shape = _graph.constant(graph, "pixels/apart", [-1, tall, wide, out], np.int64)
    last = nodes[-1].output[0] if nodes else value
    nodes.append(_graph.node("Transpose", [last], "pixels/rows", perm=[0, 2, 3, 1]))
    nodes.append(_graph.node("Reshape", ["pixels/rows", shape], "pixels/single"))
    nodes.append(_graph.node("Transpose", ["pixels/single"], output, perm=[0, 3, 1, 2]))
    return nodes


@dataclass(frozen=True)
class _Strip:
    """A convolution over strips of `pixels` pixels, `outputs` of its old outputs at once; `added` constant channels."""

    weight: Array
    pixels: int
    outputs: int
    added: int
    pads: list[int]
    strides: list[int]


def _strip(weight: Array, extra: Array | None, width: int, pads: list[int], strides: list[int]) -> _Strip:
    """Weights (out, in, h, w) for pixels as weights for strips; `extra` (out, h, w) belongs to the constant channel."""
    out, channels, tall, wide = weight.shape
    made = (width + pads[1] + pads[3] - wide) // strides[1] + 1
    outputs = 1
    while 2 * outputs * out <= _WIDTH and made % (2 * outputs) == 0 and width == made * strides[1]:
        outputs *= 2
    pixels = outputs * strides[1] if outputs > 1 else 1
    offset = np.arange(outputs)[:, None] * strides[1] + np.arange(wide)[None, :] - pads[1]
    low, high = int(offset.min() // pixels), int(offset.max() // pixels)
    constant = int(extra is not None)
    # kernels take channels by fours; on single pixels the filling costs more than it saves
    added = constant + (-(pixels * channels + constant) % 4 if outputs > 1 else 0)
    new = np.zeros((outputs * out, pixels * channels + added, tall, high - low + 1))
    for output, tap in np.ndindex(*offset.shape):
        place, pixel = divmod(int(offset[output, tap]), pixels)
        rows = slice(output * out, (output + 1) * out)
        new[rows, pixel * channels : (pixel + 1) * channels, :, place - low] += weight[:, :, :, tap]
        if extra is not None:
            new[rows, pixels * channels, :, place - low] += extra[:, :, tap]
    if outputs == 1:
        return _Strip(new, 1, 1, added, pads, strides)
    return _Strip(new, pixels, outputs, added, [pads[0], -low, pads[2], high], [strides[0], 1])
