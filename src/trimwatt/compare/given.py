"""What was given to be compared, as arms: commands, callables, models, artifacts."""

from __future__ import annotations

import pickle
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trimwatt.compare import forked, parity
from trimwatt.compare._base import Arm
from trimwatt.compare.arms import CallableArm, FunctionArm, ModelArm, SessionArm, called
from trimwatt.compare.command import CommandArm
from trimwatt.compare.forked import ForkedArm
from trimwatt.errors import InputError, TrialFailed, first_line
from trimwatt.runtime import deployed
from trimwatt.scenario import Request, Scenario
from trimwatt.workload import Array, Rows, count, take

Kind = Literal["command", "function", "model", "artifact"]
# rows that requests are cut from, and rows whose answers are compared
_REQUEST_ROWS = 512
ALLOWED = (
    "a callable, a fitted model, an artifact (its folder or loaded), or a command as a list of words such as "
    "['python', 'train.py']"
)


@dataclass(frozen=True)
class Asked:
    """How arms are asked: the data for models, rows a request, threads, and whether results must be equal."""

    data: Any = None
    batch_size: int = 1
    threads: int = 1
    request: Request | None = None
    parity: bool = True
    show: bool = False
    seed: int = 0


@dataclass(frozen=True)
class Opened:
    """Arms ready to run, what was checked of their results, and how one of them is opened again as its own twin."""

    arms: list[Arm]
    parity: dict[str, Any]
    twin: Callable[[ExitStack], Arm]
    notes: tuple[str, ...] = ()
    each_run_is_fresh: bool = False


def kind_of(arm: Any) -> Kind:
    """What an arm was given as; raises InputError for what cannot be compared."""
    if isinstance(arm, str | Path | deployed.Deployed):
        return "artifact"
    if isinstance(arm, list | tuple):
        if arm and all(isinstance(word, str) for word in arm):
            return "command"
        raise InputError(f"an arm came as {arm!r}; {ALLOWED} is allowed")
    torch = sys.modules.get("torch")
    if hasattr(arm, "predict") or (torch is not None and isinstance(arm, torch.nn.Module)):
        return "model"
    if callable(arm):
        return "function"
    raise InputError(f"an arm came as {type(arm).__name__}; {ALLOWED} is allowed")


def named(given: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """Arms by name; equal names are told apart by number."""
    if isinstance(given, Mapping):
        return {str(name): arm for name, arm in given.items()}
    names = [_name(arm) for arm in given]
    place = {name: names.count(name) > 1 for name in names}
    return {
        f"{name} ({i + 1})" if place[name] else name: arm
        for i, (name, arm) in enumerate(zip(names, given, strict=True))
    }


def _name(arm: Any) -> str:
    kind = kind_of(arm)
    if kind == "command":
        return shlex.join(arm)
    if kind == "artifact":
        folder = (arm.folder if isinstance(arm, deployed.Deployed) else Path(arm)).resolve()
        return folder.parent.name if folder.name == "artifact" else folder.name
    return type(arm).__name__ if kind == "model" else called(arm)


def open_arms(given: Mapping[str, Any], asked: Asked, stack: ExitStack) -> Opened:
    """The arms, opened within `stack`, their results compared; raises InputError where they cannot be compared."""
    kinds = {name: kind_of(arm) for name, arm in given.items()}
    found = set(kinds.values())
    if found == {"command"}:
        return _commands(given, asked, stack)
    if "command" in found:
        raise InputError("commands are compared with commands only; give all arms as lists of words, or none")
    if found == {"function"} and asked.data is None:
        return _functions(given, asked, stack)
    if asked.data is None:
        raise InputError("models and artifacts need rows to be asked with; give data=rows (--data DATA)")
    return _answering(given, kinds, asked, stack)


def _commands(given: Mapping[str, Any], asked: Asked, stack: ExitStack) -> Opened:
    arms = [
        stack.enter_context(CommandArm(words, name, parity=asked.parity, show=asked.show))
        for name, words in given.items()
    ]
    checked = parity.of_commands(arms) if asked.parity else {"checked": False, "why": "not asked"}
    base = arms[-1]

    def twin(own: ExitStack) -> Arm:
        return own.enter_context(CommandArm(base.words, base.name, parity=asked.parity))

    return Opened(list(arms), checked, twin, (), True)


def _functions(given: Mapping[str, Any], asked: Asked, stack: ExitStack) -> Opened:
    arms, notes = _handed(given, asked, stack)
    try:
        checked = parity.of_values(arms) if asked.parity else {"checked": False, "why": "not asked"}
    except TrialFailed as error:
        raise InputError(f"a callable failed in a process of its own: {error}; call it once to see why") from error
    function = list(given.values())[-1]

    def twin(own: ExitStack) -> Arm:
        last = arms[-1]
        if isinstance(last, CallableArm):
            return CallableArm(function, "twin", alone=last.alone)
        return own.enter_context(type(last)(function, name="twin", threads=asked.threads))

    if asked.parity and not checked["checked"]:
        notes = (*notes, f"results were not compared: {checked['why']}")
    return Opened(list(arms), checked, twin, notes)


def _handed(
    given: Mapping[str, Any], asked: Asked, stack: ExitStack
) -> tuple[list[FunctionArm] | list[CallableArm], tuple[str, ...]]:
    """Each callable in a process of its own; all in this one, or in forks of it, where any cannot be handed over, since
    like is compared with like."""
    arms = []
    for name, function in given.items():
        try:
            arms.append(stack.enter_context(FunctionArm(function, name=name, threads=asked.threads)))
        except Exception as error:
            # an object's own __reduce__ may raise anything
            why = first_line(error, 200)
            return _here(given, asked, stack, f"{name} could not be handed to a process of its own ({why})")
    return arms, ()


def _here(
    given: Mapping[str, Any], asked: Asked, stack: ExitStack, why: str
) -> tuple[list[FunctionArm] | list[CallableArm], tuple[str, ...]]:
    """Callables that cannot be handed over: in this process, or in forks of it where they let other processes work."""
    found = {name: forked.leaves(function) for name, function in given.items()}
    if True in found.values() and None not in found.values():
        # no stranger among them is waited for, and what they start ends with them
        forks = [stack.enter_context(ForkedArm(f, name=n, threads=asked.threads)) for n, f in given.items()]
        return list[FunctionArm](forks), (f"{why}: all ran in forks of this one, since they start processes",)
    return [CallableArm(f, n, alone=found[n] is False) for n, f in given.items()], (f"{why}: all ran in this one",)


def _answering(given: Mapping[str, Any], kinds: Mapping[str, Kind], asked: Asked, stack: ExitStack) -> Opened:
    """Models and artifacts, all asked with the same rows."""
    makers = {name: _maker(arm, name, kinds[name], asked) for name, arm in given.items()}
    arms, answers = [], []
    for name, (make, rows) in makers.items():
        try:
            arm = make()
            stack.callback(arm.close)
            arms.append(arm)
            answers.append(arm.predict(rows))
        except TrialFailed as error:
            raise InputError(f"{name} does not answer these rows: {error}; check the model and data=") from error
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise InputError(
                f"{name} cannot be handed to a process of its own ({error}); give a model of a module"
            ) from error
    checked = parity.of_predictions(list(makers), answers) if asked.parity else parity.agreement(answers)
    again = list(makers.values())[-1][0]
    return Opened(list(arms), checked, lambda own: own.enter_context(again()))


def _maker(arm: Any, name: str, kind: Kind, asked: Asked) -> tuple[Callable[[], SessionArm | ModelArm], Rows]:
    """How an arm is opened, and the rows it answers."""
    if kind == "artifact":
        return _artifact(arm, name, asked)
    rows = as_rows(asked.data)
    request = asked.request or ("frame" if isinstance(rows, dict) else "array")
    scenario, few = Scenario(asked.batch_size, asked.threads, request), _few(rows, asked.seed)
    return (lambda: ModelArm(arm, scenario, few, name=name)), rows


def _artifact(arm: Any, name: str, asked: Asked) -> tuple[Callable[[], SessionArm], Rows]:
    from trimwatt import input

    model = arm if isinstance(arm, deployed.Deployed) else load(Path(arm))
    rows = input.rows_for_prediction(asked.data, model.manifest["input"])
    request: Request = asked.request or ("dict" if isinstance(rows, dict) else "array")
    scenario, few = Scenario(asked.batch_size, asked.threads, request), _few(rows, asked.seed)
    return (lambda: SessionArm(model.artifact, scenario, few, name=name)), rows


def load(folder: Path) -> deployed.Deployed:
    """The artifact in `folder`, or in a study's folder; raises InputError where there is none."""
    inner = folder / "artifact"
    if not folder.exists():
        raise InputError(f"{folder} is not there; {ALLOWED} is allowed")
    return deployed.load(inner if (inner / deployed.MANIFEST).is_file() else folder)


def as_rows(data: Any) -> Rows:
    """Rows for models: an array (n, ...), or the columns of a dict or a DataFrame; the x of a pair (x, y)."""
    if isinstance(data, str | Path):
        raise InputError(f"data came as the path {data}; for models give the rows themselves: an array or a DataFrame")
    x = data[0] if isinstance(data, tuple) and len(data) == 2 else data
    if hasattr(x, "columns") and hasattr(x, "keys"):
        x = {str(label): x[label].to_numpy() for label in x.columns}
    rows: Rows = {k: np.asarray(v) for k, v in x.items()} if isinstance(x, Mapping) else np.asarray(x)
    if isinstance(rows, dict) and not rows:
        raise InputError("data holds no columns; give rows to ask with")
    if (isinstance(rows, np.ndarray) and rows.ndim == 0) or count(rows) == 0:
        raise InputError("data holds no rows; give an array (n, ...) or named columns with at least one row")
    return rows


def _few(rows: Rows, seed: int) -> Rows:
    """At most `_REQUEST_ROWS` rows, drawn by lot."""
    n = count(rows)
    chosen: Array = np.sort(np.random.default_rng(seed).permutation(n)[:_REQUEST_ROWS])
    return rows if n <= _REQUEST_ROWS else take(rows, chosen)
