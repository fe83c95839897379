"""Functions inside estimators, written to a file as their names.

`SelectKBest` keeps the function that scored its columns, a target may be transformed by `numpy.log1p`. A file that
names functions could name any, so it holds a `NamedFunction` instead: one of a few names of arithmetic runs when it is
called, any other says that it does not.
"""

from __future__ import annotations

import copy
import functools
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError

# elementwise arithmetic of numpy, and means: they read arrays and return arrays
RUNS = frozenset({
    "absolute", "arcsin", "arcsinh", "arctan", "arctanh", "cbrt", "cos", "cosh", "exp", "exp2", "expm1", "log", "log10",
    "log1p", "log2", "max", "mean", "median", "min", "negative", "positive", "reciprocal", "sign", "sin", "sinh",
    "sqrt", "square", "tan", "tanh",
})  # fmt: skip


@dataclass(frozen=True)
class NamedFunction:
    """What a function was called: "numpy.log1p" runs, as it is in `RUNS`; another raises InputError when called."""

    name: str

    def __call__(self, *given: Any, **options: Any) -> Any:
        """Of one array. Options that could hand it something else, such as where to write to (`out`), are refused."""
        module, _, name = str(self.name).rpartition(".")
        if module != "numpy" or name not in RUNS:
            raise InputError(
                f"the model calls {self.name}, and a file's functions are never run; predict in the program that made "
                "the model, or deploy one of the study's ONNX models"
            )
        if len(given) != 1 or not all(is_option(key, value) for key, value in options.items()):
            raise InputError(
                f"the model calls {self.name} with {len(given)} arrays and {', '.join(options) or 'no options'}; a "
                "file's functions take one array, axis and keepdims; predict in the program that made the model"
            )
        return getattr(np, name)(*given, **options)


def is_option(key: Any, value: Any) -> bool:
    """Whether a function of a file may be called with `key=value`."""
    return (key == "axis" and (value is None or type(value) is int)) or (key == "keepdims" and type(value) is bool)


def detach(value: Any) -> Any:
    """`value` where it holds no function, else a copy with a NamedFunction in the place of each."""
    found = {id(function): NamedFunction(_name(function)) for function in _functions(value)}
    return copy.deepcopy(value, dict(found)) if found else value


def _name(function: Any) -> str:
    name = str(function.__name__)
    own = isinstance(function, np.ufunc) or getattr(np, name, None) is function
    return f"numpy.{name}" if own else f"{getattr(function, '__module__', None) or 'builtins'}.{name}"


def _is_function(value: Any) -> bool:
    kinds = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, np.ufunc, functools.partial)
    # functions of numpy and of compiled modules have classes of their own
    return isinstance(value, kinds) or type(value).__name__ in ("_ArrayFunctionDispatcher", "cython_function_or_method")


def _functions(root: Any) -> Iterator[Callable[..., Any]]:
    """Every function that is reached from `root` through attributes and containers, and has a name."""
    todo, seen = [root], set()
    while todo:
        value = todo.pop()
        if id(value) in seen or isinstance(value, (type, types.ModuleType, str, bytes, int, float)):
            continue
        seen.add(id(value))
        if _is_function(value):
            if hasattr(value, "__name__"):
                yield value
            continue
        todo += _inside(value)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype == object else []
    return list(vars(value).values()) if hasattr(value, "__dict__") else []
