"""The contract of a task: what is asked of a model, and all that others need to know about it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from trimwatt.errors import InputError

if TYPE_CHECKING:
    import torch

    from trimwatt.metric import Metric
    from trimwatt.workload import Data, Decide, Workload

Array = np.ndarray[Any, Any]
Classes = tuple[Any, ...] | None
TargetType = Literal["class", "value", "labels"]
# name, type and shape of an output of a deployed ONNX model; "n" stands for the rows
Output = tuple[str, Any, tuple[int | str, ...]]


@dataclass(frozen=True, eq=False)
class RawTarget:
    """A target whose cells have been read, and of which no task has made anything yet.

    name: what messages call it. parts: of each part of the rows, int64, float64 or text as objects (n,), or (n, k) of
    several columns. labels: the names of these. numbers: what text says where all of it is numbers written in one way
    (n,), for all parts together; None elsewhere. dates: whether it is text that holds dates, too many of them to be
    classes. single: its numbers came as float32 or float16.
    """

    name: str
    parts: Mapping[str, Array]
    labels: tuple[str, ...] | None = None
    numbers: Array | None = None
    dates: bool = False
    single: bool = False

    @cached_property
    def whole(self) -> Array:
        """The target of all parts, one after the other (n,)."""
        return np.concatenate(list(self.parts.values()))

    def split(self, whole: Array) -> dict[str, Array]:
        """What was made of the whole target (n, ...), by part."""
        ends = np.cumsum([len(part) for part in self.parts.values()])[:-1]
        return dict(zip(self.parts, np.split(whole, ends), strict=True))


@dataclass(frozen=True)
class CoreOutput:
    """What the core of a model in ONNX gives. width: columns. rank: dimensions, None where not said."""

    name: str
    width: int
    rank: int | None
    double: bool


class Graph(Protocol):
    """The builder of ONNX graphs that `Task.onnx_tail` adds its nodes with."""

    nodes: list[Any]

    def constant(self, content: Any, dtype: Any = None) -> str:
        """Add a constant; returns its name."""
        ...

    def add(self, op: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Add a node of one output; returns the output's name."""
        ...

    def rename_last(self, name: str) -> None:
        """Call the output of the last node `name`."""
        ...


class Loss(Protocol):
    """What training minimises. scale: (mean, spread) where the network learns standardised values, else None."""

    @property
    def scale(self) -> tuple[float, float] | None: ...

    def targets(self, y: Array) -> torch.Tensor:
        """The targets `y`, as `Split.y` holds them, in the form that a call takes."""
        ...

    def __call__(self, answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The mean loss over rows of what the network gives."""
        ...

    def without_smoothing(self) -> Loss:
        """The loss by which rows that are not trained on are judged."""
        ...


class Task(ABC):
    """A kind of question that a model answers. It holds no state, and two of one class are equal.

    name: as on the command line, in study.json and in manifests. target: the type of what is predicted, by which
    techniques choose their models: "class" is one of several, "labels" any of several, "value" a number. outputs: what
    a model may answer with, the usual first. metrics: names of those that fit, the default first. answers: names of the
    outputs of a deployed model, `prediction` first; where there are two, the other holds the scores. takes_models:
    whether a model of the user's own can be given.
    """

    name: ClassVar[str]
    target: ClassVar[TargetType]
    outputs: ClassVar[tuple[Literal["logits", "probabilities", "values"], ...]]
    metrics: ClassVar[tuple[str, ...]]
    answers: ClassVar[tuple[str, ...]] = ("prediction",)
    takes_models: ClassVar[bool] = True

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    # the target

    @abstractmethod
    def likeness(self, target: RawTarget) -> float:
        """How much a target looks like one of this task: 0 it cannot be one, 0.5 it can, 1 it most likely is.

        Where no task is asked, the one with the greatest is taken.
        """

    @abstractmethod
    def encode(self, target: RawTarget, asked: bool) -> tuple[dict[str, Array], Classes]:
        """The target of each part as `Split.y` holds it, and its classes, None where it has none.

        asked: whether the user named this task. Raises InputError for a target that is not one of this task, or from
        which nothing can be learnt.
        """

    @abstractmethod
    def fits(self, y: Array, classes: Classes) -> bool:
        """Whether `y`, as `Split.y` holds it, with these classes is an encoded target of this task."""

    def announce(self, target: RawTarget) -> tuple[str, ...]:
        """What to say where this task was chosen by the look of the target, with the option that chooses another."""
        return ()

    def decode(self, y: Array, classes: Classes) -> Array:
        """The target as the user has it: labels or values (n,)."""
        return y

    # the rows

    def strata(self, y: Array) -> Array | None:
        """Codes (n,) whose shares every split should keep; None where rows are split as they come."""
        return None

    def check(self, data: Data) -> None:  # noqa: B027 - a task need not refuse anything
        """Raise InputError where models could not be told apart on the validation or test rows."""

    def find_oddities(self, data: Data) -> list[str]:
        """What a reader must know of the target in these splits."""
        return []

    def find_unlearned(self, y: Array, answers: Array, classes: Classes) -> list[str]:
        """What the recommended model's answers, as its metric reads them, show not to have been learnt."""
        return []

    def explain(self, bins: Array, y: Array, half: int) -> float | None:
        """The share of the target that `bins` (n,) give away, learnt on the first half and judged on the rest.

        None where that is no more than what honest features give.
        """
        return None

    # quality

    def positive(self, y: Array, classes: Classes, asked: Any) -> int | None:
        """The code of the positive class; None where there is none. y: training targets. asked: its label, or None."""
        return None

    @abstractmethod
    def metric(self, name: str, y: Array, positive: int | None) -> Metric:
        """The metric `name`, one of `metrics`. y: training targets."""

    @abstractmethod
    def decision(self, data: Data, positive: int | None = None) -> Decide | None:
        """How labels follow from scores, before any threshold is chosen; None where the scores are the answer."""

    @abstractmethod
    def scores(self, workload: Workload, raw: Array) -> Array:
        """What a model gave, as scores: probabilities (n, k) in the order of `workload.answers`, or values (n,)."""

    def read(self, workload: Workload, labels: Callable[[], Array], scores: Callable[[], Array]) -> Array:
        """What the workload's metric reads, of what one of two ways of asking a deployed model gives."""
        return scores()

    # comparing two answers

    def scale(self, expected: Array) -> float:
        """The unit in which two answers differ, by the answers (n, ...) of the one."""
        return 1.0

    def disagreement(self, expected: Array, got: Array, error_bound: float = 1e-3, share: float = 1.0) -> str | None:
        """Why an export is not its source, or None where it is.

        expected, got: scores of both for the same rows. Refused: equal decisions in less than 99.9 % of rows (or in
        less than `share`), or an error beyond `error_bound`, in units of `scale`, in more than 1 - `share` of them.
        """
        if expected.shape != got.shape:
            return f"the export answers with shape {got.shape}, its source with {expected.shape}"
        if not np.isfinite(got).all():
            return "the export answers with NaN or infinity"
        errors = np.abs(expected - got).reshape(len(got), -1).max(axis=1, initial=0.0) / self.scale(expected)
        error = float(np.quantile(errors, share, method="lower"))
        same = float(np.mean(self.decide_alike(expected, got, error_bound)))
        if same < min(0.999, share):
            return f"the export answers differently: equal predictions {same:.2%}, largest error {error:.2g}"
        if error > error_bound:
            return f"the export answers differently: largest error {error:.2g}, allowed {error_bound:g}"
        return None

    def decide_alike(self, expected: Array, got: Array, error_bound: float) -> Array:
        """Which rows (n,) are decided alike by both scores, or are within the error bound of either decision."""
        return np.ones(len(expected), dtype=bool)

    # training and deployment

    @abstractmethod
    def width(self, data: Data) -> int:
        """How many numbers a network made for these data answers with."""

    @abstractmethod
    def loss(self, workload: Workload, y: Array, from_scratch: bool, smoothing: float) -> Loss:
        """What training in PyTorch minimises. y: training targets. Raises TrialFailed for what cannot be smoothed."""

    @abstractmethod
    def onnx_tail(self, tail: Graph, core: CoreOutput, workload: Workload) -> list[Output]:
        """Add the nodes that make the answers of what the core gives; returns the outputs in the order of `answers`."""

    @abstractmethod
    def baselines(self, kind: str) -> tuple[tuple[str, ...], ...]:
        """Recipes, as names of techniques, that a practitioner would take for rows of `kind`, the best first."""

    # answers in a file

    def header(self, classes: Classes) -> list[str]:
        """Names of the columns of a file of predictions."""
        return ["prediction"]

    def cells(self, labels: Sequence[Any], scores: Sequence[Any]) -> Iterable[Sequence[Any]]:
        """The rows of that file, of what a deployed model predicts (n, ...) and its scores (n, ...)."""
        return ([label] for label in labels)


def refuse_date(name: str) -> str:
    """Why a target of dates is refused."""
    return f"{name} holds dates, and a date cannot be predicted; give a number, such as days until then"


def refuse_columns(target: RawTarget) -> None:
    """Raise InputError for a target of several columns."""
    if target.whole.ndim != 1:
        raise InputError(
            f"{target.name} has shape {target.whole.shape}; one value a row, (n,) or (n, 1), or one-hot (n, k) is "
            "allowed, or 0 and 1 for each of several labels with --task multilabel"
        )
