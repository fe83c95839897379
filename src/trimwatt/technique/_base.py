"""The contract of a technique: a frozen dataclass, and one function for each form of model it works on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args

from trimwatt.errors import TrialFailed
from trimwatt.workload import Workload

Stage = Literal["model", "train", "compress", "lower", "decide"]
Maturity = Literal["stable", "experimental"]
Function = Callable[[Any, Workload], Workload]
_FUNCTIONS: dict[tuple[type, str], Function] = {}
F = TypeVar("F", bound=Callable[..., Workload])


@dataclass(frozen=True)
class Technique:
    """A step that turns a workload into another. It neither times nor judges.

    name: as in recipes and on the command line. family: what it is counted under. group: what `--techniques` calls
    those like it. shrinks: what it promises to make smaller, of "parameters", "macs", "bytes". reference: paper or
    source. needs: forms it accepts (empty: any). gives: form it leaves (None: as it came). stage: where in a recipe it
    may stand: a "model" begins one, "train" fits what came before, "compress" changes a model, "lower" turns it into
    ONNX, "decide" chooses how answers become labels. untrained: whether the model that it makes has to be trained by
    the next step. maturity: a study tries an "experimental" one where it is named, or after all that is "stable".
    books: the stage of the ledger that its energy is booked under.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    group: ClassVar[str] = "plugin"
    shrinks: ClassVar[frozenset[str]] = frozenset()
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    gives: ClassVar[str | None] = None
    stage: ClassVar[Stage] = "compress"
    maturity: ClassVar[Maturity] = "stable"
    untrained: ClassVar[bool] = False
    books: ClassVar[str] = "compress"

    def suits(self, workload: Workload) -> str:
        """Why this technique, as it is, makes no sense for these rows or this model; "" where it may.

        Asked before any energy is spent, so it looks at kinds and shapes, and runs nothing.
        """
        return ""

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """What the study should try besides this one; the study, not the technique, measures and judges them."""
        return ()


def fault(kind: type[Technique]) -> str:
    """What of the contract a class breaks, in a few words; "" for nothing."""
    if not (dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        return "a technique is a frozen dataclass"
    for attribute in ("family", "reference"):
        if not isinstance(getattr(kind, attribute, None), str):
            return f"it does not say its {attribute}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", kind.name):
        return f"a name is of lower-case letters, digits, dots and hyphens, got {kind.name!r}"
    for attribute, known in (("stage", get_args(Stage)), ("maturity", get_args(Maturity))):
        if getattr(kind, attribute) not in known:
            return f"{attribute} is one of {', '.join(known)}, got {getattr(kind, attribute)!r}"
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            return f"its parameter {field.name!r} has no default"
    if not any(applied is kind for applied, _ in _FUNCTIONS):
        return "no function applies it to a form of model (`applies_to`)"
    return ""


def applies_to(kind: type[Technique], *forms: str) -> Callable[[F], F]:
    """Register the decorated function as how `kind` is applied to a model of each of `forms`."""

    def register(function: F) -> F:
        for form in forms:
            _FUNCTIONS[kind, form] = function
        return function

    return register


def apply(technique: Technique, workload: Workload) -> Workload:
    """A new workload with `technique` applied; the one given is left as it was.

    Raises TrialFailed, naming the forms known, where the technique does not work on this form of model.
    """
    function = _FUNCTIONS.get((type(technique), workload.form))
    if function is None:
        known = sorted(form for kind, form in _FUNCTIONS if kind is type(technique))
        raise TrialFailed(f"{technique.name} does not work on a {workload.form} model; it works on {', '.join(known)}")
    return function(technique, workload)
