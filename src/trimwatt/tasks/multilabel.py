"""Multilabel classification: any number of labels for each row, decided independently of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt._printable import listed
from trimwatt.errors import InputError
from trimwatt.tasks import _label_findings, _label_metrics
from trimwatt.tasks._base import Array, Classes, CoreOutput, Graph, Loss, Output, RawTarget, TargetType, Task

if TYPE_CHECKING:
    from trimwatt.metric import Metric
    from trimwatt.workload import Data, Decide, Workload

# label sets of fewer rows are parted by the rarest label in them
_LEAST_OF_SET = 5


class Multilabel(Task):
    """0 or 1 for each of k labels (n, k), as int64; what a model answers with is the probability of each."""

    name: ClassVar[str] = "multilabel"
    target: ClassVar[TargetType] = "labels"
    outputs = ("logits", "probabilities")
    metrics: ClassVar[tuple[str, ...]] = _label_metrics.NAMES
    answers: ClassVar[tuple[str, ...]] = ("prediction", "probability")
    takes_models: ClassVar[bool] = False

    def likeness(self, target: RawTarget) -> float:
        return 1.0 if _are_labels(target.whole) else 0.0

    def encode(self, target: RawTarget, asked: bool) -> tuple[dict[str, Array], Classes]:
        whole = target.whole
        if whole.ndim != 2:
            raise InputError(
                f"{target.name} is one column; multilabel needs a column of 0 and 1 for each label: name them with "
                "--target a,b,c or give an array (n, labels)"
            )
        names: tuple[Any, ...] = target.labels or tuple(range(whole.shape[1]))
        if not _are_labels(whole):
            raise InputError(f"{target.name} must hold 0 or 1 for each label ({listed(names, 6)}); convert its columns")
        have = whole.sum(axis=0)
        same = [f"{names[place]} ({'all' if have[place] else 'no'} rows)" for place in _constant(have, len(whole))]
        if same:
            raise InputError(
                f"{target.name}: labels that every row has, or none, teach nothing: {listed(same, 6)}; leave them out"
            )
        return target.split(whole.astype(np.int64)), names

    def fits(self, y: Array, classes: Classes) -> bool:
        return y.ndim == 2 and classes is not None and y.shape[1] == len(classes)

    def announce(self, target: RawTarget) -> tuple[str, ...]:
        """Rows of one label each may be classes."""
        if not (target.whole.sum(axis=1) == 1).all():
            return ()
        return (
            f"{target.name}: each row has one of the labels, and each is decided by itself; --task classification "
            "predicts which one it is",
        )

    def strata(self, y: Array) -> Array | None:
        """A code for each set of labels; sets of few rows go by the rarest label that they hold."""
        _, codes, rows = np.unique(y, axis=0, return_inverse=True, return_counts=True)
        codes = codes.reshape(-1)
        share = np.where(y == 1, y.mean(axis=0), np.inf)
        rarest = np.where(y.any(axis=1), share.argmin(axis=1), y.shape[1])
        merged = np.where(rows[codes] < _LEAST_OF_SET, len(rows) + rarest, codes)
        return np.asarray(np.unique(merged, return_inverse=True)[1].reshape(-1))

    def check(self, data: Data) -> None:
        _label_findings.check(data)

    def find_oddities(self, data: Data) -> list[str]:
        return _label_findings.find(data)

    def find_unlearned(self, y: Array, answers: Array, classes: Classes) -> list[str]:
        return _label_findings.find_unlearned(y, answers, classes or ())

    def positive(self, y: Array, classes: Classes, asked: Any) -> int | None:
        """The place of the label whose F1 is meant: the one asked, else the rarest."""
        if asked is None:
            return int(y.mean(axis=0).argmin())
        labels = [str(label) for label in classes or ()]
        if str(asked) not in labels:
            raise InputError(f"positive label {asked!r} is not in the target; its labels are {', '.join(labels[:20])}")
        return labels.index(str(asked))

    def metric(self, name: str, y: Array, positive: int | None) -> Metric:
        return _label_metrics.get(name, positive)

    def decision(self, data: Data, positive: int | None = None) -> Decide | None:
        from trimwatt.tasks._label_decision import DecideEach

        return DecideEach(data.classes or (), positive=positive)

    def scores(self, workload: Workload, raw: Array) -> Array:
        found = np.asarray(raw, dtype=np.float32).reshape(len(raw), -1)
        if workload.outputs != "logits":
            return found
        # where exp would overflow, the other form of the same number does not
        low = np.exp(-np.abs(found))
        return np.asarray(np.where(found >= 0, 1 / (1 + low), low / (1 + low)), dtype=np.float32)

    def read(self, workload: Workload, labels: Callable[[], Array], scores: Callable[[], Array]) -> Array:
        """0 or 1 (n, k) for each label."""
        return labels()

    def decide_alike(self, expected: Array, got: Array, error_bound: float) -> Array:
        """Every label is decided alike, or its probability is within the error bound of one half."""
        clear = np.abs(expected - 0.5) > error_bound
        return np.asarray((((expected >= 0.5) == (got >= 0.5)) | ~clear).all(axis=1))

    def width(self, data: Data) -> int:
        return len(data.classes or ())

    def loss(self, workload: Workload, y: Array, from_scratch: bool, smoothing: float) -> Loss:
        """Binary cross entropy of each label."""
        from trimwatt.tasks._losses import LabelLoss

        return LabelLoss(workload.outputs, smoothing)

    def onnx_tail(self, tail: Graph, core: CoreOutput, workload: Workload) -> list[Output]:
        """`prediction` (n, k), 0 or 1 as int64, and `probability` (n, k)."""
        from trimwatt.tasks._label_decision import DecideEach

        labels = len(workload.rows.classes or ())
        least = workload.decide.least if isinstance(workload.decide, DecideEach) else 0.5
        name = tail.add("Cast", core.name, to=1) if core.double else core.name
        if core.rank != 2:
            name = tail.add("Reshape", name, tail.constant([-1, labels], np.int64))
        tail.add("Sigmoid" if workload.outputs == "logits" else "Identity", name, output="probability")
        chosen = tail.add("GreaterOrEqual", "probability", tail.constant(least, np.float32))
        tail.add("Cast", chosen, to=7, output="prediction")
        return [("prediction", np.int64, ("n", labels)), ("probability", np.float32, ("n", labels))]

    def baselines(self, kind: str) -> tuple[tuple[str, ...], ...]:
        return (("small-resnet", "train"), ("forest",)) if kind == "image" else (("boosted",),)

    def header(self, classes: Classes) -> list[str]:
        return [f"{what}:{label}" for what in self.answers for label in classes or ()]

    def cells(self, labels: Sequence[Any], scores: Sequence[Any]) -> Iterable[Sequence[Any]]:
        return ([*row, *(f"{p:.6g}" for p in shares)] for row, shares in zip(labels, scores, strict=True))


def _are_labels(whole: Array) -> bool:
    """Whether a target is 0 and 1 in several columns."""
    return whole.ndim == 2 and whole.dtype != object and bool(((whole == 0) | (whole == 1)).all())


def _constant(have: Array, rows: int) -> list[int]:
    """Places of labels that all rows have, or none."""
    return [int(place) for place in np.flatnonzero((have == 0) | (have == rows))]
