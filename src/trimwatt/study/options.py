"""What can be asked of a study. Each option stands here and nowhere else: `tw.optimize`, the command line, its help and
the docs are made from these fields. Loads nothing but the standard library."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal

from trimwatt import units
from trimwatt.errors import OptionError
from trimwatt.scenario import Request, Scenario
from trimwatt.study.limits import Limits
from trimwatt.study.option import Option, describe
from trimwatt.units import Budget

_given = partial(Option, "What is given", resumed="read")
_held = partial(Option, "What must hold")
_asked = partial(Option, "How it will be asked", resumed="read")
_search = partial(Option, "The search")
_output = partial(Option, "Output", resumed="call")


def _tasks() -> Sequence[str]:
    from trimwatt import tasks

    return "auto", *tasks.names()


def _techniques() -> Sequence[str]:
    from trimwatt.study.candidate import technique_names

    return technique_names()


def _metrics() -> Sequence[str]:
    from trimwatt import tasks

    return [*dict.fromkeys(name for task in tasks.registry().values() for name in task.metrics)]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything that can be asked of a study, apart from the data and the model, as it was asked.

    Raises InputError for a value that cannot be used. `limits` and `allowance` are what the texts among them come to.
    """

    target: Annotated[str | None, _given("The column to predict, in a table.", value="COLUMN")] = None
    split: Annotated[
        str | None,
        _given("The column that says train, val or test.", "One called ``split`` is used unasked.", value="COLUMN"),
    ] = None
    group: Annotated[str | None, _given("The column whose equal values stay in one split.", value="COLUMN")] = None
    time: Annotated[str | None, _given("The column to split by: the latest rows test.", value="COLUMN")] = None
    val_from: Annotated[
        Literal["train", "test"],
        _given(
            "Where validation rows are cut from where there are none.",
            "Take ``test`` if your model has seen the training rows: they would flatter it.",
        ),
    ] = "train"
    task: Annotated[
        str, _given("What is predicted; ``auto`` is what the target looks like.", value="TASK", names=_tasks)
    ] = "auto"
    outputs: Annotated[
        Literal["logits", "probabilities", "values"] | None,
        _given(
            "What a given `model` answers with, where rows cannot tell.",
            "Values are the number itself, which is regression. Found by asking the model; needed only where a refusal "
            "asks for it.",
        ),
    ] = None
    classes: Annotated[
        Any,
        _given(
            "A file that names the class of each output of a given `model`: one per line, or JSON.",
            'JSON is a list or ``{"0": "name", ...}``; in Python these may be given themselves. Needed where the model '
            "has more outputs than the data have classes and neither whole-number labels (which are the indices of its "
            "outputs) nor a class list of its own says so.",
            value="FILE",
        ),
    ] = None
    train: Annotated[bool, _given("The `model` comes untrained: train it first.")] = False

    metric: Annotated[
        str | None,
        _held(
            "What quality is, or ``package.module:callable``; the usual metric of the task unless given.",
            value="METRIC",
            names=_metrics,
            resumed="read",
        ),
    ] = None
    positive: Annotated[
        Any, _held("The positive class of f1 and auc; the rarer one unless named.", value="CLASS", resumed="read")
    ] = None
    max_drop: Annotated[
        float,
        _held(
            "Quality that may be lost against the reference, in the metric's own unit; for errors a share of the "
            "reference's.",
            value="QUALITY",
        ),
    ] = 0.01
    floor: Annotated[
        float | None, _held("The least acceptable quality itself, instead of `max_drop`.", value="QUALITY")
    ] = None
    strict: Annotated[
        bool,
        _held(
            "Take only what is proven to keep the floor.",
            "Where nothing is, or judged rows are not independent, that is exit code 4.",
            resumed="free",
        ),
    ] = False
    bold: Annotated[
        bool, _held("Take the cheapest that keeps the floor by its estimate, proven or not.", resumed="free")
    ] = False
    max_latency: Annotated[
        str | float | None,
        _held(
            "The longest median answer, such as ``5ms``.", "A plain number is in seconds.", value="TIME", resumed="read"
        ),
    ] = None
    max_size: Annotated[
        str | float | None,
        _held("The largest model, such as ``1MB``.", "A plain number is in bytes.", value="SIZE", resumed="read"),
    ] = None
    max_memory: Annotated[
        str | float | None,
        _held(
            "The most memory while serving, such as ``64MB``.",
            "A plain number is in bytes.",
            value="SIZE",
            resumed="read",
        ),
    ] = None

    batch_size: Annotated[int, _asked("Rows per request.", value="ROWS")] = 1
    threads: Annotated[int, _asked("Threads of the runtime.", value="THREADS")] = 1
    request: Annotated[
        Request | None,
        _asked(
            "The form in which rows arrive.",
            "Turning a DataFrame into arrays is part of what is timed.",
        ),
    ] = None

    budget: Annotated[
        str,
        _search(
            "For the whole search: time (``20min``), energy (``10kJ``, ``5Wh``) or trials, the baseline among them "
            "(``40trials``).",
            value="TIME|ENERGY|TRIALS",
            resumed="free",
        ),
    ] = "10min"
    baseline: Annotated[
        Any,
        _search(
            "What to compare with where no model is given: a technique such as ``forest`` or ``linear``.",
            "A classical model or a network; in Python a technique or a tuple of them too.",
            value="NAME",
        ),
    ] = None
    techniques: Annotated[
        str,
        _search(
            "``all``, or groups and techniques by their names, separated by commas: ``quantize,forest``.",
            "The change of runtime is always tried.",
            value="NAMES",
            names=_techniques,
        ),
    ] = "all"
    recipes: Annotated[
        Sequence[str],
        _search(
            "A recipe to try first, as tables print it: ``finetune + static-int8 @ openvino``.",
            "Repeatable; in Python a list.",
            value="RECIPE",
            flag="--recipe",
            resumed="free",
        ),
    ] = ()
    reference: Annotated[
        Literal["best", "baseline"],
        _search(
            "Whose quality sets the floor where no model is given: ``best`` is the strongest model found.",
            "Nothing sets a `floor`: then it is the baseline.",
        ),
    ] = "best"
    refit: Annotated[
        Literal["train+val", "all"],
        _search(
            "The rows that the model handed over is fitted on: ``all`` adds the test rows once it is confirmed on "
            "them.",
            "What comes of that is measured, but not judged.",
            resumed="free",
        ),
    ] = "train+val"
    seed: Annotated[int, _search("Of splits, training and pairing.")] = 0

    output: Annotated[
        str | os.PathLike[str] | None,
        _output("Where the outcome goes; ``./trimwatt-<data>`` unless given.", value="FOLDER", letter="-o"),
    ] = None
    resume: Annotated[
        bool,
        _output(
            "Go on with the study in that folder.",
            "The budget may be larger, and `strict` or `bold` added or left out.",
        ),
    ] = False
    force: Annotated[bool, _output("Replace the study in that folder, and only that.")] = False
    progress: Annotated[Any, Option("", "Told what happens: ``event(kind, **fields)``.", resumed="call")] = None

    def __post_init__(self) -> None:
        for each in describe(type(self)):
            object.__setattr__(self, each.name, each.read(getattr(self, each.name)))
        _check_quality(self.max_drop, self.floor)
        if self.strict and self.bold:
            raise OptionError("`strict` takes only what is proven, `bold` what is not proven too; ask for one of them")
        if self.resume and self.force:
            raise OptionError("`resume` goes on with a study and `force` throws it away; give one of them")
        # what these come to is checked as it is made
        _ = self.limits, self.allowance, Scenario(self.batch_size, self.threads)

    @cached_property
    def limits(self) -> Limits:
        """What a recommendation must not exceed."""
        return Limits.read(self.max_latency, self.max_size, self.max_memory)

    @cached_property
    def allowance(self) -> Budget:
        """What the study may spend."""
        return units.parse_budget(self.budget)

    @property
    def seeks_reference(self) -> bool:
        """Whether the strongest model is to set the floor; one that was named is set by none."""
        return self.reference == "best" and self.floor is None

    def identity(self, scenario: Scenario) -> dict[str, Any]:
        """What must be equal for a study to be resumed; the budget may grow, the choice be strict or bold.

        scenario: how the model is asked, which depends on the rows too. What else decides how data and model are read
        is compared as it was read: see `fingerprint`.
        """
        equal = {each.name: getattr(self, each.name) for each in describe(type(self)) if each.option.resumed == "equal"}
        # one that is no name is compared as a recipe
        named = self.baseline if isinstance(self.baseline, str) else None
        return {**equal, "baseline": named, "limits": asdict(self.limits), "scenario": scenario.to_dict()}


def _check_quality(max_drop: float, floor: float | None) -> None:
    for name, number in (("max_drop", max_drop), ("floor", floor)):
        if number is not None and not math.isfinite(number):
            raise OptionError(f"`{name}` is a finite number, got {{:g}}; write it like 0.01", number)
    if max_drop < 0 or (max_drop >= 1 and floor is None):
        raise OptionError(
            "`max_drop` is a share of 1 (0.01: a point), got {:g}; did you mean {:g}?", max_drop, max_drop / 100
        )
