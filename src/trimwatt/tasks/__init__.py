"""Tasks: what may be asked of a model. One file a task; those of plugins by the entry points `trimwatt.tasks`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import warnings
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trimwatt._printable import shown
from trimwatt.errors import InputError, first_line
from trimwatt.tasks._base import Array, Classes, CoreOutput, Loss, RawTarget, Task, refuse_date

__all__ = [
    "CoreOutput", "Loss", "RawTarget", "Task", "choose", "for_outputs", "get", "names", "of_target", "refuse_date",
    "registry",
]  # fmt: skip

GROUP = "trimwatt.tasks"
_NAME = re.compile(r"[a-z][a-z0-9-]*")


@cache
def _own() -> dict[str, Task]:
    """The tasks of this folder: each public module holds one."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            content = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
            found.update({kind.name: kind() for kind in content if _is_of(kind, f"{__name__}.{module.name}")})
    return found


def _is_of(kind: Any, module: str) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Task) and kind.__module__ == module


@cache
def registry() -> dict[str, Task]:
    """Every task by its name, those of plugins after our own; a broken plugin is named in a warning and left out."""
    found = dict(_own())
    for point in entry_points(group=GROUP):
        try:
            task = _loaded(point, found)
        except Exception as error:  # importing a plugin may raise anything
            warnings.warn(
                f"the task plugin {point.name} ({point.value}) is left out: {first_line(error)}", stacklevel=2
            )
        else:
            found[task.name] = task
    return found


def _loaded(point: EntryPoint, known: dict[str, Task]) -> Task:
    kind = point.load()
    if not (inspect.isclass(kind) and issubclass(kind, Task)):
        raise InputError("it is no subclass of trimwatt.tasks.Task")
    lacking = [name for name in ("name", "target", "outputs", "metrics") if not getattr(kind, name, None)]
    lacking += sorted(kind.__abstractmethods__)
    if lacking:
        raise InputError(f"it lacks {', '.join(lacking)}")
    if not _NAME.fullmatch(kind.name) or kind.name in (*known, "auto"):
        raise InputError(f"its name {kind.name!r} is taken, or is not lower-case letters, digits and hyphens")
    return kind()


def names() -> tuple[str, ...]:
    """The names of all tasks."""
    return tuple(registry())


def get(name: str) -> Task:
    """The task called `name`; raises InputError, naming those known, where there is none."""
    task = _own().get(name) or registry().get(name)
    if task is None:
        raise InputError(f"task {shown(name)!r} is unknown; tasks are {', '.join(names())}")
    return task


def of_target(y: Array, classes: Classes) -> Task:
    """The task of a target as `Split.y` holds it; raises InputError where it is of none."""
    for known in (_own, registry):
        for task in known().values():
            if task.fits(y, classes):
                return task
    raise InputError(f"a target of shape {y.shape} is of no task; tasks are {', '.join(names())}")


def for_outputs(outputs: str) -> Task:
    """The task of a model of which only what it answers with is known."""
    return next(task for task in (*_own().values(), *registry().values()) if outputs in task.outputs)


def choose(target: RawTarget) -> Task:
    """The task that a target looks most like."""
    return max(registry().values(), key=lambda task: task.likeness(target))
