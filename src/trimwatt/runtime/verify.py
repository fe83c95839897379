"""Whether an export answers as its source does: converters are silently wrong at times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trimwatt import framework
from trimwatt.framework.decision import is_vector_machine
from trimwatt.framework.rows import as_request
from trimwatt.runtime._base import Session
from trimwatt.workload import Array, Decide, Rows, Workload, count

_SAME = 0.999
_BOUND = 1e-3
# of a runtime in fewer bits: the quality floor judges what the rest of its rows cost
_WITHIN = 0.9


def verify(workload: Workload, session: Session, rows: Rows, error_bound: float | None = None) -> str | None:
    """Why the opened export is not its workload, or None where it is.

    rows: as stored, real ones, some hundreds. error_bound: absolute for probabilities, relative to the spread of
    values; None asks the session, which knows in how many bits it computes, and is 0.001 where it does not say. A
    larger one need hold for 90 % of the rows only: what is left costs quality, which the floor judges. Also refused:
    labels other than the model's own predict gives where its scores are further apart than the bound, and labels that
    do not follow from the export's own probabilities.
    """
    expected = framework.get(workload.form).scores(workload, rows)
    got = _answers(session.scores, workload, rows)
    error_bound = getattr(session, "error_bound", _BOUND) if error_bound is None else error_bound
    share = 1.0 if error_bound <= _BOUND else _WITHIN
    reason = workload.task.disagreement(expected, got, error_bound, share)
    if reason is not None:
        return reason
    predicted = _answers(session.predict, workload, rows)
    wanted = got.shape if workload.decide is None else workload.decide.labels(expected).shape
    if predicted.shape != wanted:
        return f"the export predicts with shape {predicted.shape}, wanted {wanted}"
    if workload.decide is None:
        same = np.allclose(predicted, got, rtol=1e-5, atol=1e-8)
        return None if same else "the export's predictions are not its values"
    own = _Own(framework.labels(workload, rows), expected, _remedy(workload))
    return _decision(workload.decide, own, got, predicted, error_bound, share)


def _answers(ask: Callable[[Rows], Array], workload: Workload, rows: Rows) -> Array:
    """What a session answers, a request at a time where the rest of a request counts."""
    request = workload.scenario.request
    return np.concatenate([np.asarray(ask(as_request(part, request))) for part in workload.in_batches(rows)])[
        : count(rows)
    ]


def _remedy(workload: Workload) -> str:
    votes = workload.form == "sklearn" and is_vector_machine(workload.model)
    return "; its labels are votes of pairs, fitted with break_ties=True its decision values decide" if votes else ""


@dataclass(frozen=True, eq=False)
class _Own:
    """Labels (n,) by the model's own rule, and the scores (n, k) beside them. remedy: what makes the latter decide."""

    labels: Array
    scores: Array
    remedy: str


def _decision(decide: Decide, own: _Own, got: Array, predicted: Array, error_bound: float, share: float) -> str | None:
    """Why labels are not those of the source, where its scores tell them apart, or do not follow from the scores."""
    # where its scores do not tell the model's labels, those of an export need not follow from them either
    if np.array_equal(decide.labels(own.scores), own.labels):
        same = float(np.mean(decide.labels(got) == predicted))
        if same < _SAME:
            return f"the export's labels do not follow from its probabilities: equal {same:.2%}"
    clear = decide.margin(own.scores) > 2 * error_bound
    wrong = np.flatnonzero((own.labels != predicted).reshape(len(predicted), -1).any(axis=1) & clear)
    if share < 1.0 or not len(wrong):
        return None
    first = wrong[0]
    return (
        f"the export's labels are not the model's own in {len(wrong)} of {len(predicted)} rows "
        f"({own.labels[first]!r} by the model's predict, {predicted[first]!r} by the export{own.remedy})"
    )
