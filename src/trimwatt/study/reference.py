"""The given model is the reference: what is served must answer as it does, label by label and value by value."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from trimwatt.compare.arms import SessionArm
from trimwatt.errors import InputError, TrialFailed
from trimwatt.framework.apart import differing, distances, other_labels, other_scores
from trimwatt.framework.own import Answer
from trimwatt.study.asked import NAMES, Asked, in_half
from trimwatt.study.causes import changed_column
from trimwatt.workload import Array, Rows, Workload, take

# how far scores may be apart: scikit-learn itself in double precision, networks in single, in half; an export
_EXACT, _SINGLE, _HALF, EXPORT = 1e-8, 1e-5, 1e-2, 1e-3
# scores of classes are compared as single precision holds them
_ROUNDED = 1e-6
_CELLS, _CELL = 8, 24
# times as long as asking the model given took, and seconds beside
_LONGER, _AT_LEAST_S = 4.0, 5.0


class Reference:
    """The user's own answers, and whether what is opened gives them."""

    def __init__(self, asked: Asked) -> None:
        self.asked, self.workload = asked, asked.workload
        self.bound = _bound(self.workload)
        self.record: dict[str, Any] | None = None
        self.held: dict[str, int] = {}
        self.reduced = list(asked.reduced)

    def check_baseline(self, arm: SessionArm) -> None:
        """Hold the opened baseline to the user's own answers, in large batches and as deployed.

        Raises InputError that shows the first row that differs and the likely cause.
        """
        asked, batch = self.asked, self.workload.scenario.batch_size
        ways = [("large", asked.large, asked.together), ("deployed", batch, asked.deployed)]
        largest, self.reduced = 0.0, list(asked.reduced)
        for way, size, theirs in ways:
            rows = self._affordable(arm, size, theirs, asked.took.get(way, 0.0))
            self.held[str(size)] = sum(rows.values())
            for split, known in theirs.items():
                answer = known.take(slice(0, rows[split]))
                index = asked.places[split][: len(answer)]
                ours = self._asked(arm, split, index, size if way == "deployed" else min(size, len(index)))
                apart = differing(answer, ours, self.bound, self.workload.decide)
                if len(apart):
                    raise InputError(self._difference(split, index, answer, ours, apart, way))
                largest = max(largest, _largest(answer, ours))
        self.record = self._recorded(largest)

    def _affordable(self, arm: SessionArm, size: int, theirs: dict[str, Answer], took_s: float) -> dict[str, int]:
        """How many rows of each split the baseline can answer in a few times as long as the model given took.

        Fewer than all are whole requests, so that each row stands beside the same rows.
        """
        every = {split: len(answer) for split, answer in theirs.items()}
        size = min(size, every["val"])
        some = take(self.workload.rows.val.x, self.asked.places["val"][:size])
        arm.predict(some, size)
        started = time.monotonic()
        arm.predict(some, size)
        # labels and scores are asked one after the other
        row_s = 2 * (time.monotonic() - started) / size
        share = (_LONGER * took_s + _AT_LEAST_S) / max(row_s * sum(every.values()), 1e-9)
        if share >= 1:
            return every
        rows = {split: min(n, max(1, int(share * n) // size) * size) for split, n in every.items()}
        self.reduced.append(
            f"the baseline takes {500 * row_s:.3g} ms per row in requests of {size}: it was held to the model given on "
            f"{sum(rows.values()):,} of {sum(every.values()):,} rows so"
        )
        return rows

    def check_export(self, arm: SessionArm, bound: float) -> None:
        """Hold the labels of the model as given in another runtime to the user's own; raises TrialFailed."""
        for split, answer in self.asked.together.items():
            index = self.asked.places[split]
            size = self.workload.scenario.batch_size if self.workload.by_batch else self.asked.large
            answer = self.asked.deployed[split] if self.workload.by_batch else answer
            size = size if self.workload.by_batch else min(size, len(answer))
            ours = self._asked(arm, split, index[: len(answer)], size, labels_only=True)
            apart = np.flatnonzero(other_labels(answer, ours, bound, self.workload.decide))
            if len(apart):
                row = int(apart[0])
                raise TrialFailed(
                    f"the export's labels are not the given model's own in {len(apart)} of {len(answer)} rows, the "
                    f"first in row {index[row] + 1} of the {NAMES[split]} rows: {self._label(answer, row)} by the "
                    f"model's own rule, {self._label(ours, row)} by the export"
                )

    def warnings(self) -> list[str]:
        """What a reader must know of how the given model answers."""
        notes = [*self.asked.skipped, *self.reduced]
        if self.asked.by_batch is not None:
            size = self.workload.scenario.batch_size
            notes.append(
                f"{self.asked.by_batch}: quality is that of requests of {size}, as deployed; another --batch-size has "
                "another quality"
            )
        return notes

    def _asked(self, arm: SessionArm, split: str, index: Array, batch: int, labels_only: bool = False) -> Answer:
        rows = take(getattr(self.workload.rows, split).x, index)
        decide = self.workload.decide
        if decide is None:
            return Answer(None, arm.predict(rows, batch))
        place = {label: code for code, label in enumerate(decide.classes)}
        codes = np.array([place.get(label, -1) for label in arm.predict(rows, batch).tolist()], dtype=np.int64)
        return Answer(codes, None if labels_only else arm.scores(rows, batch))

    def _label(self, answer: Answer, row: int) -> str:
        if answer.codes is None or self.workload.decide is None:
            return f"{np.ravel(answer.scores[row])[0]:.7g}" if answer.scores is not None else "nothing"
        return repr(self.workload.decide.classes[answer.codes[row]])

    def _difference(self, split: str, index: Array, theirs: Answer, ours: Answer, apart: Array, way: str) -> str:
        row = int(apart[0])
        said = [self._label(theirs, row), self._label(ours, row)]
        if said[0] == said[1]:
            said = [_numbers(answer.scores[row]) for answer in (theirs, ours) if answer.scores is not None]
        size = self.asked.large if way == "large" else self.workload.scenario.batch_size
        cells = self._cells(split, int(index[row]))
        return (
            f"the baseline does not answer as the model given does: row {index[row] + 1} of the {NAMES[split]} rows "
            f"({cells}) gives {said[0]} by the model itself and {said[1]} by the baseline, in requests of {size}; "
            f"{len(apart)} of {len(index)} rows differ; {self._cause(split, index, theirs, ours, apart)}"
        )

    def _cells(self, split: str, row: int) -> str:
        """The cells of a row, the user's own where they are at hand."""
        data = self.workload.rows
        theirs: Any = None if data.original is None else data.original(split, np.array([row]))
        if hasattr(theirs, "columns") and hasattr(theirs, "to_dict"):
            return shorten({str(name): column for name, column in theirs.to_dict("list").items()}, 0)
        return shorten(getattr(data, split).x, row)

    def _cause(self, split: str, index: Array, theirs: Answer, ours: Answer, apart: Array) -> str:
        if not other_scores(theirs, ours, self.bound)[apart].any() and theirs.codes is not None:
            return (
                "likely its labels follow another rule than its scores (a threshold, an own predict); "
                "give a model whose scores decide, or wrap the rule into its scores"
            )
        if self.asked.by_batch:
            return f"likely because {self.asked.by_batch}; judge it with --batch-size as it will be asked"
        asked = self.asked
        column = changed_column(asked.given, self.workload, split, index[apart], theirs.take(apart), self.bound)
        if column:
            return f"likely because a column reaches the baseline changed: {column}"
        return (
            "likely because its rows reach it changed, or it keeps something between calls; ask it for that row alone"
        )

    def _recorded(self, largest: float) -> dict[str, Any]:
        asked, decide = self.asked, self.workload.decide
        return {
            "rows": asked.rows, "splits": {split: len(index) for split, index in asked.places.items()},
            "batch_sizes": self.held,
            "labels_differ": 0 if decide is not None else None, "largest_difference": largest, "allowed": self.bound,
            "own_rows": self.workload.rows.original is not None, "by_batch": asked.by_batch, "skipped": asked.skipped,
            "reduced": self.reduced,
        }  # fmt: skip


def _bound(workload: Workload) -> float:
    if workload.form == "sklearn":
        return _EXACT if workload.decide is None else _ROUNDED
    return _HALF if in_half(workload.model, workload.form) else _SINGLE


def _largest(theirs: Answer, ours: Answer) -> float:
    if theirs.scores is None or ours.scores is None or not len(ours):
        return 0.0
    return float(distances(theirs.scores[: len(ours)], ours.scores, theirs.codes is not None).max())


def _numbers(scores: Any) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in np.ravel(scores)[:5]) + ")"


def shorten(rows: Rows, row: int) -> str:
    """The cells of a row, as many as fit into a message."""
    if isinstance(rows, dict):
        names = list(rows)[:_CELLS]
        cells = [f"{name}={_cell(rows[name][row])}" for name in names]
        return ", ".join(cells) + (", ..." if len(rows) > _CELLS else "")
    flat = np.ravel(rows[row])
    return ", ".join(_cell(value) for value in flat[:_CELLS]) + (", ..." if len(flat) > _CELLS else "")


def _cell(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else f"{value:.9g}" if isinstance(value, np.floating) else str(value)
    return text if len(text) <= _CELL else text[: _CELL - 3] + "..."
