"""What every technique must do. Inherit `TechniqueContract`, give `technique` and `workload`; pytest runs it all."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from trimwatt import framework, recipe, runtime
from trimwatt import technique as techniques
from trimwatt.errors import InputError, TrialFailed
from trimwatt.technique._base import Technique, apply
from trimwatt.workload import Array, Decide, Workload, count, take

_SHRINKS = {"parameters", "macs", "bytes"}


def _scores(workload: Workload, rows: int = 64) -> Array:
    x = take(workload.rows.val.x, slice(0, rows))
    return framework.get(workload.form).scores(workload, x)


def fingerprint(workload: Workload) -> str:
    """A digest of all that a technique or runtime is given."""
    state = getattr(workload.model, "state_dict", None)
    model: Any = {k: v.numpy().tobytes() for k, v in state().items()} if state else workload.model
    parts = (model, getattr(workload.model, "training", None), workload.prepare, workload.decide, workload.data)
    return hashlib.sha256(cloudpickle.dumps(parts)).hexdigest()


def _size(workload: Workload, what: str) -> float | None:
    if what == "bytes":
        with tempfile.TemporaryDirectory() as folder:
            return runtime.get("onnxruntime").export(workload, Path(folder)).size_bytes
    number = getattr(framework.get(workload.form), what)(workload)
    return None if number is None else float(number)


class TechniqueContract:
    """The checks that every technique passes.

    Give two fixtures: `technique`, an instance; `workload`, small and real, in a form that the technique takes.
    """

    def test_is_frozen_data(self, technique: Technique) -> None:
        assert dataclasses.is_dataclass(technique)
        assert hash(technique) == hash(replace(technique))
        with pytest.raises((FrozenInstanceError, AttributeError)):
            technique.anything = 1  # type: ignore[attr-defined]

    def test_turns_to_json_and_back(self, technique: Technique) -> None:
        (written,) = recipe.to_json((technique,))
        assert written["technique"] == technique.name
        assert techniques.from_json([written]) == (technique,)

    def test_says_what_it_is_and_where_it_comes_from(self, technique: Technique) -> None:
        assert technique.name and technique.family and technique.group and technique.books
        assert len(technique.reference) > 10
        assert technique.shrinks <= _SHRINKS
        assert technique.gives is None or technique.gives in framework.FORMS

    def test_leaves_what_it_was_given_alone(self, technique: Technique, workload: Workload) -> None:
        before = fingerprint(workload)
        apply(technique, workload)
        assert fingerprint(workload) == before

    def test_gives_the_form_it_promises(self, technique: Technique, workload: Workload) -> None:
        assert apply(technique, workload).form == recipe.check((technique,), workload.form)

    def test_shrinks_what_it_promises(self, technique: Technique, workload: Workload) -> None:
        if not technique.shrinks:
            pytest.skip("it promises to shrink nothing")
        after = apply(technique, workload)
        for what in sorted(technique.shrinks):
            was, is_now = _size(workload, what), _size(after, what)
            assert was is None or is_now is None or is_now < was, f"{what}: {was} before, {is_now} after"

    def test_repeats_under_the_seed(self, technique: Technique, workload: Workload) -> None:
        one, two = (_scores(apply(technique, workload)) for _ in range(2))
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)

    def test_still_answers(self, technique: Technique, workload: Workload) -> None:
        after = apply(technique, workload)
        got = _scores(after)
        rows = min(64, count(workload.rows.val.x))
        classes = workload.rows.classes or ()
        target = workload.task.target
        assert got.shape == ((rows,) if target == "value" else (rows, len(classes)))
        assert np.isfinite(got).all()
        if target == "class":
            np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-3)
            decide = after.decide or Decide(classes)
            assert set(decide.labels(got).tolist()) <= set(classes)

    def test_refuses_a_form_it_does_not_know(self, technique: Technique, workload: Workload) -> None:
        with pytest.raises(TrialFailed, match=f"{technique.name} does not work on a clay model; it works on .+"):
            apply(technique, replace(workload, form="clay"))  # type: ignore[arg-type]
        if technique.needs:
            with pytest.raises(InputError, match=technique.name):
                recipe.check((technique,), "clay")

    def test_offers_variants_that_are_techniques(self, technique: Technique, workload: Workload) -> None:
        for variant in technique.variants(workload):
            assert variant != technique
            assert techniques.from_json(recipe.to_json((variant,))) == (variant,)
