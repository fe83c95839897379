"""How each form of model is run, sized and adopted."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from trimwatt.errors import InputError
from trimwatt.workload import Array, Rows, Told, Workload

FORMS = ("onnx", "sklearn", "torch")


class Framework(Protocol):
    """What `trimwatt.framework.<form>` offers."""

    def scores(self, workload: Workload, rows: Rows) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,), preprocessing included."""
        ...

    def parameters(self, workload: Workload) -> int | None:
        """How many fitted numbers the model holds, None where that cannot be said."""
        ...

    def macs(self, workload: Workload) -> int | None:
        """Multiply-accumulates for one row, None where that cannot be said."""
        ...

    def adopt(self, workload: Workload, told: Told | None = None) -> Workload:
        """The workload with a model the user gave, checked against the data; raises InputError if it does not fit.

        told: what the user says of its outputs, where rows alone cannot tell.
        """
        ...


def labels(workload: Workload, rows: Rows) -> Array:
    """Labels (n,) as the workload's model decides: by its own predict where it has one, else from its scores."""
    if workload.form == "sklearn":
        from trimwatt.framework import sklearn

        return sklearn.labels(workload, rows)
    scores = get(workload.form).scores(workload, rows)
    return scores if workload.decide is None else workload.decide.labels(scores)


def get(form: str) -> Framework:
    """The framework of models of `form`, imported now; raises InputError for a form there is none for."""
    if form not in FORMS:
        raise InputError(f"no framework runs a model as {form!r}; forms are {', '.join(FORMS)}")
    return cast(Framework, importlib.import_module(f"trimwatt.framework.{form}"))
