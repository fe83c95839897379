"""Whether arms give the same results: what does less work takes less, and that is no finding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trimwatt._process import loads
from trimwatt.compare.arms import CallableArm, FunctionArm
from trimwatt.compare.command import CommandArm
from trimwatt.compare.handed import packed
from trimwatt.compare.statistics import Array
from trimwatt.errors import InputError

Found = dict[str, Any]

_HOW = "compare without parity (parity=False, --no-parity) if that is meant"
# as an export may differ from its source
_LEAST_EQUAL = 0.999
_ERROR = 1e-3


def of_commands(arms: Sequence[CommandArm]) -> Found:
    """The same bytes on stdout; raises InputError where they differ."""
    digests = [arm.digest() for arm in arms]
    for arm, digest in zip(arms[1:], digests[1:], strict=True):
        if digest != digests[0]:
            # one that varies from run to run says so itself
            for one in (arms[0], arm):
                one.run(1)
            raise InputError(f"{arms[0].name} and {arm.name} print different results; {_HOW}")
    return {"checked": True, "what": "what the commands print", "equal": 1.0}


def of_values(arms: Sequence[FunctionArm | CallableArm]) -> Found:
    """The same return values, of two calls each and between arms; raises InputError where they differ."""
    values = [(_value(arm), _value(arm)) for arm in arms]
    what = "what the callables return"
    for arm, (first, again) in zip(arms, values, strict=True):
        if first is not None and again is not None and same(*_loaded(first, again)) is False:
            raise InputError(f"{arm.name} returns something else from call to call, so its work may vary; {_HOW}")
    told = [same(*_loaded(values[0][0], other)) if values[0][0] and other else None for other, _ in values[1:]]
    for arm, verdict in zip(arms[1:], told, strict=True):
        if verdict is False:
            raise InputError(f"{arms[0].name} and {arm.name} return different results; {_HOW}")
    if None in told:
        return {"checked": False, "what": what, "why": "the values cannot be compared"}
    if _loaded(values[0][0])[0] is None:
        return {"checked": False, "what": what, "why": "they return nothing"}
    return {"checked": True, "what": what, "equal": 1.0}


def _value(arm: FunctionArm | CallableArm) -> bytes | None:
    if isinstance(arm, FunctionArm):
        return arm.value()
    try:
        return packed(arm.call())
    except InputError as error:
        raise InputError(f"{arm.name}: {error}") from error


def _loaded(*given: bytes | None) -> list[Any]:
    return [loads(data) if data is not None else None for data in given]


def of_predictions(names: Sequence[str], predictions: Sequence[Array]) -> Found:
    """Equal labels in 99.9 % of rows, or values within a thousandth of their spread; raises InputError otherwise."""
    first, shares = predictions[0], []
    for name, other in zip(names[1:], predictions[1:], strict=True):
        if first.shape != other.shape:
            raise InputError(f"{names[0]} answers with shape {first.shape}, {name} with {other.shape}; {_HOW}")
        share = _equal_share(first, other)
        if share < _LEAST_EQUAL:
            raise InputError(
                f"{names[0]} and {name} answer {len(first)} rows differently: {share:.1%} equal, "
                f"{_LEAST_EQUAL:.1%} is needed; {_HOW}"
            )
        shares.append(share)
    return {"checked": True, "what": f"predictions on {len(first)} rows", "equal": min(shares)}


def agreement(predictions: Sequence[Array]) -> Found:
    """The same figures without a refusal, where different answers are meant."""
    first = predictions[0]
    shares = [_equal_share(first, other) if first.shape == other.shape else 0.0 for other in predictions[1:]]
    return {"checked": False, "what": f"predictions on {len(first)} rows", "equal": min(shares), "why": "not asked"}


def _equal_share(a: Array, b: Array) -> float:
    if a.dtype.kind == "f" and b.dtype.kind == "f":
        spread = float(np.ptp(a[np.isfinite(a)])) if np.isfinite(a).any() else 0.0
        return float(np.mean(np.isclose(a, b, rtol=0, atol=max(_ERROR * spread, 1e-12), equal_nan=True)))
    return float(np.mean([x == y for x, y in zip(a.tolist(), b.tolist(), strict=True)]))


def same(x: Any, y: Any) -> bool | None:
    """Whether two results are equal, floats up to a millionth; None where that cannot be told."""
    if x is None or y is None:
        return x is y
    if isinstance(x, float | np.floating) and isinstance(y, float | np.floating):
        return math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-12) or (math.isnan(x) and math.isnan(y))
    if hasattr(x, "__array__") and hasattr(y, "__array__"):
        return _same_arrays(_array(x), _array(y))
    if hasattr(x, "toarray") and hasattr(y, "toarray"):
        return _same_sparse(x, y)
    if isinstance(x, Mapping) and isinstance(y, Mapping):
        return _every([same(x[k], y[k]) for k in x]) if x.keys() == y.keys() else False
    if isinstance(x, list | tuple) and isinstance(y, list | tuple):
        return _every([same(a, b) for a, b in zip(x, y, strict=True)]) if len(x) == len(y) else False
    if type(x).__eq__ is object.__eq__:  # type: ignore[comparison-overlap]
        return None if type(x) is type(y) else False
    equal = x == y
    return bool(equal) if isinstance(equal, bool | np.bool_) else None


def _array(x: Any) -> Array:
    """Also of a tensor that could be trained on."""
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def _same_sparse(x: Any, y: Any) -> bool:
    """Sparse matrices by what they hold, never spread out: a small one may stand for more than memory holds."""
    if x.shape != y.shape:
        return False
    sides = [abs(x).sum(), abs(y).sum()]
    return math.isclose(float(abs(x - y).sum()), 0.0, abs_tol=1e-6 * float(max(sides)) + 1e-12)


def _every(verdicts: Sequence[bool | None]) -> bool | None:
    return False if False in verdicts else None if None in verdicts else True


def _same_arrays(x: Array, y: Array) -> bool | None:
    if x.shape != y.shape:
        return False
    if x.dtype.kind in "fc" or y.dtype.kind in "fc":
        return bool(
            np.allclose(x, y, rtol=1e-6, atol=1e-9 * max(1.0, float(np.nanmax(np.abs(x), initial=0.0))), equal_nan=True)
        )
    if "O" in (x.dtype.kind, y.dtype.kind):
        # a missing value is not equal to itself
        return _every([same(a, b) for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)])
    return bool(np.array_equal(x, y))
