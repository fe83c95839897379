"""trimwatt compare --from-csv: runs recorded elsewhere, looked at again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimwatt.commands import _output
from trimwatt.errors import Inconclusive, InputError


@dataclass(frozen=True)
class Asked:
    """What is compared in a log: `a` over `b` of the column `arm`, by the column `value`."""

    arm: str | None
    a: str | None
    b: str | None
    value: str | None
    group: str | None
    where: list[str]
    quality: list[str]
    claim: float | None


def run(path: Path, asked: Asked, strict: bool, as_json: bool) -> None:
    """Print the comparison of two arms of a log; raises Inconclusive under `strict` where nothing can be claimed."""
    for name in ("arm", "a", "b", "value"):
        if getattr(asked, name) is None:
            raise InputError(f"--from-csv needs --{name} too: --arm COLUMN --a VALUE --b VALUE --value COLUMN")
    from trimwatt.compare import recorded

    found = recorded.analyse(
        path, arm=str(asked.arm), a=asked.a, b=asked.b, value=str(asked.value), group=asked.group,
        quality=asked.quality, where=dict(_pair(text) for text in asked.where), claim=asked.claim,
    )  # fmt: skip
    _output.print_json(found.to_dict()) if as_json else _print(found)
    if strict and found.verdict == "inconclusive":
        raise Inconclusive(f"the log does not settle it{': ' + found.reason if found.reason else ''}")


def _pair(text: str) -> tuple[str, str]:
    name, equal, value = text.partition("=")
    if not equal or not name:
        raise InputError(f"--where is COLUMN=VALUE, got {text!r}")
    return name, value


def _print(found: Any) -> None:
    from rich.console import Console

    from trimwatt.report import comparison

    Console(highlight=False).print(comparison.recorded(str(found), found.to_dict()))
