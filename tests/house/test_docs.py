"""What the pages say is so: commands, techniques, links, and nothing of the machine they were written on."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)|<img[^>]*\ssrc=\"([^\"]+)\"")
LISTED = ("git", "ls-files", "-z")
MACHINE = re.compile(r"(?<![\w.~-])/(?:root|home|work|Users)/|[A-Z]:\\Users\\")


def text_files() -> list[Path]:
    """Files under version control that hold text."""
    try:
        listed = subprocess.run(LISTED, cwd=ROOT, capture_output=True, check=True, timeout=300)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:4096]]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = []
    for path in text_files():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if path != Path(__file__) and MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []


@pytest.mark.parametrize("text", ["/root/x", "in /home/me/x", "file:///home/me", "'/Users/me/'", "C:\\Users\\me"])
def test_a_machine_path_is_seen(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["a/home/b", "./work/x", "https://a.org/home/x", "~/work/"])
def test_an_ordinary_path_is_let_be(text: str) -> None:
    assert not MACHINE.search(text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    targets = [a or b for a, b in LINK.findall(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_readme_names_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert "make demo" in lines
    assert "make test" in lines


def test_every_page_of_the_docs_can_be_reached_from_their_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if page.name not in index] == ["index.md"]


def test_the_table_of_techniques_is_that_of_the_code() -> None:
    import techniques_table

    kept = techniques_table.written(techniques_table.PAGE.read_text(encoding="utf-8"))
    assert kept == techniques_table.table(), "run: python tests/house/techniques_table.py"


def test_the_tables_of_options_are_those_of_their_class() -> None:
    import options_table

    for page, table in options_table.PAGES.items():
        kept = options_table.written(page.read_text(encoding="utf-8"))
        assert kept == table(), f"{page.name}: run python tests/house/options_table.py"


def _commands() -> dict[str, set[str]]:
    """The long options of every command."""
    import typer.main

    from trimwatt.commands import app

    group = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


def test_every_command_and_option_is_in_the_docs() -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    by_name = {section.split()[0].strip("`"): section for section in sections if section.strip()}
    for name, options in _commands().items():
        assert name in by_name, f"docs/cli.md has no section '## {name}'"
        missing = sorted(option for option in options - {"--help"} if not re.search(rf"{option}\b", by_name[name]))
        assert missing == [], f"docs/cli.md does not tell of these options of {name}"


def test_every_option_in_the_docs_exists() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    known = set().union(*_commands().values()) | {"--help", "--debug", "--version"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - known == set()


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_on_a_page_is_python_and_uses_names_that_exist(page: Path) -> None:
    import trimwatt as tw

    for block in _blocks(page):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tw":
                assert hasattr(tw, node.attr), f"{page.name} uses tw.{node.attr}"
            if isinstance(node, ast.ImportFrom) and node.module:
                home = importlib.import_module(node.module)
                assert [alias.name for alias in node.names if not hasattr(home, alias.name)] == []


def test_the_technique_of_the_docs_works(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from trimwatt.technique import apply
    from trimwatt.workload import Workload

    # a dataclass looks its module up by name
    module = types.ModuleType("technique_of_the_docs")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(_blocks(ROOT / "docs" / "extending.md")[0], vars(module))  # noqa: S102 - the page of this repository
    torch.manual_seed(0)
    before = Workload(model=torch.nn.Linear(7, 5), form="torch")
    weight = before.model.weight
    assert torch.equal(apply(module.RoundWeights(bits=23), before).model.weight, weight)
    rounded = apply(module.RoundWeights(bits=3), before).model.weight
    assert torch.allclose(rounded, weight, rtol=2**-4, atol=0)
    assert not torch.equal(rounded, weight)
