"""A candidate: a recipe and what serves it, with the words it goes by."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimwatt._registry import nearest
from trimwatt.errors import InputError
from trimwatt.recipe import Recipe
from trimwatt.technique import groups, registry, text


@dataclass(frozen=True)
class Candidate:
    """A recipe and the runtime that serves it.

    patience: share of the time left that it may take at least, in (0, 1]. given: the steps that train a model that was
    given untrained, which go without saying. late: to be tried after all that was proposed before.
    """

    recipe: Recipe
    runtime: str = "onnxruntime"
    patience: float = 0.5
    given: Recipe = dataclasses.field(default=(), compare=False)
    late: bool = dataclasses.field(default=False, compare=False)

    @property
    def served(self) -> tuple[Recipe, str]:
        """What makes it the same candidate as another."""
        return self.recipe, self.runtime

    @property
    def name(self) -> str:
        """The line that `--recipe` reads again."""
        own = self.recipe[len(self.given) :] if self.recipe[: len(self.given)] == self.given else self.recipe
        return text.write([step for step in own if not is_plumbing(step)], self.runtime)

    def family(self, baseline: Candidate) -> str:
        """What it is counted under: the techniques applied, or the kind of model, or the runtime alone."""
        compressed = [step.family for step in self.recipe if step.stage == "compress"]
        if compressed:
            return "+".join(dict.fromkeys(compressed))
        if self.recipe == baseline.recipe and self.runtime != baseline.runtime:
            return "runtime"
        models = [step.family for step in self.recipe if step.stage == "model"]
        trained = any(step.name == "finetune" for step in self.recipe)
        return models[-1] if models else ("fine-tuned" if trained else "given")

    def first(self, kind: str) -> Any:
        """Its first step of that name or group, or None."""
        return next((step for step in self.recipe if kind in (step.name, step.group)), None)

    def without(self, *groups: str) -> Recipe:
        """Its recipe without the steps of these groups or names."""
        return tuple(step for step in self.recipe if not {step.group, step.name} & set(groups))

    def only(self, *groups: str) -> Recipe:
        """The steps of these groups or names."""
        return tuple(step for step in self.recipe if {step.group, step.name} & set(groups))

    def swapped(self, old: Any, new: Any) -> Candidate:
        """The same with `new` where `old` stands."""
        return dataclasses.replace(self, recipe=tuple(new if step is old else step for step in self.recipe))


def is_plumbing(step: Any) -> bool:
    """Whether it goes without saying: it turns the model into ONNX, or chooses how answers become labels."""
    return step.stage in ("lower", "decide")


def technique_names() -> tuple[str, ...]:
    """What `--techniques` may name: groups, then techniques."""
    asked = [group for group in groups() if not _goes_without_saying(group)]
    return tuple(dict.fromkeys([*asked, "runtime", *registry()]))


class Allowed:
    """What `--techniques` names: groups and techniques; raises InputError, with the nearest, for what is unknown."""

    def __init__(self, techniques: str = "all") -> None:
        known = technique_names()
        asked = [name.strip() for name in techniques.split(",") if name.strip()]
        for name in asked:
            if name not in known and name != "all":
                raise InputError(f"techniques: {name!r} is no group and no technique; {nearest(name, known)}")
        self._all, self.named = "all" in asked or not asked, frozenset(asked)

    def has(self, group: str) -> bool:
        """Whether a group as a whole may be tried."""
        return self._all or group == "runtime" or group in self.named

    def permits(self, step: Any) -> bool:
        """Whether a step may stand in a candidate."""
        return is_plumbing(step) or self.has(step.group) or step.name in self.named


def _goes_without_saying(group: str) -> bool:
    return all(is_plumbing(kind) for kind in registry().values() if kind.group == group)


def final_form(recipe: Sequence[Any], form: str) -> str:
    """The form of the model after the last step."""
    for step in recipe:
        form = step.gives or form
    return form
