"""Weights that an ONNX file keeps in other files, taken in from files that were checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from trimwatt.errors import InputError


def self_contained(model: bytes, read: Callable[[str], bytes]) -> bytes:
    """`model` with its external data inside, so that no runtime looks for files itself.

    read: the content of a file beside it, by name; it raises for one that may not be read. Raises InputError for what
    is no ONNX model, or for data that its file does not hold.
    """
    # external data are always found by an entry with this key, and most models are spared the parsing
    if b"location" not in model:
        return model
    import onnx

    try:
        parsed = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf's error has no base of its own
        raise InputError("the ONNX model cannot be read; copy the artifact again") from error
    kept: dict[str, bytes] = {}
    outside = [tensor for tensor in _tensors(parsed) if tensor.data_location == tensor.EXTERNAL or tensor.external_data]
    for tensor in outside:
        _take_in(tensor, read, kept)
    return bytes(parsed.SerializeToString()) if outside else model


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor in a protobuf message: of graphs, of their subgraphs, of functions."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(part)


def _take_in(tensor: Any, read: Callable[[str], bytes], kept: dict[str, bytes]) -> None:
    entries = {str(entry.key): str(entry.value) for entry in tensor.external_data}
    name = entries.get("location", "")
    if name not in kept:
        kept[name] = read(name)
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", len(kept[name]) - offset))
    except ValueError as error:
        raise InputError(f"the place of weights in {name!r} is no number; copy the artifact again") from error
    if offset < 0 or length < 0 or offset + length > len(kept[name]):
        raise InputError(f"the ONNX model expects {offset + length} bytes in {name!r}, which has {len(kept[name])}")
    tensor.raw_data = kept[name][offset : offset + length]
    del tensor.external_data[:]
    tensor.data_location = tensor.DEFAULT
