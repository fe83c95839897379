"""Classification: one of several classes, as a code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trimwatt import metric
from trimwatt.errors import InputError
from trimwatt.tasks import _class_findings, _class_target
from trimwatt.tasks._base import Array, Classes, CoreOutput, Graph, Loss, Output, RawTarget, TargetType, Task
from trimwatt.tasks.regression import whole_numbers

if TYPE_CHECKING:
    from trimwatt.metric import Metric
    from trimwatt.workload import Data, Decide, Workload

_NEARLY_ALL = 0.99


class Classification(Task):
    """Codes (n,) of the classes, as int64; what a model answers with is the probability of each."""

    name: ClassVar[str] = "classification"
    target: ClassVar[TargetType] = "class"
    outputs = ("logits", "probabilities")
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "f1", "auc")
    answers: ClassVar[tuple[str, ...]] = ("prediction", "probability")

    def likeness(self, target: RawTarget) -> float:
        values = target.whole if target.numbers is None else target.numbers
        if values.ndim != 1:
            return 0.0
        return 1.0 if values.dtype == object or _class_target.are_classes(values) else 0.0

    def encode(self, target: RawTarget, asked: bool) -> tuple[dict[str, Array], Classes]:
        return _class_target.encode(target, asked)

    def fits(self, y: Array, classes: Classes) -> bool:
        return classes is not None and y.ndim == 1

    def announce(self, target: RawTarget) -> tuple[str, ...]:
        """Two values, and codes from 0 on of few classes, are classes without a word."""
        span = whole_numbers(target)
        if span is None or _class_target.are_codes(target.whole):
            return ()
        return (f"{span}, each taken as a class; --task regression predicts the number",)

    def decode(self, y: Array, classes: Classes) -> Array:
        return np.asarray(np.asarray(classes)[y])

    def strata(self, y: Array) -> Array | None:
        return y

    def check(self, data: Data) -> None:
        _class_findings.check(data)

    def find_oddities(self, data: Data) -> list[str]:
        return _class_findings.find(data)

    def find_unlearned(self, y: Array, answers: Array, classes: Classes) -> list[str]:
        return _class_findings.find_unlearned(y, answers, classes or ())

    def explain(self, bins: Array, y: Array, half: int) -> float | None:
        table = np.zeros((bins.max() + 1, y.max() + 1))
        np.add.at(table, (bins[:half], y[:half]), 1)
        right = float((table.argmax(axis=1)[bins[half:]] == y[half:]).mean())
        majority = float((y[half:] == np.bincount(y[:half]).argmax()).mean())
        given_away = right >= _NEARLY_ALL and 1 - right <= 0.1 * (1 - majority)
        return right if given_away else None

    def positive(self, y: Array, classes: Classes, asked: Any) -> int | None:
        """Of two classes the one asked, else the rarer."""
        if asked is not None:
            labels = [str(label) for label in classes or ()]
            if str(asked) not in labels:
                raise InputError(
                    f"positive class {asked!r} is not in the target; its classes are {', '.join(labels[:20])}"
                )
            return labels.index(str(asked))
        return int(np.argmin(np.bincount(y, minlength=2))) if len(classes or ()) == 2 else None

    def metric(self, name: str, y: Array, positive: int | None) -> Metric:
        return metric.get(name, positive)

    def decision(self, data: Data, positive: int | None = None) -> Decide | None:
        from trimwatt.workload import Decide

        return Decide(data.classes or (), None, positive)

    def scores(self, workload: Workload, raw: Array) -> Array:
        found = np.asarray(raw, dtype=np.float32).reshape(len(raw), -1)
        found = _two_columns(found, workload.outputs)
        if workload.outputs == "logits":
            found = _softmax(found)
        if workload.class_columns is None:
            return found
        full = np.zeros((len(found), len(workload.answers)), dtype=np.float32)
        full[:, list(workload.class_columns)] = found
        return full

    def read(self, workload: Workload, labels: Callable[[], Array], scores: Callable[[], Array]) -> Array:
        """Codes (n,) of the labels, or probabilities (n, k) for a metric of these."""
        if workload.quality.reads == "probabilities":
            return scores()
        codes = {label: code for code, label in enumerate(workload.answers)}
        # a label that no list holds is an answer all the same, and a wrong one
        return np.array([codes.get(label, len(codes)) for label in labels().tolist()])

    def decide_alike(self, expected: Array, got: Array, error_bound: float) -> Array:
        """The most probable class is the same, or the two most probable ones are within the error bound."""
        top = np.sort(expected, axis=1)
        clear = top[:, -1] - top[:, -2] > 2 * error_bound
        return np.asarray((expected.argmax(1) == got.argmax(1)) | ~clear)

    def width(self, data: Data) -> int:
        return len(data.classes or ())

    def loss(self, workload: Workload, y: Array, from_scratch: bool, smoothing: float) -> Loss:
        """Cross entropy, with the classes in the order of the network's columns."""
        from trimwatt.tasks._losses import ClassLoss

        codes = len(workload.answers)
        columns = np.full(codes, -1, dtype=np.int64)
        for column, code in enumerate(workload.class_columns or range(codes)):
            columns[code] = column
        return ClassLoss(workload.outputs, columns, smoothing)

    def onnx_tail(self, tail: Graph, core: CoreOutput, workload: Workload) -> list[Output]:
        """`prediction` (n,), labels as int64 or text, and `probability` (n, k)."""
        from trimwatt.tasks import _class_tail

        return _class_tail.add(tail, core, workload)

    def baselines(self, kind: str) -> tuple[tuple[str, ...], ...]:
        return (("small-resnet", "train"), ("forest",)) if kind == "image" else (("boosted",),)

    def header(self, classes: Classes) -> list[str]:
        return ["prediction", *(f"probability:{label}" for label in classes or ())]

    def cells(self, labels: Sequence[Any], scores: Sequence[Any]) -> Iterable[Sequence[Any]]:
        return ([label, *(f"{p:.6g}" for p in row)] for label, row in zip(labels, scores, strict=True))


def _two_columns(scores: Array, outputs: str) -> Array:
    """One column means the second of two classes."""
    if scores.shape[1] != 1:
        return scores
    # softmax over (0, s) is the sigmoid of s; (-s, s) would square the odds
    other = np.zeros_like(scores) if outputs == "logits" else 1 - scores
    return np.concatenate([other, scores], axis=1)


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)
