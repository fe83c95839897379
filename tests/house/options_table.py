"""The tables of a study's options in docs/cli.md and docs/python.md, made from their class. Run this file to write them
anew."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
START, END = "<!-- options -->", "<!-- end of options -->"


def command_line() -> str:
    """One row for each option of `trimwatt optimize`, in the order of its help."""
    from trimwatt.commands._fields import spell_name
    from trimwatt.study.option import describe
    from trimwatt.study.options import Options
    from trimwatt.study.signature import tell

    def spelled(name: str) -> str:
        shown = spell_name(name)
        return _code(shown) if shown.startswith("-") else shown

    rows = [
        (_shown(field.flag, field.default, field.option.value or "|".join(field.allowed), field.option.letter),
         tell(field, spelled, "`", _short(field.names())))
        for field in describe(Options) if field.option.panel
    ]  # fmt: skip
    rows.insert(0, ("`--data DATA`", "The rows for a MODEL."))
    rows.append(("`--json`", "Print study.json, and only that."))
    return _table("option", rows)


def python() -> str:
    """One row for each parameter of `tw.optimize`: its name, type, default and meaning."""
    from trimwatt._optimize import optimize
    from trimwatt.errors import spell
    from trimwatt.study.option import describe
    from trimwatt.study.options import Options

    shown = inspect.signature(optimize).parameters
    rows = [(_code(str(shown[each.name])), spell(each.option.help, _code, "`")) for each in describe(Options)]
    return _table("parameter", rows)


def _short(names: Sequence[str]) -> Sequence[str]:
    """Names that a cell has room for; longer lists have a page of their own."""
    return names if len(names) <= 20 else ()


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _shown(flag: str, default: object, value: str, letter: str) -> str:
    """An option with its default, or with what stands for its value."""
    said = value if default in (None, ()) else "" if default is False else str(default)
    return _code(" ".join(filter(None, (flag, said)))) + (f", `{letter}`" if letter else "")


def _table(head: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {name} | {_cell(text)} |" for name, text in rows]
    return "\n".join([f"| {head} | meaning |", "|---|---|", *lines])


def _cell(text: str) -> str:
    """A sentence as the cells of these pages are: without a capital or a final period."""
    return (text[0].lower() + text[1:]).removesuffix(".").replace("|", "\\|")


PAGES = {DOCS / "cli.md": command_line, DOCS / "python.md": python}


def written(text: str) -> str:
    """The table as it stands between the marks of a page."""
    return text.partition(START)[2].partition(END)[0].strip()


if __name__ == "__main__":
    for page, table in PAGES.items():
        text = page.read_text(encoding="utf-8")
        head, tail = text.partition(START)[0], text.partition(END)[2]
        page.write_text(f"{head}{START}\n\n{table()}\n\n{END}{tail}", encoding="utf-8")
