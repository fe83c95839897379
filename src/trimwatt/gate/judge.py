"""Whether a limit holds: broken only where the whole interval lies beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trimwatt import metric as metrics
from trimwatt.compare import quality
from trimwatt.compare.statistics import Interval
from trimwatt.errors import InputError
from trimwatt.gate.config import QualityFloor
from trimwatt.gate.result import Finding, Status, What
from trimwatt.gate.target import Answers


def upper(low: float, high: float, limit: float) -> Status:
    """Of something that may not exceed `limit`: fail where even the lower bound does."""
    return "fail" if low > limit else "pass" if high <= limit else "inconclusive"


def budget(what: What, interval: Interval, limit: float, unit: str, basis: str = "", note: str = "") -> Finding:
    """An amount against its budget."""
    status = upper(interval.low, interval.high, limit)
    return Finding(what, "budget", status, interval.value, interval.low, interval.high, limit, unit, basis, note)


def ratio(
    what: What, against: str, interval: Interval, tolerance: float, basis: str = "", note: str = ""
) -> Finding:  # fmt: skip
    """New over old against 1 + tolerance."""
    limit = 1 + tolerance
    status = upper(interval.low, interval.high, limit)
    return Finding(what, against, status, interval.value, interval.low, interval.high, limit, "ratio", basis, note)


def uncounted(finding: Finding, reasons: Sequence[str]) -> Finding:
    """The same where processes were not counted: an energy that may be higher keeps no limit."""
    if not reasons or finding.what != "energy" or finding.status == "fail":
        return finding
    note = f"not all processes were counted: {'; '.join(reasons)}"
    return replace(finding, status="fail", note="; ".join(filter(None, (finding.note, note))))


def exact_size(bytes_now: int, limit: float) -> Finding:
    """A size against its budget; sizes have no doubt."""
    return Finding("size", "budget", upper(bytes_now, bytes_now, limit), bytes_now, None, None, limit, "B")


def size_ratio(bytes_now: int, bytes_then: int, against: str, tolerance: float) -> Finding | None:
    """New size over old; None where there was none."""
    if bytes_then <= 0:
        return None
    value = bytes_now / bytes_then
    status = upper(value, value, 1 + tolerance)
    return Finding("size", against, status, value, None, None, 1 + tolerance, "ratio")


def least(found: Answers, floor: QualityFloor) -> Finding | None:
    """A quality against its floor: fail where it misses it and no interval leaves that open."""
    if floor.floor is None:
        return None
    sign = 1.0 if _greater(floor) else -1.0
    value, limit = sign * found.value, sign * floor.floor
    ends = [sign * end for end in (found.low, found.high) if end is not None] or [value]
    status: Status = "pass" if value >= limit else "fail" if max(ends) < limit else "inconclusive"
    note = "" if min(ends) >= limit or status != "pass" else "met, not proven: the interval reaches below the floor"
    return Finding(
        "quality", "budget", status, found.value, found.low, found.high, floor.floor, floor.metric, note=note
    )


def drop(now: Answers, then: Answers, floor: QualityFloor, against: str) -> Finding | None:
    """A quality against the other's less `max_drop`; on the same rows by a paired bound, else by the plain values."""
    if floor.max_drop is None:
        return None
    greater = _greater(floor)
    limit = then.value - floor.max_drop if greater else then.value + floor.max_drop
    meets = now.value >= limit if greater else now.value <= limit
    status: Status = "pass" if meets else "fail"
    note = "plain values: no rows to draw from"
    grade = _graded(now, then, floor.max_drop)
    if grade is not None and now.metric is not None:
        limit = now.metric.floor(then.value, floor.max_drop)
        meets = now.metric.meets(now.value, limit)
        status = "fail" if grade.grade == "failed" else "pass" if meets else "inconclusive"
        note = f"{grade.grade.replace('_', ' ')}; these rows resolve {grade.margin:.3g}"
    return Finding("quality", against, status, now.value, now.low, now.high, limit, floor.metric, note=note)


def _graded(now: Answers, then: Answers, max_drop: float) -> quality.FloorGrade | None:
    """The paired bound; None where the two did not answer the same rows."""
    if now.truth is None or then.truth is None or now.prediction is None or then.prediction is None:
        return None
    if now.metric is None or len(now.truth) != len(then.truth) or not bool((now.truth == then.truth).all()):
        return None
    return quality.floor_test(now.metric, now.truth, now.prediction, then.prediction, max_drop=max_drop)


def _greater(floor: QualityFloor) -> bool:
    try:
        return metrics.get(floor.metric).greater_is_better
    except InputError:
        return floor.greater_is_better
