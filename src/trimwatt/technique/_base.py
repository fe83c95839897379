"""The contract of a technique: a frozen dataclass, and one function for each form of model it works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from trimwatt.errors import TrialFailed
from trimwatt.workload import Workload

Function = Callable[[Any, Workload], Workload]
_FUNCTIONS: dict[tuple[type, str], Function] = {}
F = TypeVar("F", bound=Callable[..., Workload])


@dataclass(frozen=True)
class Technique:
    """A step that turns a workload into another. It neither times nor judges.

    name: as in recipes and on the command line. family: what it is counted under. shrinks: what it promises to make
    smaller, of "parameters", "macs", "bytes". reference: paper or source. needs: forms it accepts (empty: any).
    gives: form it leaves (None: as it came). stage: where the ledger books it.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    shrinks: ClassVar[frozenset[str]] = frozenset()
    reference: ClassVar[str]
    needs: ClassVar[frozenset[str]] = frozenset()
    gives: ClassVar[str | None] = None
    stage: ClassVar[str] = "compress"

    def variants(self, workload: Workload) -> Sequence[Technique]:
        """What the study should try besides this one; the study, not the technique, measures and judges them."""
        return ()


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
