"""Take in a module that the user gave: see what it answers with and whether it fits the data."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework.torch.run import tensor
from trimwatt.workload import Array, Outputs, Workload, take

if TYPE_CHECKING:
    import torch
    from torch import nn

PROBE = 64
_PASSES = ("View", "Squeeze", "Unsqueeze", "Select", "Slice", "Reshape", "Clone", "T", "Permute", "ToCopy")


def adopt(workload: Workload) -> Workload:
    """The workload with a copy of its module in evaluation mode, what the module answers with detected.

    The module is asked for a few training rows as it will be asked later. Raises InputError where it is no module,
    cannot take the rows, gives another number of columns than there are classes, or NaN.
    """
    from torch import nn

    if not isinstance(workload.model, nn.Module):
        raise InputError(f"a PyTorch model is a torch.nn.Module, got {type(workload.model).__name__}")
    model = copy.deepcopy(workload.model).cpu().eval()
    rows = tensor(workload, take(workload.rows.train.x, slice(0, PROBE)))
    answer = _ask(model, rows, workload)
    _one_row(model, rows, answer.shape)
    raw = answer.detach().float().numpy()
    if not np.isfinite(raw).all():
        raise InputError("the model answers training rows with NaN or infinity; check its weights and its scaling")
    adopted = replace(workload, model=model, form="torch")
    if workload.task == "regression":
        return _regression(adopted, raw)
    return _classification(adopted, raw, _last_function(answer))


def _ask(model: nn.Module, rows: torch.Tensor, workload: Workload) -> torch.Tensor:
    import torch

    try:
        # with gradients: the function that made the answer tells a sigmoid from a logit
        with torch.enable_grad():
            answer = model(rows)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, AssertionError) as error:
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
    why = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    return (
        f"the model cannot take {stored}, {kind} (n, {shape}): {why}; "
        "convert and scale inside the model, or return a Workload with prepare"
    )


def _one_row(model: nn.Module, rows: torch.Tensor, shape: torch.Size) -> None:
    """Refuse a module that drops the axis of rows when there is only one, as a bare squeeze() does."""
    import torch

    with torch.no_grad():
        alone = model(rows[:1])
    if alone.shape != (1, *shape[1:]):
        raise InputError(
            f"the model answers one row with shape {tuple(alone.shape)} and {len(rows)} rows with {tuple(shape)}; "
            "keep the first axis, say squeeze(1) instead of squeeze()"
        )


def _regression(workload: Workload, raw: Array) -> Workload:
    if raw.ndim > 2 or (raw.ndim == 2 and raw.shape[1] != 1):
        raise InputError(f"regression needs one value a row, the model gives shape (n, {raw.shape[1:]})")
    return replace(workload, outputs="values")


def _classification(workload: Workload, raw: Array, last: str) -> Workload:
    if raw.ndim > 2:
        raise InputError(f"classification needs one column a class, the model gives shape (n, {raw.shape[1:]})")
    width = 1 if raw.ndim == 1 else raw.shape[1]
    classes = len(workload.rows.classes or ())
    told = workload.class_columns
    named = classes if told is None else len(told)
    if width != named and not (width == 1 and named == 2):
        known = f"data have {classes} classes" if told is None else f"class_columns names {named}"
        raise InputError(
            f"the model gives {width} columns, {known}; give data of the model's classes, or return a Workload "
            "with class_columns saying which class each column stands for"
        )
    return replace(workload, outputs=_outputs(workload.outputs, raw.reshape(len(raw), -1), last))


def _outputs(told: Outputs, raw: Array, last: str) -> Outputs:
    if told == "probabilities" or last.startswith(("Sigmoid", "Softmax")):
        return "probabilities"
    # logits of one column may all lie in (0, 1) by chance; sums of 1 over several columns do not come by chance
    sums = raw.shape[1] > 1 and (raw >= 0).all() and np.allclose(raw.sum(axis=1), 1, atol=1e-3)
    return "probabilities" if sums else "logits"


def _last_function(answer: torch.Tensor) -> str:
    """Name of the function that gave the answer, past those that only reshape it; "" where it is not recorded."""
    node: Any = answer.grad_fn
    while node is not None and node.name().removesuffix("0").removesuffix("Backward").startswith(_PASSES):
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return "" if node is None else str(node.name())
