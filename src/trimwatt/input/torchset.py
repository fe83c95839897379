"""PyTorch map-style data sets as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input.checks import check_fits, shown
from trimwatt.workload import Array


def is_dataset(value: object) -> bool:
    """Whether `value` is a PyTorch Dataset or DataLoader, without importing PyTorch."""
    return any(kind.__module__.startswith("torch.utils.data") for kind in type(value).__mro__)


def rows(dataset: Any, what: str) -> tuple[Array, Array]:
    """All rows `(n, ...)` and targets `(n,)` of a data set of (tensor, target), read once.

    Raises InputError where it has no length, an item fails, or items differ in shape.
    """
    if hasattr(dataset, "batch_sampler") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    if not (hasattr(dataset, "__len__") and hasattr(type(dataset), "__getitem__")):
        raise InputError(
            f"{what} is an iterable {type(dataset).__name__}; a map-style Dataset with a length is allowed"
        )
    if len(dataset) == 0:
        raise InputError(f"{what} is an empty {type(dataset).__name__}; give rows")
    tensors = getattr(dataset, "tensors", None)
    if tensors is not None and len(tensors) == 2:
        return tensors[0].detach().cpu().numpy(), tensors[1].detach().cpu().numpy()
    return _read(dataset, what)


def _read(dataset: Any, what: str) -> tuple[Array, Array]:
    first, _ = _item(dataset, 0, what)
    check_fits(first.nbytes * len(dataset), what)
    x = np.empty((len(dataset), *first.shape), dtype=first.dtype)
    y = []
    for number in range(len(dataset)):
        row, label = _item(dataset, number, what)
        if row.shape != first.shape:
            raise InputError(f"{what}: item 0 has shape {first.shape}, item {number} {row.shape}; resize to one shape")
        x[number] = row
        y.append(label)
    return x, np.asarray(y)


def _item(dataset: Any, number: int, what: str) -> tuple[Array, Any]:
    try:
        item = dataset[number]
    except Exception as error:
        reason = f"{type(error).__name__}: {shown(str(error), 120)}"
        raise InputError(f"{what}: item {number} cannot be read ({reason}); mend the Dataset") from error
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise InputError(f"{what}: item {number} is {type(item).__name__}; a pair (tensor, target) is allowed")
    return _array(item[0]), _scalar(item[1], number, what)


def _array(value: Any) -> Array:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _scalar(value: Any, number: int, what: str) -> Any:
    array = _array(value)
    if array.size != 1:
        raise InputError(f"{what}: the target of item {number} has shape {array.shape}; one number or word is allowed")
    return array.reshape(()).item()
