"""What the model that the user gave answers by itself: the reference that everything else is held to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework import decision
from trimwatt.workload import Array, Rows, Workload


@dataclass(frozen=True, eq=False)
class Answer:
    """codes (n,): of the model's own labels, None where values are predicted. scores: probabilities (n, k) in the order
    of the classes or values (n,), None where only labels can be compared."""

    codes: Array | None
    scores: Array | None

    def __len__(self) -> int:
        return len(self.scores if self.codes is None else self.codes)  # type: ignore[arg-type]

    def take(self, index: Array | slice) -> Answer:
        """The answers at `index`."""
        return Answer(*(None if part is None else part[index] for part in (self.codes, self.scores)))


# asks with rows in the user's own form, None where there is none, and with the same rows as stored
Ask = Callable[[Any, Rows], Answer]


def joined(answers: Sequence[Answer]) -> Answer:
    """Answers one after the other."""
    codes = [a.codes for a in answers if a.codes is not None]
    scores = [a.scores for a in answers if a.scores is not None]
    return Answer(np.concatenate(codes) if codes else None, np.concatenate(scores) if scores else None)


def asker(given: Workload, adopted: Workload) -> Ask:
    """A function that asks the model of `given`, untouched, and reads its answers as `adopted` understands them."""
    if given.form == "sklearn":
        return lambda own, stored: _estimator(given, adopted, own, stored)
    if given.form == "torch":
        return lambda own, stored: _module(given, adopted, own, stored)
    from trimwatt.framework.onnx.own import Original

    original = Original(given, adopted)
    return lambda own, stored: Answer(*original.ask(own, stored))


def _estimator(given: Workload, adopted: Workload, own: Any, stored: Rows) -> Answer:
    from trimwatt.framework import sklearn

    model, decide = given.model, adopted.decide
    rows = sklearn.given(adopted, stored) if own is None or given.prepare is not None else _as_fitted(model, own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = np.asarray(model.predict(rows))
        if decide is None:
            return Answer(None, predicted.reshape(len(predicted), -1)[:, 0].astype(np.float64))
        scores = adopted.probabilities(sklearn.raw(model, adopted.outputs, rows, decide.classes))
    if decide.threshold is not None and not decide.own:
        return Answer(decide.codes(scores), scores)
    codes = decision.codes_of(predicted, decision.known_classes(model, decide.classes))
    return Answer(codes if adopted.class_columns is None else np.asarray(adopted.class_columns)[codes], scores)


def _as_fitted(model: Any, rows: Any) -> Any:
    """The user's rows as their model takes them: a dict as a DataFrame, of a frame the columns it was fitted on."""
    if isinstance(rows, dict):
        import pandas as pd

        rows = pd.DataFrame(rows)
    names = getattr(model, "feature_names_in_", None)
    if names is None or not hasattr(rows, "columns"):
        return rows
    return rows[list(names)] if set(names) <= set(rows.columns) else rows


def _module(given: Workload, adopted: Workload, own: Any, stored: Rows) -> Answer:
    import torch

    from trimwatt.framework.torch.run import tensor

    plain = own is not None and given.prepare is None and isinstance(own, np.ndarray | torch.Tensor)
    rows = torch.as_tensor(own) if plain else tensor(adopted, stored)
    answer = given.model(rows)
    if not isinstance(answer, torch.Tensor):
        raise InputError(f"the model answers with {type(answer).__name__}; one tensor (n, classes) or (n,) is needed")
    scores = adopted.probabilities(answer.detach().float().numpy())
    return Answer(None if adopted.decide is None else adopted.decide.codes(scores), scores)
