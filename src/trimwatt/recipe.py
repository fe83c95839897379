"""Recipes are data: a tuple of frozen steps that turns to JSON and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from trimwatt.errors import InputError


class Step(Protocol):
    """One step of a recipe: a frozen dataclass that names itself and the forms it works on.

    needs: forms it accepts (empty: any). gives: the form it leaves the model in (None: the one it came in).
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[str]]
    gives: ClassVar[str | None]


Recipe = tuple[Any, ...]


def to_json(recipe: Sequence[Any]) -> list[dict[str, Any]]:
    """`[{"technique": name, parameter: value, ...}, ...]`; tuples become lists."""
    return [{"technique": step.name, **dataclasses.asdict(step)} for step in recipe]


def check(recipe: Sequence[Any], form: str) -> str:
    """The form a model of `form` has after `recipe`; raises InputError at the first step that cannot follow."""
    for step in recipe:
        if step.needs and form not in step.needs:
            wanted = " or ".join(sorted(step.needs))
            raise InputError(f"step {step.name!r} needs a model as {wanted}, got {form!r}; reorder the recipe")
        form = step.gives or form
    return form


def digest(*parts: Any) -> str:
    """A content address: sha256 of the parts' canonical JSON, 16 hex digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prefixes(recipe: Sequence[Any]) -> list[Recipe]:
    """All prefixes of `recipe`, the longest first, the empty one last."""
    return [tuple(recipe[:n]) for n in range(len(recipe), -1, -1)]
