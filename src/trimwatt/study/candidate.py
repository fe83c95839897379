"""A candidate: a recipe and what serves it, with the words it goes by."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimwatt.errors import InputError
from trimwatt.recipe import Recipe
from trimwatt.technique import Technique, registry

PLUMBING = ("lower", "threshold")
_GROUPS = (
    "runtime", "inputs", "prune", "quantize", "oneshot", "factorize", "distill", "sparse", "precision", "classical",
    "train", "architecture",
)  # fmt: skip
_RUNTIMES = {"sklearn": "scikit-learn", "torch": "PyTorch", "openvino": "OpenVINO", "openvino-bf16": "OpenVINO, bf16"}
_LEVERS = (
    "feature selection", "resolution", "pruning", "quantization", "low rank", "distillation", "sparse training",
)  # fmt: skip


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
        own = self.recipe[len(self.given) :] if self.recipe[: len(self.given)] == self.given else self.recipe
        labels = [label(step) for step in own if step.name not in PLUMBING]
        served = f" in {_RUNTIMES.get(self.runtime, self.runtime)}" if self.runtime != "onnxruntime" else ""
        return (" + ".join(labels) or "model as given") + served

    def family(self, baseline: Candidate) -> str:
        """What it is counted under: the levers pulled, or the kind of model, or the runtime alone."""
        levers = [step.family for step in self.recipe if step.family in _LEVERS]
        if levers:
            return "+".join(dict.fromkeys(levers))
        if self.recipe == baseline.recipe and self.runtime != baseline.runtime:
            return "runtime"
        models = [step.family for step in self.recipe if group(step) in ("classical", "architecture")]
        trained = any(step.name == "finetune" for step in self.recipe)
        return models[-1] if models else ("fine-tuned" if trained else "given")

    def first(self, kind: str) -> Any:
        """Its first step of that name or group, or None."""
        return next((step for step in self.recipe if kind in (step.name, group(step))), None)

    def without(self, *groups: str) -> Recipe:
        """Its recipe without the steps of these groups or names."""
        return tuple(step for step in self.recipe if not {group(step), step.name} & set(groups))

    def only(self, *groups: str) -> Recipe:
        """The steps of these groups or names."""
        return tuple(step for step in self.recipe if {group(step), step.name} & set(groups))

    def swapped(self, old: Any, new: Any) -> Candidate:
        """The same with `new` where `old` stands."""
        return dataclasses.replace(self, recipe=tuple(new if step is old else step for step in self.recipe))


def group(step: Any) -> str:
    """The folder a technique stands in: inputs, prune, quantize, classical, ...; "plugin" for a stranger's."""
    parts = type(step).__module__.split(".")
    return parts[2] if parts[:2] == ["trimwatt", "technique"] else "plugin"


def label(step: Any) -> str:
    """Its name with the parameters that are not at their defaults: "forest(trees=30)"."""
    changed = [
        f"{f.name}={_short(getattr(step, f.name))}"
        for f in dataclasses.fields(step)
        if getattr(step, f.name) != f.default and not _is_table(getattr(step, f.name))
    ]
    return str(step.name) + (f"({', '.join(changed)})" if changed else "")


def _is_table(value: Any) -> bool:
    """Whether a parameter is measured figures rather than a choice."""
    return isinstance(value, (tuple, list)) and len(value) > 8


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, (tuple, list)) else f"{value}"


def allowed(techniques: str) -> frozenset[str]:
    """The groups that `--techniques` names; raises InputError for one that is unknown."""
    if techniques == "all":
        return frozenset((*_GROUPS, *PLUMBING, "plugin"))
    asked = [name.strip() for name in techniques.split(",") if name.strip()]
    for name in asked:
        if name not in _GROUPS:
            raise InputError(f"techniques are {', '.join(_GROUPS)} or all, got {name!r}; separate several by commas")
    return frozenset((*asked, "runtime", *PLUMBING))


def make(name: str, **parameters: Any) -> Technique:
    """A technique by its name."""
    return registry()[name](**parameters)


def final_form(recipe: Sequence[Any], form: str) -> str:
    """The form of the model after the last step."""
    for step in recipe:
        form = step.gives or form
    return form
