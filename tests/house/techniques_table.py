"""The table of docs/techniques.md, made from the techniques. Run this file to write it anew."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "techniques.md"
START, END = "<!-- table -->", "<!-- end of table -->"
HEAD = "| technique | group | what it does | parameters | works on | leaves | shrinks | source |\n" + "|---" * 8 + "|"


def table() -> str:
    """One row for each technique of this repository, by name."""
    from trimwatt.technique import registry

    ours = {name: kind for name, kind in registry().items() if kind.__module__.startswith("trimwatt.")}
    return "\n".join([HEAD, *(row(kind) for _, kind in sorted(ours.items()))])


def row(kind: Any) -> str:
    """Name, group, first sentence, parameters with their defaults, forms, promises and paper."""
    sentence = " ".join(kind.__doc__.split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    mark = "" if kind.maturity == "stable" else ", experimental"
    cells = (
        f"`{kind.name}`", kind.group + mark, sentence, ", ".join(map(parameter, dataclasses.fields(kind))),
        ", ".join(sorted(kind.needs)) or "any", kind.gives or "as it came", ", ".join(sorted(kind.shrinks)),
        kind.reference,
    )  # fmt: skip
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def parameter(field: dataclasses.Field[Any]) -> str:
    """`name` and its default."""
    if field.default is dataclasses.MISSING:
        return f"`{field.name}`"
    default = "none" if field.default is None else field.default
    return f"`{field.name}` {'-'.join(map(str, default)) or 'none' if isinstance(default, tuple) else default}"


def written(text: str) -> str:
    """The table as it stands between the marks of the page."""
    return text.partition(START)[2].partition(END)[0].strip()


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    head, tail = page.partition(START)[0], page.partition(END)[2]
    PAGE.write_text(f"{head}{START}\n\n{table()}\n\n{END}{tail}", encoding="utf-8")
