"""Recipes that the user wrote, made whole: what goes without saying is put in, what does not fit is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from trimwatt import runtime as runtimes
from trimwatt.errors import InputError
from trimwatt.recipe import Recipe
from trimwatt.study.candidate import Candidate
from trimwatt.technique import make, registry, text
from trimwatt.workload import Workload

_PATIENCE = 0.5


def candidate(written: str, workload: Workload, tail: Recipe, given: Recipe = ()) -> Candidate:
    """The candidate that a line of text names; raises InputError, which says which step does not fit and what does.

    tail: what chooses the threshold. given: what trains a model that came untrained, which goes without saying.
    """
    asked = text.read(written)
    begins = bool(asked.steps) and asked.steps[0].stage == "model"
    steps = asked.steps if begins else (*given, *asked.steps)
    runtime = asked.runtime or text.USUAL_RUNTIME
    try:
        whole, form = _whole(steps, "none" if begins else workload.form)
        _check_served(runtime, form, whole)
    except InputError as error:
        raise InputError(f"recipe {written!r}: {error}") from None
    own = () if any(step.stage == "decide" for step in whole) else tail
    return Candidate((*whole, *own), runtime, _PATIENCE, given)


def alone(step: Any, host: Recipe, form: str) -> Recipe:
    """A technique by itself on what `host` makes, trained where it comes untrained; () where it does not fit there."""
    begins = step.stage == "model" or (bool(host) and host[0].stage == "model")
    steps = (step, make("train")) if step.untrained else (*host, step)
    try:
        whole, _ = _whole(steps, "none" if begins else form)
    except InputError:
        return ()
    return tuple(whole)


def _whole(steps: Sequence[Any], form: str) -> tuple[list[Any], str]:
    """The steps with lowering where one needs ONNX, and the form that they leave; raises InputError for what is out of
    place."""
    whole: list[Any] = []
    lower = make("lower")
    for place, step in enumerate(steps):
        if step.stage == "model" and place:
            raise InputError(f"{step.name} makes a model of its own, so it comes first")
        if step.needs and form not in step.needs:
            if form not in lower.needs or "onnx" not in step.needs:
                raise InputError(_misplaced(step, form))
            whole.append(lower)
            form = "onnx"
        whole.append(step)
        form = step.gives or form
        if step.untrained and not any(later.stage == "train" for later in steps[place + 1 : place + 2]):
            raise InputError(f"{step.name} comes untrained; put train after it")
    if form == "none":
        raise InputError(f"no step makes a model; begin with {_examples('none')}")
    return whole, form


def _misplaced(step: Any, form: str) -> str:
    if form == "none":
        return f"{step.name} needs a model before it; begin with {_examples('none')}"
    wanted = " or ".join(sorted(step.needs))
    return f"{step.name} works on a model as {wanted}, and here it is {form}; what fits is {_examples(form)}"


def _examples(form: str, most: int = 5) -> str:
    """A few stable techniques that work there."""
    return ", ".join([name for name, kind in sorted(registry().items()) if _fits(kind, form)][:most])


def _fits(kind: Any, form: str) -> bool:
    if kind.maturity != "stable" or kind.stage in ("lower", "decide"):
        return False
    return kind.stage == "model" if form == "none" else form in kind.needs


def _check_served(runtime: str, form: str, steps: Sequence[Any]) -> None:
    """Whether a runtime takes a model in this form, itself or turned into ONNX."""
    forms = runtimes.get(runtime).forms
    if form not in forms and "onnx" not in forms:
        raise InputError(f"{runtime} serves models as {' or '.join(sorted(forms))}, and {steps[-1].name} leaves {form}")


def candidates(written: Sequence[str], *about: Any, **more: Any) -> Iterator[Candidate]:
    """Each recipe in the order given, those written twice once."""
    seen = set()
    for line in written:
        found = candidate(line, *about, **more)
        if found.served not in seen:
            seen.add(found.served)
            yield found
