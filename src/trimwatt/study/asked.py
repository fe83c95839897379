"""The user's own model, asked before anything is made of it: does it answer alike twice, alone and among others?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trimwatt.errors import InputError, TrimwattError, first_line
from trimwatt.framework import own
from trimwatt.framework.apart import differing
from trimwatt.framework.own import Answer
from trimwatt.framework.undisturbed import copy_to_ask, undisturbed
from trimwatt.study import chance
from trimwatt.study.odd import FIRST, odd_rows, rows_to_ask
from trimwatt.workload import Array, Rows, Workload, requests, take

NAMES = {"train": "training", "val": "validation", "test": "test"}
# validation rows, and as many with an odd cell
MOST = 2000
_LARGE, _LARGE_BYTES = 512, 64e6
# rows of validation and of each other split that show whether answers depend on the batch, fewer for a model that would
# take more than so many seconds for them
_SHOWN, _SHOWN_IF_SLOW, _SLOW_S = (256, 64), (FIRST, 16), 30.0
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
    took: seconds that asking in large batches and as deployed took. reduced: where time allowed fewer rows than chosen.
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
    took: dict[str, float] = field(default_factory=dict)
    reduced: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows were asked."""
        return sum(map(len, self.places.values()))


def ask(given: Workload, adopted: Workload, most_s: float) -> Asked:
    """Ask the model of `given` itself, or an exact copy so that it stays as it was, within about `most_s` seconds.

    Raises InputError, in one line, where it fails, or answers otherwise the second time.
    """
    copied = replace(given, model=copy_to_ask(given.model))
    # a copy may still reach into the original, by a function that holds it
    with undisturbed(given.model), undisturbed(copied.model):
        try:
            return replace(_Asking(copied, adopted, most_s).all(), given=given)
        except TrimwattError:
            raise
        except Exception as error:  # a user's model may raise anything
            raise InputError(
                f"the model cannot be asked: {first_line(error, 200, named=True)}; try its prediction on one row"
            ) from error


class _Asking:
    def __init__(self, given: Workload, adopted: Workload, most_s: float) -> None:
        self.given, self.adopted, self.most_s = given, adopted, most_s
        self.model = own.asker(given, adopted)
        self.data = adopted.rows
        self.batch = adopted.scenario.batch_size
        odd = odd_rows(self.data, MOST)
        self.places = rows_to_ask(self.data, MOST, adopted.seed, odd)
        self.first = FIRST + len(odd.get("val", ()))
        row_bytes = _bytes(take(self.data.val.x, slice(0, 1)))
        self.large = int(np.clip(_LARGE_BYTES // max(1, row_bytes), 16, _LARGE))
        self.same = _SAME_IN_HALF if in_half(given.model, given.form) else _SAME
        self.skipped: list[str] = []
        self.reduced: list[str] = []

    def all(self) -> Asked:
        """Twice, then together, then as deployed."""
        self._twice()
        started = time.monotonic()
        together = self._together()
        between = time.monotonic()
        self.few = self._affordable()
        deployed = {
            split: self._answers(split, index[: self.few[split]], self.batch) for split, index in self.places.items()
        }
        took = {"large": between - started, "deployed": time.monotonic() - between}
        reason = self._dependence(together, deployed)
        large = min(self.large, max(map(len, self.places.values())))
        return Asked(
            self.given, self.adopted, self.places, self.few, large, together, deployed, reason, self.skipped, took,
            self.reduced,
        )  # fmt: skip

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
            why = first_line(error, 200, named=True)
            raise InputError(
                f"the model given cannot answer {place} in a request of {len(index)}: {why}; give rows it takes, or "
                "the --batch-size it is made for"
            ) from error
        if len(answer) != len(index):
            raise InputError(
                f"the model given answers {len(index)} rows with {len(answer)} answers; one per row is needed"
            )
        return answer

    def _twice(self) -> None:
        """Refuse a model whose answers are left to chance, or to what it was asked before."""
        index = self.places["val"][: min(self.large, _PROBE)]
        first, self.row_s = self._one("val", index), float("inf")
        for _ in range(2):
            # a first call may load and compile, so that only a later one tells what a row takes
            started = time.monotonic()
            again = self._one("val", index)
            self.row_s = min(self.row_s, (time.monotonic() - started) / len(index))
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
        counts = self._within(self.row_s, f"together, {self.large} at a time")
        for split, index in list(self.places.items()):
            kept = index[: counts[split]]
            try:
                found[split] = self._answers(split, kept, min(self.large, len(kept)))
                self.places[split] = kept
            except InputError as error:
                if split != "train":
                    raise
                self.skipped.append(str(error))
                del self.places[split]
        return found

    def _affordable(self) -> dict[str, int]:
        """How many rows of each split to ask at the deployed batch size; those that show dependence always."""
        some = self.places["val"][: 2 * self.batch]
        self._answers("val", some, self.batch)
        started = time.monotonic()
        self._answers("val", some, self.batch)
        row_s = (time.monotonic() - started) / len(some)
        self.shown = self._first(_SHOWN)
        if row_s * sum(self.shown.values()) > _SLOW_S:
            self.shown = self._first(_SHOWN_IF_SLOW)
        return self._within(row_s, f"in requests of {self.batch}", self.shown)

    def _first(self, rows: tuple[int, int]) -> dict[str, int]:
        """So many rows of validation and of each other split, or all there are."""
        return {split: min(len(index), rows[split != "val"]) for split, index in self.places.items()}

    def _within(self, row_s: float, how: str, least: dict[str, int] | None = None) -> dict[str, int]:
        """How many rows of each split keep to the time, by `row_s` seconds each; where that is fewer, it is noted.

        Validation rows without an odd cell go first, odd rows only where they alone would take longer.
        """
        every = {split: len(index) for split, index in self.places.items()}
        most = 0.3 * self.most_s / max(row_s, 1e-9)
        if sum(every.values()) <= most:
            return every
        others = sum(every.values()) - every["val"]
        counts = {**every, "val": min(every["val"], max(self.first, int(most) - others))}
        share = min(1.0, most / sum(counts.values()))
        least = least or self._first(_SHOWN_IF_SLOW)
        counts = {split: min(every[split], max(least[split], int(share * n))) for split, n in counts.items()}
        asked, chosen = sum(counts.values()), sum(every.values())
        if asked < chosen:
            self.reduced.append(
                f"the model given takes {1000 * row_s:.3g} ms per row {how}: {asked:,} of the {chosen:,} chosen rows "
                "were asked so, and the baseline is held to these; a longer --budget asks more"
            )
        return counts

    def _dependence(self, together: dict[str, Answer], deployed: dict[str, Answer]) -> str | None:
        """How answers depend on the other rows of a batch; None where they do not."""
        for split, answer in deployed.items():
            alone = answer.take(slice(0, self.shown[split]))
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
        index = self.places["val"][:FIRST]
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


def _numbers(index: Array) -> str:
    told = [str(int(row) + 1) for row in index[:3]]
    return ", ".join(told) + (" ..." if len(index) > 3 else "")
