"""Whether an export answers as its source does: converters are silently wrong at times."""

from __future__ import annotations

import numpy as np

from trimwatt import framework
from trimwatt.framework.rows import as_request
from trimwatt.runtime._base import Session, disagreement
from trimwatt.workload import Array, Rows, Workload

_SAME = 0.999
_BOUND = 1e-3
# of a runtime in fewer bits: the quality floor judges what the rest of its rows cost
_WITHIN = 0.9


def verify(workload: Workload, session: Session, rows: Rows, error_bound: float | None = None) -> str | None:
    """Why the opened export is not its workload, or None where it is.

    rows: as stored, real ones, some hundreds. error_bound: absolute for probabilities, relative to the spread of
    values; None asks the session, which knows in how many bits it computes, and is 0.001 where it does not say. A
    larger one need hold for 90 % of the rows only: what is left costs quality, which the floor judges. Also refused:
    labels that do not follow from the export's own probabilities.
    """
    expected = framework.get(workload.form).scores(workload, rows)
    request = as_request(rows, workload.scenario.request)
    got = session.scores(request)
    classify = workload.decide is not None
    error_bound = getattr(session, "error_bound", _BOUND) if error_bound is None else error_bound
    share = 1.0 if error_bound <= _BOUND else _WITHIN
    reason = disagreement(expected, got, classify, error_bound, share)
    return reason or _decision(workload, got, session.predict(request))


def _decision(workload: Workload, scores: Array, predicted: Array) -> str | None:
    if predicted.shape != (len(scores),):
        return f"the export predicts with shape {predicted.shape}, wanted ({len(scores)},)"
    if workload.decide is None:
        return (
            None
            if np.allclose(predicted, scores, rtol=1e-5, atol=1e-8)
            else "the export's predictions are not its values"
        )
    labels = workload.decide.labels(scores)
    same = float(np.mean(labels == predicted))
    return None if same >= _SAME else f"the export's labels do not follow from its probabilities: equal {same:.2%}"
