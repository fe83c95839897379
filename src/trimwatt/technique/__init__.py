"""All techniques by name, those of plugins (entry points of group `trimwatt.techniques`) among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from trimwatt._registry import Registry, nearest
from trimwatt.errors import InputError
from trimwatt.technique._base import Technique, applies_to, apply, fault

__all__ = ["REGISTRY", "Technique", "applies_to", "apply", "from_json", "groups", "make", "registry"]

REGISTRY = Registry("technique", __name__, "trimwatt.techniques", Technique, fault)


def registry() -> Mapping[str, type[Technique]]:
    """Techniques by the name they have in recipes."""
    return REGISTRY.known.members


def groups() -> tuple[str, ...]:
    """Every group that a technique is in, in the order of their names."""
    return tuple(sorted({kind.group for kind in registry().values()}))


def make(name: str, **parameters: Any) -> Technique:
    """A technique by its name; raises InputError for a name or a parameter that is unknown, with the nearest known."""
    kind = REGISTRY.get(name)
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := [parameter for parameter in parameters if parameter not in known]:
        raise InputError(f"{name} has no parameter {unknown[0]!r}; {nearest(unknown[0], known)}")
    return kind(**parameters)


def from_json(recipe: Sequence[dict[str, Any]]) -> tuple[Technique, ...]:
    """The steps that `recipe.to_json` wrote; raises InputError for a technique or parameter that is unknown."""
    return tuple(_step(dict(entry)) for entry in recipe)


def _step(entry: dict[str, Any]) -> Technique:
    name = str(entry.pop("technique", None))
    return make(name, **{key: _frozen(value) for key, value in entry.items()})


def _frozen(value: Any) -> Any:
    """Lists as tuples, those inside lists too."""
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
