"""Energy of a Keras run: `model.fit(..., callbacks=[EnergyCallback()])`."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from trimwatt._imports import available, require
from trimwatt.errors import InputError
from trimwatt.integrations._callback import Hooks, harmless, joined
from trimwatt.integrations._phases import metrics_or_nan


class _ModelHooks(Hooks):
    """Phases train, epoch, validate and predict of a Keras model, in `callback.energy`.

    The energy of an epoch joins the epoch's logs, so that `History` and loggers after this callback hold it.
    """

    @harmless
    def on_train_begin(self, logs: Any = None) -> None:
        self.begin_run("train")

    @harmless
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self.energy.begin("epoch", epoch)

    @harmless
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        phase = self.end_epoch()
        if logs is not None:
            logs.update(metrics_or_nan(phase))

    @harmless
    def on_test_begin(self, logs: Any = None) -> None:
        self.energy.begin("validate", self._epoch if self.energy.is_open("train") else None)

    @harmless
    def on_test_end(self, logs: Any = None) -> None:
        self.energy.end("validate")

    @harmless
    def on_predict_begin(self, logs: Any = None) -> None:
        self.energy.begin("predict")

    @harmless
    def on_predict_end(self, logs: Any = None) -> None:
        self.energy.end("predict")

    @harmless
    def on_train_end(self, logs: Any = None) -> None:
        self.energy.end("train")


def _keras() -> ModuleType:
    """Keras with its backend; raises MissingExtra without Keras and InputError without the backend it asks for."""
    if available("keras"):
        try:
            return importlib.import_module("keras")
        except ModuleNotFoundError as error:
            raise InputError(
                f"keras is asked to run on {error.name}, which is not installed; install it, or set KERAS_BACKEND=torch"
            ) from error
    return require("keras", "keras", "The callback for Keras")


def __getattr__(name: str) -> Any:
    """`EnergyCallback`, made when first asked for: its base class loads Keras and its backend."""
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return joined(__name__, _ModelHooks, _keras().callbacks.Callback)
