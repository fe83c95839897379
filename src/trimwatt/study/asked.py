"""The user's own model, asked before anything is made of it: does it answer alike twice, alone and among others?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trimwatt.errors import InputError, TrimwattError
from trimwatt.framework import own
from trimwatt.framework.apart import differing
from trimwatt.framework.own import Answer
from trimwatt.framework.undisturbed import undisturbed
from trimwatt.study import chance
from trimwatt.study.odd import rows_to_ask
from trimwatt.workload import Array, Rows, Workload, requests, take

NAMES = {"train": "training", "val": "validation", "test": "test"}
# validation rows, and as many with an odd cell
MOST = 2000
_FEWEST, _LARGE, _LARGE_BYTES = 64, 512, 64e6
# beyond what the order of a sum can change, as a share of the spread
_SAME, _SAME_IN_HALF = 1e-4, 2e-2
_PROBE = 256


@dataclass(frozen=True, eq=False)
class Asked:
    """The rows that were asked, and what the user's own model answered.

    given: the workload as the user gave it. workload: as adopted. places: row numbers by split, those asked at the
    deployed batch size first. few: how many of them by split.
    together: its answers in large batches. deployed: those to the first `few` rows at the scenario's batch size.
    by_batch: how the answer to a row depends on the other rows of a request, None where it does not.
    """

    given: Workload
    workload: Workload
    places: dict[str, Array]
    few: dict[str, int]
    large: int
    together: dict[str, Answer]
    deployed: dict[str, Answer]
    by_batch: str | None = None
    skipped: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were asked."""
        return sum(map(len, self.places.values()))


def ask(given: Workload, adopted: Workload, most_s: float) -> Asked:
    """Ask the model of `given` itself, which is left as it was, within about `most_s` seconds.

    Raises InputError, in one line, where it fails, or answers otherwise the second time.
    """
    with undisturbed(given.model):
        try:
            return _Asking(given, adopted, most_s).all()
        except TrimwattError:
            raise
        except Exception as error:  # a user's model may raise anything
            raise InputError(f"the model cannot be asked: {_line(error)}; try its prediction on one row") from error


class _Asking:
    def __init__(self, given: Workload, adopted: Workload, most_s: float) -> None:
        self.given, self.adopted, self.most_s = given, adopted, most_s
        self.model = own.asker(given, adopted)
        self.data = adopted.rows
        self.batch = adopted.scenario.batch_size
        self.places = rows_to_ask(self.data, MOST, adopted.seed)
        row_bytes = _bytes(take(self.data.val.x, slice(0, 1)))
        self.large = int(np.clip(_LARGE_BYTES // max(1, row_bytes), 16, _LARGE))
        self.same = _SAME_IN_HALF if in_half(given.model, given.form) else _SAME
        self.skipped: list[str] = []

    def all(self) -> Asked:
        """Twice, then together, then as deployed."""
        self._twice()
        together = self._together()
        self.few = self._affordable(together)
        deployed = {
            split: self._answers(split, index[: self.few[split]], self.batch) for split, index in self.places.items()
        }
        reason = self._dependence(together, deployed)
        large = min(self.large, max(map(len, self.places.values())))
        return Asked(self.given, self.adopted, self.places, self.few, large, together, deployed, reason, self.skipped)

    def _answers(self, split: str, index: Array, batch: int) -> Answer:
        """The answers in requests of `batch` rows, all of them whole."""
        parts = [self._one(split, index[part]) for part in requests(len(index), batch)]
        return own.joined(parts).take(slice(0, len(index)))

    def _one(self, split: str, index: Array) -> Answer:
        """The answers to one request."""
        stored = take(getattr(self.data, split).x, index)
        theirs = None if self.data.original is None else self.data.original(split, index)
        try:
            answer = self.model(theirs, stored)
        except TrimwattError:
            raise
        except Exception as error:
            place = f"{NAMES[split]} row{'s' if len(index) > 1 else ''} {_numbers(index)}"
            raise InputError(
                f"the model given cannot answer {place} in a request of {len(index)}: {_line(error)}; give rows it "
                "takes, or the --batch-size it is made for"
            ) from error
        if len(answer) != len(index):
            raise InputError(
                f"the model given answers {len(index)} rows with {len(answer)} answers; one per row is needed"
            )
        return answer

    def _twice(self) -> None:
        """Refuse a model whose answers are left to chance, or to what it was asked before."""
        index = self.places["val"][: min(self.large, _PROBE)]
        started = time.monotonic()
        first = self._one("val", index)
        self.row_s = (time.monotonic() - started) / len(index)
        for _ in range(2):
            again = self._one("val", index)
            apart = self._apart(first, again)
            if len(apart):
                where = f"row {index[apart[0]] + 1} of the validation rows"
                raise InputError(
                    f"the model answers the same rows differently when asked again ({where}: "
                    f"{', then '.join(self._said(first, again, int(apart[0])))}; {len(apart)} of {len(index)} rows): "
                    f"{self._chance(index)}"
                )

    def _apart(self, first: Answer, second: Answer) -> Array:
        return differing(first, second, self.same, self.adopted.decide)

    def _chance(self, index: Array) -> str:
        return chance.remedy(self.given, lambda: self._one("val", index), self.same)

    def _together(self) -> dict[str, Answer]:
        """All rows in large batches; odd rows of training that the model cannot answer are left out and named."""
        found = {}
        most = max(_FEWEST, int(0.3 * self.most_s / max(self.row_s, 1e-9)))
        share = min(1.0, most / sum(map(len, self.places.values())))
        for split, index in list(self.places.items()):
            kept = _spread(index, max(min(len(index), _FEWEST), int(share * len(index))))
            try:
                found[split] = self._answers(split, kept, min(self.large, len(kept)))
                self.places[split] = kept
            except InputError as error:
                if split != "train":
                    raise
                self.skipped.append(str(error))
                del self.places[split]
        return found

    def _affordable(self, together: dict[str, Answer]) -> dict[str, int]:
        """How many rows of each split to ask at the deployed batch size."""
        total = sum(map(len, together.values()))
        index = self.places["val"]
        started = time.monotonic()
        some = index[: 2 * self.batch]
        self._answers("val", some, self.batch)
        row_s = (time.monotonic() - started) / len(some)
        share = min(1.0, max(_FEWEST, 0.3 * self.most_s / max(row_s, 1e-9)) / total)
        return {split: max(min(len(i), 16), int(share * len(i))) for split, i in self.places.items()}

    def _dependence(self, together: dict[str, Answer], deployed: dict[str, Answer]) -> str | None:
        """How answers depend on the other rows of a batch; None where they do not."""
        for split, alone in deployed.items():
            index = self.places[split][: len(alone)]
            apart = self._apart(together[split], alone)
            if len(apart):
                return self._told(split, index, together[split], alone, apart, len(alone), f"{self.batch}")
        index = self.places["val"][: self.large]
        mixed = np.random.default_rng(self.adopted.seed).permutation(len(index))
        first, other = together["val"].take(slice(0, len(index))), self._one("val", index[mixed])
        back = other.take(np.argsort(mixed))
        apart = self._apart(first, back)
        if len(apart):
            return self._told("val", index, first, back, apart, len(index), "the same rows in another order")
        return self._single(together) if self.batch > 1 else None

    def _single(self, together: dict[str, Answer]) -> str | None:
        """Rows one by one, where requests hold several; a model that takes no single row is asked as deployed only."""
        index = self.places["val"][:_FEWEST]
        try:
            alone = self._answers("val", index, 1)
        except InputError:
            return None
        apart = self._apart(together["val"], alone)
        return self._told("val", index, together["val"], alone, apart, len(index), "1") if len(apart) else None

    def _told(
        self, split: str, index: Array, together: Answer, alone: Answer, apart: Array, asked: int, batch: str
    ) -> str:
        among = min(self.large, len(self.places[split]))
        said = self._said(together, alone, int(apart[0]))
        what = f"in a request of {batch}" if batch.isdigit() else f"with {batch}"
        return (
            f"the answer to a row depends on the other rows of a request (row {index[apart[0]] + 1} of the "
            f"{NAMES[split]} rows: {said[0]} among {among}, {said[1]} {what}; {len(apart)} of {asked} rows)"
        )

    def _said(self, first: Answer, second: Answer, row: int) -> list[str]:
        """Two answers to a row: the labels where they differ, else the scores that differ most."""
        decide = self.adopted.decide
        if decide is not None and first.codes is not None and second.codes is not None:
            codes = [int(answer.codes[row]) for answer in (first, second) if answer.codes is not None]
            if codes[0] != codes[1]:
                return [repr(decide.classes[code]) for code in codes]
        scores = [np.atleast_1d(a.scores[row]) for a in (first, second) if a.scores is not None]
        place = int(np.abs(scores[0] - scores[1]).argmax()) if len(scores) == 2 else 0
        return [f"{score[place]:.4g}" for score in scores]


def in_half(model: Any, form: str) -> bool:
    """Whether a network computes in half precision, so that the size of a batch changes its answers visibly."""
    if form == "torch":
        kinds = {str(p.dtype) for p in model.parameters() if p.is_floating_point()}
        return bool(kinds & {"torch.float16", "torch.bfloat16"})
    if form != "onnx":
        return False
    from trimwatt.framework.onnx import _edit

    halves = (10, 16)  # FLOAT16 and BFLOAT16 of onnx.TensorProto
    return any(tensor.data_type in halves for tensor in _edit.load(model).graph.initializer)


def _bytes(rows: Rows) -> int:
    columns = rows.values() if isinstance(rows, dict) else [rows]
    return sum(int(column.nbytes) for column in columns)


def _spread(index: Array, most: int) -> Array:
    """At most so many of them, from all over, in order: validation rows come first and odd ones after them."""
    if len(index) <= most:
        return index
    return index[np.unique(np.linspace(0, len(index) - 1, most).astype(np.int64))]


def _numbers(index: Array) -> str:
    told = [str(int(row) + 1) for row in index[:3]]
    return ", ".join(told) + (" ..." if len(index) > 3 else "")


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
