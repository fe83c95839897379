"""What a check runs, as an arm in the tree it belongs to; and its size and quality there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trimwatt import metric as metrics
from trimwatt import tasks
from trimwatt.compare import logfile, quality
from trimwatt.compare._base import Arm
from trimwatt.compare.arms import ChildArm, SessionArm
from trimwatt.compare.command import CommandArm
from trimwatt.compare.given import load
from trimwatt.compare.statistics import Array
from trimwatt.errors import InputError
from trimwatt.gate import tree as trees
from trimwatt.gate.config import Check, QualityFloor
from trimwatt.scenario import Request, Scenario
from trimwatt.tasks import Task

_REQUEST_ROWS = 512


class CalledArm(ChildArm):
    """A callable of a tree, in a process of its own."""

    def __init__(self, check: Check, tree: Path, here: Path, name: str) -> None:
        handed = str(tree), str(here), check.path, check.callable, check.threads
        super().__init__("trimwatt.gate.serve:serve", handed, name)

    def value(self) -> Any:
        """What a call returns, where that is a number or a mapping of numbers."""
        return self._ask("value")


@dataclass(frozen=True)
class Answers:
    """A quality as it came: its value, and its interval and rows where there are rows to draw from.

    truth, prediction: the rows themselves, so that two trees can be compared on the same.
    """

    value: float
    low: float | None = None
    high: float | None = None
    truth: Array | None = None
    prediction: Array | None = None
    metric: metrics.Metric | None = None


@dataclass(frozen=True)
class Target:
    """A check in one tree: the arm that runs it, the size of its files, its quality; None where not asked for."""

    arm: Arm
    size_bytes: int | None = None
    quality: Answers | None = None


def open_target(check: Check, tree: Path, here: Path, name: str, stack: ExitStack) -> Target:
    """Set `check` up in `tree` and open it within `stack`; raises InputError where it cannot run there."""
    trees.set_up(tree, check.setup, check.path)
    if check.command:
        words, environment = list(check.command), trees.environment(tree, check.path)
        arm = stack.enter_context(CommandArm(words, name, parity=False, cwd=tree, environment=environment))
        found = _printed(check.quality, arm, check.name) if check.quality else None
        return Target(arm, _size(check, tree), found)
    if check.callable:
        called = stack.enter_context(CalledArm(check, tree, here, name))
        returned = _from_value(check.quality, called.value(), name) if check.quality else None
        return Target(called, _size(check, tree), returned)
    return _artifact(check, tree, name, stack)


def _size(check: Check, tree: Path) -> int | None:
    if not check.files:
        return None
    paths = [path for name in check.files for path in _files(tree / name, name)]
    return sum(path.stat().st_size for path in paths)


def _files(path: Path, name: str) -> list[Path]:
    if not path.exists():
        raise InputError(f"files names {name!r}, which is not there; build it with setup, or share it")
    return [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]


def _printed(floor: QualityFloor, arm: CommandArm, name: str) -> Answers:
    """The quality that a command prints: the last line of stdout that is a JSON object with the metric's name."""
    for line in reversed(arm.printed().splitlines()):
        if line.lstrip().startswith("{"):
            try:
                return _from_value(floor, json.loads(line), name)
            except ValueError as error:
                if isinstance(error, InputError):
                    raise
    raise InputError(f'{name} prints no quality; let it print a line like {{"{floor.metric}": 0.93}}')


def _from_value(floor: QualityFloor | None, value: Any, name: str) -> Answers:
    """A number, or the metric's entry of a mapping, which may be {"value", "low", "high"}."""
    metric = floor.metric if floor else ""
    found = value.get(metric) if isinstance(value, Mapping) else value
    parts = found if isinstance(found, Mapping) else {"value": found}
    number, low, high = (parts.get(key) for key in ("value", "low", "high"))
    if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
        raise InputError(f"{name} gives no finite {metric}; let it return a number or print it as JSON")
    return Answers(float(number), low, high)


def _artifact(check: Check, tree: Path, name: str, stack: ExitStack) -> Target:
    from trimwatt import input

    model = load(tree / check.artifact)
    rows = input.rows_for_prediction(tree / check.data, model.manifest["input"])
    request: Request = "dict" if isinstance(rows, dict) else "array"
    scenario = Scenario(check.batch_size, check.threads, request)
    artifact = model.artifact
    few = {k: v[:_REQUEST_ROWS] for k, v in rows.items()} if isinstance(rows, dict) else rows[:_REQUEST_ROWS]
    arm = stack.enter_context(SessionArm(artifact, scenario, few, name=name))
    size = _size(check, tree) if check.files else artifact.size_bytes
    return Target(arm, size, _answered(check, tree, model.manifest, arm, rows) if check.quality else None)


def _answered(check: Check, tree: Path, manifest: Mapping[str, Any], arm: SessionArm, rows: Any) -> Answers | None:
    if check.quality is None:
        return None
    task, classes = tasks.get(manifest["task"]), manifest["classes"]
    if task.target == "labels":
        raise InputError(f"{check.name}: the quality of several labels is gated only where a command prints it")
    truth = _truth(tree / check.data, check.quality.target or "", classes, task)
    wanted = metrics.get(check.quality.metric, task.positive(truth, classes, None))
    prediction = arm.scores(rows) if wanted.reads == "probabilities" else arm.predict(rows)
    if task.target == "class" and wanted.reads == "labels":
        prediction = _codes([str(label) for label in prediction], classes, "an answer")
    if len(prediction) != len(truth):
        raise InputError(f"{check.data} has {len(truth)} labels and gives {len(prediction)} answers")
    found = quality.estimate(wanted, truth, prediction)
    return Answers(found.value, found.low, found.high, truth, prediction, wanted)


def _truth(path: Path, target: str, classes: Any, task: Task) -> Array:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            if target not in arrays:
                raise InputError(f"{path.name} has no array {target!r}; it has {', '.join(arrays)}")
            cells = [str(cell) for cell in arrays[target]]
    else:
        cells = [str(cell) for cell in logfile.column(logfile.read(path), target, "the target's")]
    if task.target == "class":
        return _codes(cells, classes, f"{target} of {path.name}")
    numbers = [logfile.number(cell) for cell in cells]
    if any(n is None or math.isnan(n) for n in numbers):
        raise InputError(f"{target} of {path.name} holds cells that are no number")
    return np.array(numbers, dtype=np.float64)


def _codes(labels: list[str], classes: Any, what: str) -> Array:
    place = {str(label): code for code, label in enumerate(classes)}
    if unknown := sorted(set(labels) - set(place)):
        raise InputError(f"{what} is {unknown[0]!r}, which is none of the artifact's classes: {', '.join(place)}")
    return np.array([place[label] for label in labels], dtype=np.int64)
