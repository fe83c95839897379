"""What may stand where in the objects of a `model.skops`: types that are harmless one by one are not so in every place.

scikit-learn calls methods by names that it keeps (`stack_method_`), functions that it was given, and the parts that it
was made of. A list of types alone would let a file put an array in the place of an estimator and name `tofile` as the
method. So everything that was built is looked at, before anything of it is called:

- names of methods are those that answer;
- estimators stand where estimators are called;
- types are given for a dtype, and functions are a `NamedFunction`;
- no state hides what its class defines, or offers numpy a memory of its own (`__array_interface__`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.runtime._functions import RUNS, NamedFunction, is_option

_ANSWERS = frozenset({"predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "auto"})
_CALLED_BY_NAME = re.compile(r"_?(stack|chain|response|predict|prediction)_methods?_?")
_SLOT = re.compile(
    r"(?!n_|max_|min_)(.*_)?(estimators?|regressors?|classifiers?|transformers?|imputer|calibrators?|encoder|binarizer|"
    r"scaler|centerer|pca)_?|steps|transformer_list|_?remainder|indicator_|init_|nbrs_|le_|_tfidf|named_.*|"
    r"_name_to_fitted_passthrough"
)
_NO_ESTIMATOR = frozenset({"passthrough", "drop", "deprecated", "zero", "warn"})
_FUNCTION = re.compile(r"(.*_)?func_?")
# objects that can be called, by the start of their module
_CALLED = {
    "sklearn.gaussian_process.kernels": re.compile(r"(.*_)?(kernels?_?|k1|k2)"),
    "sklearn.metrics._scorer": re.compile(r"(.*_)?(scorers?_?|scoring|owner)"),
    "sklearn._loss.": re.compile(r"(.*_)?loss(_function)?_?"),
}
_GETTER = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
_PLAIN = (str, int, float, bool, bytes, type(None))
_PREPARES = frozenset({"ArrayPrepare", "ColumnPrepare", "StackPrepare", "PixelScale"})


class _Misplaced(Exception):
    """What stands in the wrong place, and what belongs there."""

    def __init__(self, owner: Any, place: str, value: Any, belongs: str) -> None:
        at = f"{place[:60]!r} of {type(owner).__name__}"
        super().__init__(f"has {_short(value)} as {at}, where {belongs} belongs")


def check(root: Any, name: str) -> None:
    """Raise InputError for an object of `root`, read from file `name`, in a place where it could run code.

    Caches that would only be filled by fitting again are taken out (`memory`).
    """
    try:
        for owner, place, value in _all(root):
            if place == "memory" and value is not None and _is_object(owner) and not isinstance(owner, dict):
                owner.memory = None
            _check(owner, place, value)
    except _Misplaced as error:
        raise InputError(
            f"{name} {error}, so it was not used; predict in the program that made the model, or deploy one of the "
            "study's ONNX models"
        ) from None


def _all(root: Any) -> Iterator[tuple[Any, str, Any]]:
    """(what holds it, name of its place, value) of all that is reached; items of lists stand where their list does.

    A value is met once in each kind of place, whatever else holds it.
    """
    todo: list[tuple[Any, str, Any]] = [(None, "", root)]
    seen: set[tuple[int, str, type]] = set()
    while todo:
        owner, place, value = todo.pop()
        if (id(value), place, type(owner)) in seen:
            continue
        seen.add((id(value), place, type(owner)))
        yield owner, place, value
        todo += _inside(owner, place, value)


def _inside(owner: Any, place: str, value: Any) -> Iterator[tuple[Any, str, Any]]:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        yield from ((value, field, part) for field, part in zip(value._fields, value, strict=True))
    elif isinstance(value, dict):
        yield from ((value, str(key), part) for key, part in value.items() if type(part) not in _PLAIN)
        yield from ((value, place, key) for key in value if type(key) not in _PLAIN)
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((value, place, part) for part in value if type(part) not in _PLAIN)
    elif isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            yield from ((value, place, part) for part in np.asarray(value).ravel().tolist() if type(part) not in _PLAIN)
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        yield from ((value, str(key), part) for key, part in vars(value).items())


def _check(owner: Any, place: str, value: Any) -> None:
    if isinstance(value, type):
        if not place.endswith("dtype") or not (issubclass(value, np.generic) or value in (bool, int, float, str)):
            raise _Misplaced(owner, place, value, "no type")
        return
    if _is_object(value):
        _check_state(value)
    # in a dict, a Bunch too, names are the user's own
    if hasattr(owner, "_fields") or (_is_object(owner) and not isinstance(owner, dict)):
        for rule in _RULES:
            rule(owner, place, value)


def _check_state(value: Any) -> None:
    """No key hides what the class defines, and none is special to Python or numpy."""
    for key in dict.keys(value) if isinstance(value, dict) else vars(value):
        if not isinstance(key, str):
            continue
        if key.startswith("__") or _is_its_own(inspect.getattr_static(type(value), key, None), value):
            raise _Misplaced(value, key, "set by the file", "what its class defines")


def _is_its_own(defined: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return False  # a Bunch finds its own methods before its keys
    if isinstance(defined, (property, cached_property)):
        return False
    # tables of a class hold what is called by name
    return callable(defined) or hasattr(defined, "__get__") or isinstance(defined, (dict, list, set))


def _check_method(owner: Any, place: str, value: Any) -> None:
    if _CALLED_BY_NAME.fullmatch(place):
        for name in value if isinstance(value, (list, tuple)) else [value]:
            if name is not None and not (type(name) is str and name in _ANSWERS):
                raise _Misplaced(owner, place, name, "one of predict, predict_proba, decision_function, transform")
    elif "method" in place and type(owner).__name__ != "MethodMetadataRequest":
        # options of scikit-learn, such as "sigmoid"
        for name in _strings(value):
            if "fit" in name or (hasattr(np.ndarray, name) and name not in RUNS):
                raise _Misplaced(owner, place, name, "an option of scikit-learn")


def _check_slot(owner: Any, place: str, value: Any) -> None:
    if not _SLOT.fullmatch(place) or type(owner).__name__ in ("MetadataRequest", "MetadataRouter"):
        return
    named = isinstance(value, dict) and (place.startswith("named_") or place == "_name_to_fitted_passthrough")
    many = isinstance(value, np.ndarray) and value.dtype == object and value.ndim > 0
    inside = list(value.values()) if named else np.asarray(value).ravel().tolist() if many else value
    for part in _parts(
        [inside] if place == "_remainder" else inside, 3 if "transformers" in place or place == "_remainder" else 2
    ):
        if not _is_estimator(part):
            raise _Misplaced(owner, place, part, "an estimator")


def _parts(value: Any, most: int) -> Iterator[Any]:
    """The estimators of nested lists; of (name, estimator), or up to `most` items, the second."""
    todo = list(value) if isinstance(value, (list, tuple)) else [value]
    while todo:
        part = todo.pop()
        if not isinstance(part, (list, tuple)):
            yield part
        elif 2 <= len(part) <= most and isinstance(part[0], str):
            yield part[1]
        else:
            todo += part


def _is_estimator(value: Any) -> bool:
    from sklearn.base import BaseEstimator
    from sklearn.calibration import _CalibratedClassifier, _SigmoidCalibration

    from trimwatt.framework.each import Each
    from trimwatt.framework.logged import LogTarget

    if value is None or (type(value) is str and value in _NO_ESTIMATOR):
        return True
    return isinstance(value, (BaseEstimator, _CalibratedClassifier, _SigmoidCalibration, Each, LogTarget))


def _check_function(owner: Any, place: str, value: Any) -> None:
    if _FUNCTION.fullmatch(place) and not (value is None or type(value) in (str, NamedFunction)):
        raise _Misplaced(owner, place, value, "the name of a function")
    if isinstance(owner, NamedFunction) and type(value) is not str:
        raise _Misplaced(owner, place, value, "text")
    if place == "importance_getter" and isinstance(value, str) and not _GETTER.fullmatch(value):
        raise _Misplaced(owner, place, value, "the name of an attribute")


def _check_called(owner: Any, place: str, value: Any) -> None:
    """Kernels, scorers and losses can be called; they stand where they are."""
    # what is of neither was not read: scikit-learn makes it of the state (`IsotonicRegression.f_`)
    if not callable(value) or not _is_object(value) or isinstance(value, NamedFunction):
        return
    module = type(value).__module__
    if not any(module.startswith(start) and places.fullmatch(place) for start, places in _CALLED.items()):
        raise _Misplaced(owner, place, value, "nothing that can be called")


def _check_options(owner: Any, place: str, value: Any) -> None:
    if place not in ("kw_args", "inv_kw_args") or value is None:
        return
    if type(value) is not dict or not all(is_option(key, given) for key, given in value.items()):
        raise _Misplaced(owner, place, value, "axis and keepdims only, as a file's functions take no more")


def _check_reading(owner: Any, place: str, value: Any) -> None:
    from sklearn.feature_extraction import text

    if place == "input" and isinstance(owner, (text.CountVectorizer, text.HashingVectorizer)) and value != "content":
        raise _Misplaced(owner, place, value, "'content', as any other opens the files its rows name")


def _check_own(owner: Any, place: str, value: Any) -> None:
    """What stands around the estimator is ours."""
    if type(owner).__name__ != "Predictor" or place not in ("prepare", "decide") or value is None:
        return
    kinds = _PREPARES if place == "prepare" else frozenset({"Decide", "DecideEach"})
    if type(value).__name__ not in kinds:
        raise _Misplaced(owner, place, value, "one of trimwatt's own")


def _is_object(value: Any) -> bool:
    """Has attributes that the file set."""
    return type(value).__module__.partition(".")[0] in ("sklearn", "trimwatt") and hasattr(value, "__dict__")


def _strings(value: Any) -> Iterator[str]:
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            yield str(part)
        elif isinstance(part, (list, tuple, set, dict)):
            todo += part
        elif isinstance(part, np.ndarray) and part.dtype.kind in "UO":
            todo += part.ravel().tolist()


def _short(value: Any) -> str:
    return f"{value!r:.60}" if type(value) in (str, int, float, bool) else f"an object of {type(value).__name__}"


_RULES = (
    _check_method, _check_slot, _check_function, _check_called, _check_options, _check_reading, _check_own,
)  # fmt: skip
