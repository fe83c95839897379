"""ONNX files as checked bytes, external data taken in from the model's own folder only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trimwatt._imports import require
from trimwatt.errors import InputError
from trimwatt.input.checks import check_fits, shown

# a serialized protobuf message ends at two gigabytes
_MOST_BYTES = 2**31 - 1


def read(path: Path) -> bytes:
    """The model at `path` as bytes that need no other file.

    Raises InputError where it is no valid ONNX model, too large, or its external data lie outside its folder.
    """
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path.name} is empty; export the model again")
    if size > _MOST_BYTES:
        raise InputError(
            f"{path.name} is larger than 2 GiB, which one ONNX file cannot be; export it with external data"
        )
    check_fits(size, path.name)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    return checked(data, path.name, path.parent)


def checked(data: bytes, name: str, folder: Path | None = None) -> bytes:
    """`data` after the checks; external data, if any, are read from `folder` and put inside."""
    require("onnx", "onnx", "Reading ONNX models")
    model = _parsed(data, name)
    outside = [tensor for tensor in _tensors(model) if tensor.data_location == tensor.EXTERNAL]
    for tensor in outside:
        _take_in(tensor, name, folder)
    _check(model, name)
    return model.SerializeToString() if outside else data


def _parsed(data: bytes, name: str) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise InputError(f"{name} is not a readable ONNX model; export it again") from error
    if model.ir_version == 0 or not model.graph.node:
        raise InputError(f"{name} is not an ONNX model, or has no operators; export it again")
    return model


def _check(model: Any, name: str) -> None:
    import onnx

    if model.ByteSize() > _MOST_BYTES:
        raise InputError(
            f"{name} with its external data is larger than 2 GiB, which is not handled; use a smaller model"
        )
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is not a valid ONNX model ({shown(str(error), 120)}); export it again") from error
    if not model.graph.input or not model.graph.output:
        raise InputError(
            f"{name} has {len(model.graph.input)} inputs and {len(model.graph.output)} outputs; one is needed"
        )


def _tensors(model: Any) -> Iterator[Any]:
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _tensors_of_node(node)


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors_of_graph(graph)


def _take_in(tensor: Any, name: str, folder: Path | None) -> None:
    entries = {str(entry.key): str(entry.value) for entry in tensor.external_data}
    path = _beside(entries.get("location", ""), name, folder)
    offset, length = _span(entries, path, name)
    with path.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    del tensor.external_data[:]
    tensor.data_location = tensor.DEFAULT


def _beside(location: str, name: str, folder: Path | None) -> Path:
    """The external file; it must lie in the model's own folder, links followed."""
    if folder is None:
        raise InputError(f"{name} keeps weights in another file ({shown(location)}); give the path of its .onnx file")
    home = folder.resolve()
    path = (home / location).resolve()
    if not location or not path.is_relative_to(home):
        raise InputError(
            f"{name} keeps weights in {shown(location) or 'a file without name'}, outside its folder; "
            "only files beside it are read; save the model again with its data beside it"
        )
    if not path.is_file():
        raise InputError(f"{name} keeps weights in {shown(location)}, which is not beside it; put it there")
    return path


def _span(entries: dict[str, str], path: Path, name: str) -> tuple[int, int]:
    size = path.stat().st_size
    check_fits(size, path.name)
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
    except ValueError as error:
        raise InputError(f"{name}: the place of its weights in {path.name} is no number; export it again") from error
    if offset < 0 or length < 0 or offset + length > size:
        raise InputError(f"{name} expects {offset + length} bytes in {path.name}, which has {size}; copy it again")
    return offset, length
