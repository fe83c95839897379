"""The job: data, and a model with what stands before and after it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

import numpy as np

from trimwatt import parting, tasks
from trimwatt.errors import InputError
from trimwatt.metric import Metric
from trimwatt.picture import Picture
from trimwatt.scenario import Scenario
from trimwatt.tasks import Task

Array = np.ndarray[Any, Any]
Rows = Array | dict[str, Array]
Form = Literal["none", "torch", "sklearn", "onnx"]
Outputs = Literal["logits", "probabilities", "values"]


def unmasked(column: Any) -> Array:
    """An array with NaN, NaT or None where it was masked; whole numbers become float64 where any was."""
    mask, values = np.ma.getmaskarray(column), np.asarray(np.ma.getdata(column))
    if not mask.any():
        return values
    kind = values.dtype.kind
    values = values.astype(object if kind in "OUS" else np.float64 if kind in "biu" else values.dtype)
    values[mask] = {"M": np.datetime64("NaT"), "f": np.nan, "O": None}[values.dtype.kind]
    return values


class Stored(dict[str, Any]):
    """Named columns `(n,)` exactly as the user has them: numpy arrays, masked or not, and pandas' own.

    Plain rows, by contrast, are float32 with NaN for missing and text with "" for missing. labels: of the columns as
    the user's frame has them, by name, where not all are text. library: whose frame it is, where not pandas'.
    """

    def __init__(
        self, columns: Mapping[str, Any], labels: Mapping[str, Any] | None = None, library: str | None = None
    ) -> None:
        super().__init__(columns)
        self.labels, self.library = labels, library

    def take(self, index: Array | slice) -> Stored:
        """The rows at `index`."""
        return Stored({name: column[index] for name, column in self.items()}, self.labels, self.library)

    def only(self, names: Iterable[str]) -> Stored:
        """These columns, in this order."""
        return Stored({name: self[name] for name in names}, self.labels, self.library)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stored, (dict(self), self.labels, self.library)


def count(rows: Rows) -> int:
    """How many rows there are."""
    return len(next(iter(rows.values()))) if isinstance(rows, dict) else len(rows)


def take(rows: Rows, index: Array | slice) -> Rows:
    """The rows at `index`, in the same form."""
    if isinstance(rows, Stored):
        return rows.take(index)
    return {name: column[index] for name, column in rows.items()} if isinstance(rows, dict) else rows[index]


def joined(first: Rows, second: Rows) -> Rows:
    """The rows of both, in the same form; raises InputError where they have different ones."""
    if isinstance(first, dict) and isinstance(second, dict):
        made = {name: _column_joined(column, second[name]) for name, column in first.items()}
        return Stored(made, first.labels, first.library) if isinstance(first, Stored) else made
    if isinstance(first, dict) or isinstance(second, dict):
        raise InputError("rows that go together have one form: named columns, or one array")
    whole: Array = _column_joined(first, second)
    return whole


def _column_joined(first: Any, second: Any) -> Any:
    if isinstance(first, np.ma.MaskedArray) or isinstance(second, np.ma.MaskedArray):
        return np.ma.concatenate([first, second])  # type: ignore[no-untyped-call]
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return np.concatenate([first, second])
    import pandas as pd

    if isinstance(first, pd.Categorical) and isinstance(second, pd.Categorical) and first.dtype != second.dtype:
        # as text they would no longer be categories to a model that looks for them
        with contextlib.suppress(TypeError):
            return pd.api.types.union_categoricals([first, second])
    return pd.concat([pd.Series(first), pd.Series(second)], ignore_index=True).array


def requests(n: int, size: int) -> Iterator[Array]:
    """Row numbers of requests of `size` rows each, in order; the last one is filled up with the first rows."""
    return (np.arange(start, start + size) % n for start in range(0, n, size))


@dataclass(frozen=True, eq=False)
class Split:
    """Rows `x` (one array `(n, ...)`, or named columns each `(n,)`) with their target `y` `(n,)` or `(n, k)`.

    y holds what the task encodes: class codes 0..k-1 (int64), values (float64), or 0 and 1 for each label (int64).
    group, twins: labels `(n,)`; rows of one label belong together (twins: many labels of few rows each). time: moments
    `(n,)`. None where nothing is known of that.
    """

    x: Rows
    y: Array
    group: Array | None = None
    time: Array | None = None
    twins: Array | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def ties(self) -> dict[str, Array | None]:
        """What keeps rows together, as `parting` takes it."""
        return {"group": self.group, "time": self.time, "twins": self.twins}

    def take(self, index: Array | slice) -> Split:
        ties = {name: label if label is None else label[index] for name, label in self.ties.items()}
        return Split(take(self.x, index), self.y[index], **ties)

    def joined(self, other: Split) -> Split:
        """The rows of both; what keeps rows together is known of them where it is known of both."""
        pairs = {name: (label, other.ties[name]) for name, label in self.ties.items()}
        ties = {n: None if a is None or b is None else np.concatenate([a, b]) for n, (a, b) in pairs.items()}
        return Split(joined(self.x, other.x), np.concatenate([self.y, other.y]), **ties)

    def sample(self, most: int, seed: int) -> Split:
        """At most so many rows, drawn by lot: stored rows often come class by class."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]))


class View(Protocol):
    """What models made here read of stored rows: plain ones, by `apply`."""

    def apply(self, rows: Mapping[str, Any], read: Collection[str] | None = None) -> dict[str, Array]:
        """Plain rows of stored ones. read: names of the columns wanted, None for all."""
        ...

    def stored(self, names: Collection[str]) -> tuple[str, ...]:
        """The stored columns that plain ones called `names` are made of."""
        ...

    def only(self, names: Collection[str]) -> Self:
        """The view of these columns alone."""
        ...

    def to_json(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, eq=False)
class Independence:
    """How far judged rows tell about rows that no model has seen.

    kinds: what ties judged rows to training rows: "twins", "group", "time" or "seen" (a model that came fitted may have
    seen every row). rows: how many judged rows are tied. columns: those that say so. reason, remedy: for the verdict.
    val, test: True for rows that are not tied `(n,)`; None where none is. withheld: too few such rows are left to judge
    by, so that nothing can be proven here. examined: whether ties were looked for. not_examined: what was not looked
    for, and why.
    """

    kinds: tuple[str, ...] = ()
    rows: int = 0
    columns: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""
    val: Array | None = None
    test: Array | None = None
    withheld: bool = False
    examined: bool = False
    not_examined: tuple[str, ...] = ()


def plain(rows: Rows, view: View | None) -> Rows:
    """Rows as models made here see them: stored columns through `view`, arrays with NaN where they are masked."""
    if isinstance(rows, Stored) and view is not None:
        return view.apply(rows)
    return unmasked(rows) if isinstance(rows, np.ma.MaskedArray) else rows


@dataclass(frozen=True, eq=False)
class Data:
    """Three splits of the same kind.

    classes: the label that each code stands for (int or str), None where values are predicted. kind: "table" (named
    columns, or an array (n, features)) or "image" (an array (n, h, w), (n, h, w, channels) or (n, channels, h, w)).
    name: of the source. derive: what the input layer did to make these rows (dates to numbers, say) and must do again
    for new ones; JSON-able.
    view: where rows are `Stored`, what models made here read of them.
    unlabelled: more rows like those of train whose target nobody knows, for distillation.
    original: the user's own rows of a split, `original("val", index)` for those of `val.take(index)`, in the type they
    came in (DataFrame, array, tensor, dict of columns), without target, split and group. None for files, whose rows are
    the only ones there are, and in any process but the one that loaded the data.
    split_by: "source" where the data named their splits, "us" where rows that came as one were parted here.
    val_by: the same of the validation rows alone: "us" where they were parted from the training rows here.
    independence: how far the judged rows are independent of the training rows.
    channels_first: whether pictures are (n, channels, h, w); None to go by their shape.
    task: what is asked of a model; where it is None, or does not fit the target, it goes by the target.
    """

    train: Split
    val: Split
    test: Split
    kind: Literal["table", "image"] = "table"
    classes: tuple[Any, ...] | None = None
    name: str = "data"
    warnings: tuple[str, ...] = ()
    derive: dict[str, Any] = field(default_factory=dict)
    view: View | None = None
    unlabelled: Rows | None = None
    original: Callable[[str, Array | slice], Any] | None = field(default=None, repr=False)
    split_by: Literal["source", "us"] = "source"
    val_by: Literal["source", "us"] = "source"
    independence: Independence = field(default_factory=Independence)
    channels_first: bool | None = None
    task: Task = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.task is None or not self.task.fits(self.train.y, self.classes):
            object.__setattr__(self, "task", tasks.of_target(self.train.y, self.classes))

    @property
    def picture(self) -> Picture | None:
        """How pictures are stored; None for other rows."""
        rows = self.train.x
        is_picture = self.kind == "image" and not isinstance(rows, dict) and rows.ndim in (3, 4)
        return Picture.of(rows.shape[1:], self.channels_first) if is_picture else None  # type: ignore[union-attr]

    @property
    def named(self) -> bool:
        """Whether rows are named columns."""
        return isinstance(self.train.x, dict)

    def plain(self, rows: Rows) -> Rows:
        """Rows of these data as models made here see them: plain columns, arrays without a mask."""
        return plain(rows, self.view)

    def holdout(self, seed: int, share: float = 0.15, most: int = 2000) -> tuple[Split, Split]:
        """Training rows as (fit, held out); what stops training early or sets a threshold must not be fitted on.

        Rows that belong together stay on one side, and where moments are known the latest are held out.
        """
        n, codes = len(self.train), self.task.strata(self.train.y)
        held = min(most, max(1, round(share * n)))
        fit, out = parting.hold_out(n, held, codes, seed, **self.train.ties)
        return self.train.take(fit), self.train.take(out)

    def sampled(self, seed: int, most: int) -> Split:
        """At most so many training rows, the classes in their shares."""
        n, codes = len(self.train), self.task.strata(self.train.y)
        return self.train.take(parting.hold_out(n, min(most, n), codes, seed)[1])


@dataclass(frozen=True)
class Decide:
    """Turns probabilities into labels.

    classes: label of each column: those of the data, then any others that a given model knows. threshold: probability
    in (0, 1) from which the `positive` column of two is chosen; None takes the most probable class. own: the threshold
    is the given model's own, which its predict applies.
    """

    classes: tuple[Any, ...]
    threshold: float | None = None
    positive: int | None = None
    own: bool = False

    def codes(self, probabilities: Array) -> Array:
        """Class codes (n,) from probabilities (n, k)."""
        if self.threshold is None or self.positive is None:
            return np.asarray(np.argmax(probabilities, axis=1))
        chosen = probabilities[:, self.positive] >= np.float32(self.threshold)
        return np.where(chosen, self.positive, 1 - self.positive)

    def labels(self, probabilities: Array) -> Array:
        """Labels (n,) from probabilities (n, k)."""
        return np.asarray(np.asarray(self.classes)[self.codes(probabilities)])

    def margin(self, probabilities: Array) -> Array:
        """How far each row (n,) is from another label: the gap of the two best, or twice that to the threshold."""
        if self.threshold is not None and self.positive is not None:
            return np.asarray(2 * np.abs(probabilities[:, self.positive].astype(np.float64) - self.threshold))
        best = np.sort(probabilities.astype(np.float64), axis=1)[:, -2:]
        return np.asarray(best[:, -1] - best[:, 0])


@dataclass(frozen=True)
class Told:
    """What the user says of a given model. outputs: what its columns mean. classes: which class each stands for."""

    outputs: Outputs | None = None
    classes: tuple[Any, ...] | None = None


class Prepare(Protocol):
    """Fitted preprocessing: from rows as stored to the float32 array a model takes. Picklable, exportable to ONNX."""

    def transform(self, rows: Rows) -> Array: ...

    def to_onnx(self) -> bytes:
        """A serialized model: inputs as `framework.onnx` names those of `rows`, one float32 output `prepared`."""
        ...


@dataclass(frozen=True, eq=False)
class Workload:
    """A job in progress: what techniques take and return, never change.

    task: that of the data where there are data; else as given, by its name too, or by what the model answers with.
    model: in the form that `form` names: a torch module, a scikit-learn estimator, or serialized ONNX bytes whose
    one input is `prepare`'s output (or the rows as stored, where prepare is None). outputs: what the model gives:
    logits or probabilities (n, k), or values (n,) or (n, 1). class_columns: for each output column its place in
    `answers`; None is 0..k-1 in order. trainer: the step that trains the model, where it comes untrained.
    by_batch: its answer to a row depends on the other rows of the request, so it is asked with the scenario's batch.
    threshold: one that is known before anything is fitted, so that no rows are held out to choose it on.
    """

    data: Data | None = None
    task: Task = None  # type: ignore[assignment]
    metric: Metric | None = None
    model: Any = None
    form: Form = "none"
    prepare: Prepare | None = None
    decide: Decide | None = None
    outputs: Outputs = "logits"
    class_columns: tuple[int, ...] | None = None
    trainer: Any = None
    scenario: Scenario = field(default_factory=Scenario)
    seed: int = 0
    rebuild: Callable[[], Any] | None = None
    by_batch: bool = False
    threshold: float | None = None

    def __post_init__(self) -> None:
        if self.data is not None:
            task = self.data.task
        elif self.task is None:
            task = tasks.for_outputs(self.outputs)
        else:
            task = tasks.get(self.task) if isinstance(self.task, str) else self.task
        object.__setattr__(self, "task", task)

    @property
    def rows(self) -> Data:
        """The data; raises InputError where there are none yet."""
        if self.data is None:
            raise InputError("this workload has no data; give data=(train, val, test)")
        return self.data

    @property
    def quality(self) -> Metric:
        """The metric; raises InputError where none was chosen."""
        if self.metric is None:
            raise InputError("this workload has no metric; give metric='accuracy', say")
        return self.metric

    @property
    def answers(self) -> tuple[Any, ...]:
        """Every label that can be answered: the classes of the data, then those that only the model given knows."""
        return self.decide.classes if self.decide is not None else self.rows.classes or ()

    @property
    def needs_threshold(self) -> bool:
        """Whether labels of two classes are judged by a metric that a threshold can raise."""
        return not self.quality.argmax_is_best and self.task.target == "class" and len(self.answers) == 2

    @property
    def fit_rows(self) -> Split:
        """What a model may be fitted on: all training rows, or those that no threshold will be chosen on."""
        if self.needs_threshold and self.threshold is None:
            return self.rows.holdout(self.seed)[0]
        return self.rows.train

    def in_batches(self, rows: Rows, most: int | None = None) -> Iterator[Rows]:
        """The rows, at most `most` at a time, or in requests where the answers depend on the batch.

        The last request is filled up with the first rows, so answers are to be cut to as many as there are rows.
        """
        n = count(rows)
        if self.by_batch:
            yield from (take(rows, index) for index in requests(n, self.scenario.batch_size))
            return
        step = most or max(1, n)
        yield from (take(rows, slice(start, start + step)) for start in range(0, max(1, n), step))

    def probabilities(self, raw: Array) -> Array:
        """What the model gave, as probabilities (n, k) in the order of `answers`, or values (n,)."""
        return self.task.scores(self, raw)
