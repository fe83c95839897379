"""`package.module:callable`, with the current folder importable while it is resolved and called."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from collections.abc import Callable
from typing import Any

from trimwatt import _lookup
from trimwatt.errors import InputError
from trimwatt.input.checks import near, shown

_SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


def is_spec(source: str) -> bool:
    """Whether `source` is written as package.module:callable."""
    return _SPEC.fullmatch(source) is not None


def resolve(spec: str) -> Callable[..., Any]:
    """The callable that `spec` (package.module:callable) names; raises InputError where it is not there or is none."""
    if not is_spec(spec):
        raise InputError(
            f"{shown(spec)!r} is not written as package.module:callable, such as mymodels:make; write it so"
        )
    module_name, _, path = spec.partition(":")
    value = _module(module_name, spec)
    for attribute in path.split("."):
        if not hasattr(value, attribute):
            public = [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []
            raise InputError(f"{spec}: {module_name} has no {attribute!r}{near(attribute, public)}")
        value = getattr(value, attribute)
    if not callable(value):
        raise InputError(f"{spec} is {type(value).__name__}; a callable without arguments is allowed; wrap it in one")
    return value  # type: ignore[no-any-return]


def _module(name: str, spec: str) -> Any:
    importlib.invalidate_caches()
    try:
        with contextlib.redirect_stdout(sys.stderr), _lookup.current_folder():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise InputError(
                f"{spec}: no module {error.name!r} in the current folder or installed; run from the folder it lies in"
            ) from error
        raise InputError(f"{spec}: {name} needs {error.name}, which is not installed; install it") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec}: importing {name} raised {_told(error)}; mend the module") from error


def call(function: Callable[[], Any], spec: str, wanted: str) -> Any:
    """What `function` returns; what it prints goes to stderr. `wanted`: what it should return, for the message."""
    try:
        with contextlib.redirect_stdout(sys.stderr), _lookup.current_folder():
            return function()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{spec}() raised {_told(error)}; it is called without arguments and returns {wanted}"
        ) from error


def _told(error: BaseException) -> str:
    message = shown(str(error), 160)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
