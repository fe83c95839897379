"""What a package exports is what it says: sorted, importable, documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import trimwatt

DOCS = Path(__file__).parents[2] / "docs"


def _all_modules() -> list[str]:
    found = pkgutil.walk_packages(trimwatt.__path__, "trimwatt.")
    return ["trimwatt", *(module.name for module in found if not module.name.endswith("__main__"))]


@pytest.mark.parametrize("name", _all_modules())
def test_a_list_of_exports_is_sorted_importable_and_documented(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("trimwatt"):
            raise
        pytest.skip(f"{name} needs {error.name}, which is not installed here")
    exported = list(getattr(module, "__all__", ()))
    assert exported == sorted(set(exported))
    missing = [export for export in exported if not hasattr(module, export)]
    assert missing == []
    values = {export: getattr(module, export) for export in exported}
    silent = [
        export for export, value in values.items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and not (value.__doc__ or "").strip()
    ]  # fmt: skip
    assert silent == []


def test_every_module_says_what_it_is() -> None:
    for name in _all_modules():
        path = Path(str(importlib.util.find_spec(name).origin))  # type: ignore[union-attr]
        source = path.read_text(encoding="utf-8").strip()
        assert not source or source.startswith('"""'), f"{path.name} of {name} has no docstring"


def test_the_public_face_is_in_the_docs() -> None:
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    assert trimwatt.__all__
    assert [name for name in trimwatt.__all__ if f"tw.{name}" not in text and name != "__version__"] == []


def test_the_public_face_hides_nothing_else() -> None:
    public = {name for name in dir(trimwatt) if not name.startswith("_")}
    submodules = {module.name for module in pkgutil.iter_modules(trimwatt.__path__)}
    assert public - submodules - {"annotations"} <= set(trimwatt.__all__)
