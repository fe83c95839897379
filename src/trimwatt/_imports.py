"""Optional packages: imported when needed, with the install command when absent."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

from trimwatt.errors import MissingExtra


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    purpose: completes the sentence "<purpose> needs <module>".
    Raises MissingExtra when the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{purpose} needs {module}, which is not installed; run: pip install 'trimwatt[{extra}]'"
        ) from error


def available(module: str) -> bool:
    """Whether `module` can be found, without importing it."""
    return importlib.util.find_spec(module) is not None


def make_callable(package: str, home: str, name: str) -> None:
    """Let the imported `package` be called as the function `name` of module `home`, imported when it is called."""

    class Callable(ModuleType):
        def __call__(self, *args: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(home), name)(*args, **options)

    sys.modules[package].__class__ = Callable
