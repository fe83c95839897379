"""The weights of a network that a study trained first, kept so that a restart need not train it again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trimwatt import _handoff, technique
from trimwatt._files import replaced
from trimwatt._imports import require
from trimwatt._process import Child
from trimwatt.errors import TrialFailed
from trimwatt.recipe import Recipe
from trimwatt.study.candidate import Candidate
from trimwatt.study.worker import Handle, Usage
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from trimwatt.study.engine import Engine

FILE, _LIMIT_S = "weights.safetensors", 120.0


@dataclass(frozen=True)
class Asked:
    """Write the weights of `trained` to `path`, or where there is none, read them there and leave what they make.

    steps: what builds the network from `base`, without its training.
    """

    base: Handle
    trained: Handle | None
    steps: Recipe
    path: Path
    target: Path | None = None


def keep(engine: Engine, candidate: Candidate, place: Path) -> None:
    """Write what the baseline's training gave below `place`, where it trained a network."""
    steps, shop = trained(candidate), engine.workshop
    handle = shop.kept(steps)
    if not steps or handle is None:
        return
    try:
        _call(engine, Asked(shop.base, handle, (), place / FILE))
    except TrialFailed as error:
        engine.event("warning", text=f"a restart will have to train the baseline again: {error}")
        return
    usages = [usage.to_dict() for usage in shop.usages(steps)]
    engine.store.set("trained baseline", {"sha256": _digest(place / FILE), "usages": usages})


def restore(engine: Engine, candidate: Candidate, place: Path) -> bool:
    """Give the workshop what an earlier run trained; False where that is not there, or not as it was left."""
    steps, shop, path = trained(candidate), engine.workshop, place / FILE
    told = engine.store.get("trained baseline")
    if not steps or not isinstance(told, dict) or not path.is_file() or _digest(path) != told.get("sha256"):
        return False
    try:
        usages = [Usage.from_dict(usage) for usage in told["usages"]]
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    target = shop.place(steps)
    builds = tuple(step for step in steps if step.stage != "train")
    try:
        digest = _call(engine, Asked(shop.base, None, builds, path, target))
    except TrialFailed as error:
        engine.event("warning", text=f"the baseline is trained again: {error}")
        return False
    shop.adopt(steps, Handle(target, digest), usages)
    return True


def trained(candidate: Candidate) -> Recipe:
    """The steps that end in a trained PyTorch network; none where the baseline trains none."""
    ends = [n for n, step in enumerate(candidate.recipe) if step.stage == "train"]
    steps = candidate.recipe[: ends[-1] + 1] if ends else ()
    return steps if all(step.stage == "train" or step.untrained for step in steps) else ()


def _call(engine: Engine, asked: Asked) -> str:
    shop = engine.workshop
    with engine.ledger.booking("prepare", None, "weights of the baseline"), Child(
        "trimwatt.study.weights:serve", (), server=shop.server, memory_limit_bytes=shop.memory_limit_bytes
    ) as child:  # fmt: skip
        digest: str = child.call(asked, _LIMIT_S)
    return digest


def serve() -> Callable[[Asked], str]:
    """The handler of the process that writes or reads weights."""
    return lambda asked: _written(asked) if asked.trained is not None else _read(asked)


def _written(asked: Asked) -> str:
    assert asked.trained is not None  # noqa: S101 - for the type checker
    safetensors = require("safetensors.torch", "torch", "Saving PyTorch weights")
    workload: Workload = _handoff.read(asked.trained.path, asked.trained.digest)
    with replaced(asked.path) as beside:
        safetensors.save_model(workload.model, str(beside))
    return ""


def _read(asked: Asked) -> str:
    assert asked.target is not None  # noqa: S101 - for the type checker
    safetensors = require("safetensors.torch", "torch", "Reading PyTorch weights")
    workload: Any = _handoff.read(asked.base.path, asked.base.digest)
    for step in asked.steps:
        workload = technique.apply(step, workload)
    safetensors.load_model(workload.model, str(asked.path), strict=True)
    return _handoff.write(replace(workload, data=None), asked.target)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
