"""Imports point down: read from the source, inside functions and by name in strings too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "trimwatt"

BASE = {
    "errors",
    "units",
    "_imports",
    "_lookup",
    "_handoff",
    "_portable",
    "_process",
    "_child",
    "_files",
    "_printable",
    "_reading",
    "_registry",
    "_shape",
    "_signals",
}
# one line is one level; a name may use what stands above it, and its own kind
LEVELS = (
    ("host", {"host"}),
    ("base", BASE),
    ("values", {"energy", "scenario", "recipe", "metric", "picture", "workload", "trial", "parting", "tasks"}),
    ("rows", {"rows"}),
    ("ties", {"independence"}),
    ("parts", {"meter", "carbon", "technique", "framework", "runtime", "store", "input"}),
    ("evidence", {"compare", "profile"}),
    ("study", {"study"}),
    ("gate", {"gate"}),
    ("output", {"report", "integrations"}),
    ("python", {"_api"}),
    ("call", {"_optimize"}),
    ("edge", {"commands", "testing"}),
    ("face", {"__init__", "__main__"}),
)
RANK = {name: rank for rank, (_, names) in enumerate(LEVELS) for name in names}
# the values are one family, and what techniques and runtimes do to a model is their framework's business
FAMILIES = {rank for rank, (level, _) in enumerate(LEVELS) if level in ("base", "values", "face")}
NEIGHBOURS = {("technique", "framework"), ("runtime", "framework")}


def modules(package: Path) -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def unit(module: str) -> str:
    """The file or folder right under the package that a module belongs to."""
    return [*module.split("."), "__init__"][1]


def _for_checking_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if _for_checking_only(child):
            yield from (n for other in child.orelse for n in (other, *_walk(other)))  # type: ignore[attr-defined]
        else:
            yield child
            yield from _walk(child)


def _from(node: ast.ImportFrom, module: str, is_package: bool, known: dict[str, Path]) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        here = module.split(".")
        anchor = here[: len(here) - node.level + is_package]
        base = ".".join([*anchor, *filter(None, [node.module])])
    for alias in node.names:
        deeper = f"{base}.{alias.name}"
        # the package itself is always loaded, so its version may be read anywhere
        if not (base == "trimwatt" and alias.name.startswith("__")):
            yield deeper if deeper in known else base


def imported(path: Path, module: str, known: dict[str, Path]) -> set[tuple[int, str]]:
    """(line, module) of every import of the package's own modules, those named in a string among them."""
    found = set()
    for node in _walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(node.lineno, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.lineno, name) for name in _from(node, module, path.name == "__init__.py", known)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            found |= {(node.lineno, name)} if name in known and "." in name else set()
    return {(line, name) for line, name in found if name.split(".")[0] == "trimwatt"}


def violations(package: Path) -> list[str]:
    """One line for each import that does not point down."""
    known = modules(package)
    wrong = []
    for module, path in sorted(known.items()):
        for line, name in sorted(imported(path, module, known)):
            a, b = unit(module), unit(name)
            family = RANK[a] == RANK[b] and RANK[a] in FAMILIES
            if not (RANK[a] > RANK[b] or a == b or family or (a, b) in NEIGHBOURS):
                wrong.append(f"{path.relative_to(package.parent)}:{line}: {a} may not import {b} ({name})")
    return wrong


def test_every_file_and_folder_has_a_level() -> None:
    assert {unit(module) for module in modules(PACKAGE)} - set(RANK) == set()


def test_imports_point_down() -> None:
    assert "\n".join(violations(PACKAGE)) == ""


def test_no_file_is_long() -> None:
    root = PACKAGE.parents[1]
    folders = (PACKAGE, root / "tests", root / "benchmarks", root / "examples")
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for f in folders for path in f.rglob("*.py")}
    assert {str(path.relative_to(root)): n for path, n in lengths.items() if n > 400} == {}


@pytest.mark.parametrize(
    ("file", "source", "line"),
    [
        ("meter/x.py", "from trimwatt.technique import a", "trimwatt/meter/x.py:1: meter may not import technique"),
        ("meter/x.py", "def f():\n    import trimwatt.study.a", "trimwatt/meter/x.py:2: meter may not import study"),
        ("energy.py", "from trimwatt import store", "trimwatt/energy.py:1: energy may not import store"),
        ("compare/x.py", "from ..study import a", "trimwatt/compare/x.py:1: compare may not import study"),
        ("compare/__init__.py", "from . import x\nfrom .. import study", "__init__.py:2: compare may not import study"),
        ("study/x.py", "import trimwatt", "trimwatt/study/x.py:1: study may not import __init__"),
        ("meter/x.py", "A = 'trimwatt.report.page:make'", "meter/x.py:1: meter may not import report"),
        ("errors.py", "if TYPE_CHECKING:\n    pass\nelse:\n    from trimwatt import energy", "may not import energy"),
    ],
)  # fmt: skip
def test_an_import_that_points_up_is_seen(tmp_path: Path, file: str, source: str, line: str) -> None:
    assert line in "\n".join(violations(_tree(tmp_path, file, source)))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("technique/x.py", "from trimwatt.framework import torch"),
        ("study/x.py", "from trimwatt.compare import x\nfrom . import y\nfrom trimwatt import __version__"),
        ("errors.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from trimwatt.study import x"),
        ("workload.py", "from trimwatt.metric import Metric"),
        ("__init__.py", "def __getattr__(name):\n    from trimwatt.study import x"),
        ("meter/x.py", "'''Prose that names trimwatt.report is no import.'''\nGROUP = 'trimwatt.sensors'"),
    ],
)
def test_an_import_that_points_down_is_let_be(tmp_path: Path, file: str, source: str) -> None:
    assert violations(_tree(tmp_path, file, source)) == []


def _tree(folder: Path, file: str, source: str) -> Path:
    """A package of every level, with one file of the given source."""
    package = folder / "trimwatt"
    for name in RANK:
        path = package / (f"{name}.py" if RANK[name] in FAMILIES else f"{name}/__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in ("compare/x", "study/x", "study/y", "study/a", "technique/a", "report/page"):
        (package / f"{name}.py").touch()
    (package / file).write_text(source, encoding="utf-8")
    return package
