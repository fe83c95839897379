"""Take in a module that the user gave: see what it answers with and whether it fits the data."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import InputError, first_line
from trimwatt.framework import classes, meaning
from trimwatt.framework.torch.copying import copied, unwrap_inside_, unwrapped
from trimwatt.framework.torch.run import BATCH, forward, tensor
from trimwatt.workload import Array, Rows, Told, Workload, count, take

if TYPE_CHECKING:
    import torch
    from torch import nn

PROBE = 64
_NAMES = (
    "classes",
    "class_names",
    "class_labels",
    "categories",
    "id2label",
    "idx_to_class",
    "class_to_idx",
    "label2id",
)


def adopt(workload: Workload, told: Told | None = None) -> Workload:
    """The workload with a copy of its module in evaluation mode, what the module answers with found by asking it.

    The module given keeps its weights, mode and gradients, and the process its random state. Raises InputError where
    it is no module, cannot be copied, cannot take the rows, gives another number of columns than it has classes, or
    NaN, and where what it answers with cannot be told.
    """
    told = told or Told()
    model = _copy_for_evaluation(workload.model)
    with _random_state_kept():
        few = tensor(workload, take(workload.rows.train.x, slice(0, PROBE)))
        answer = _ask(model, few, workload)
        row_s = meaning.time_row(lambda: _ask(model, few, workload), len(few))
        _ask_as_deployed(model, few, answer.shape, workload)
        adopted = meaning.note_fewer(replace(workload, model=model, form="torch"), row_s)
        rows, y = meaning.choose_rows(workload.rows, row_s)
        raw = np.concatenate([_scores(adopted, part) for part in _batches(rows)])
        if not np.isfinite(raw).all():
            raise InputError("the model answers the data's rows with NaN or infinity; check its weights and scaling")
        if workload.task.target == "value":
            return _regression(adopted, raw, told)
        return _classification(adopted, raw, y, rows, told)


def _copy_for_evaluation(given: Any) -> nn.Module:
    from torch import nn

    if not isinstance(given, nn.Module):
        raise InputError(f"a PyTorch model is a torch.nn.Module, got {type(given).__name__}")
    model = copied(unwrapped(given))
    unwrap_inside_(model)
    try:
        return model.cpu().eval()
    except Exception as error:  # tensors on the meta device, modules whose own train() fails
        raise InputError(f"the model cannot be put into evaluation mode on the CPU: {_first_line(error)}") from error


@contextmanager
def _random_state_kept() -> Iterator[None]:
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _batches(rows: Rows) -> Iterator[Rows]:
    return (take(rows, slice(start, start + BATCH)) for start in range(0, count(rows), BATCH))


def _scores(workload: Workload, rows: Rows) -> Array:
    """What the module gives for rows as stored; raises InputError where it cannot take them."""
    given = tensor(workload, rows)
    try:
        return forward(workload.model, given)
    except Exception as error:  # a module may raise anything
        raise InputError(_refused(given, workload, error)) from error


def _ask(model: nn.Module, rows: torch.Tensor, workload: Workload) -> torch.Tensor:
    import torch

    try:
        with torch.no_grad():
            answer = model(rows)
    except Exception as error:  # a module may raise anything
        raise InputError(_refused(rows, workload, error)) from error
    if not isinstance(answer, torch.Tensor):
        raise InputError(
            f"the model answers with {type(answer).__name__}; one tensor (n, classes) or (n,) is needed: wrap it"
        )
    if answer.ndim == 0 or len(answer) != len(rows):
        raise InputError(f"the model answers {len(rows)} rows with shape {tuple(answer.shape)}; one row each is needed")
    return answer


def _refused(rows: torch.Tensor, workload: Workload, error: Exception) -> str:
    kind = str(rows.dtype).removeprefix("torch.")
    shape = ", ".join(str(size) for size in rows.shape[1:])
    stored = "prepared rows" if workload.prepare is not None else "rows as stored"
    return (
        f"the model cannot take {stored}, {kind} (n, {shape}): {_first_line(error)}; "
        "convert and scale inside the model, or return a Workload with prepare"
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and lines[0].startswith("The following operation failed"):
        # TorchScript puts its own trace first, and the reason last
        return f"{type(error).__name__}: {lines[-1][:160]}"
    return first_line(error, 160, named=True)


def _ask_as_deployed(model: nn.Module, rows: torch.Tensor, shape: torch.Size, workload: Workload) -> None:
    """Refuse a module that cannot answer as many rows as a request has, or drops their axis for one row."""
    import torch

    asked = min(workload.scenario.batch_size, len(rows))
    try:
        with torch.no_grad():
            alone = model(rows[:asked])
    except Exception as error:  # a module may raise anything
        raise InputError(
            f"the model answers {len(rows)} rows, and not {asked}, as a request has here: {_first_line(error)}; "
            "if it needs the statistics of a batch, let its normalization keep running statistics "
            "(track_running_stats=True), or ask more rows at a time with --batch-size"
        ) from error
    if alone.shape != (asked, *shape[1:]):
        raise InputError(
            f"the model answers {asked} row(s) with shape {tuple(alone.shape)} and {len(rows)} rows with "
            f"{tuple(shape)}; keep the first axis, say squeeze(1) instead of squeeze()"
        )


def _regression(workload: Workload, raw: Array, told: Told) -> Workload:
    meaning.check_told(told, workload.task)
    if raw.ndim > 2 or (raw.ndim == 2 and raw.shape[1] != 1):
        raise InputError(f"{workload.task.name} needs one value a row, the model gives shape (n, {raw.shape[1:]})")
    return replace(workload, outputs="values")


def _classification(workload: Workload, raw: Array, y: Array, rows: Rows, told: Told) -> Workload:
    if raw.ndim > 2:
        raise InputError(f"{workload.task.name} needs one column a class, the model gives shape (n, {raw.shape[1:]})")
    raw = raw.reshape(len(raw), -1)
    own = _own_classes(workload.model, max(2, raw.shape[1]))
    trained = workload.trainer is None
    named = classes.assign(workload, raw.shape[1], told, own, lambda: classes.answered(raw, y) if trained else None)

    def ask(some: Rows) -> Array:
        return _scores(workload, some).reshape(count(some), -1)

    return replace(named, outputs=meaning.find_outputs(named, raw, y, rows, ask, told))


def _own_classes(model: nn.Module, width: int) -> tuple[Any, ...] | None:
    """The class of each column as the module itself lists them; None where it does not, or says different things."""
    homes = [home for home in (model, *(getattr(model, name, None) for name in ("config", "hparams", "meta"))) if home]
    found = {
        labels
        for home in homes
        for name in _NAMES
        if (labels := classes.from_names(_attribute(home, name), width)) is not None
    }
    return found.pop() if len(found) == 1 else None


def _attribute(home: Any, name: str) -> Any:
    if isinstance(home, dict):
        return home.get(name)
    try:
        return getattr(home, name, None)
    except Exception:  # a property of the user's may raise anything, and is then no list of names
        return None
