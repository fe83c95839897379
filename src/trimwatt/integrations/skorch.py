"""Energy of a skorch run: `NeuralNetClassifier(..., callbacks=[EnergyCallback()])`."""

from __future__ import annotations

from typing import Any

from trimwatt._imports import require
from trimwatt.integrations._callback import Hooks, harmless, joined
from trimwatt.integrations._phases import metrics_or_nan


class _NetHooks(Hooks):
    """Phases train, epoch and validate of a skorch net, in `callback.energy`.

    The energy of an epoch joins `net.history`, and with it the printed table.
    """

    @harmless
    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.begin_run("train")

    @harmless
    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self._epoch = len(net.history) - 1
        self.energy.begin("epoch", self._epoch)

    @harmless
    def on_batch_begin(self, net: Any, batch: Any = None, training: bool | None = None, **kwargs: Any) -> None:
        # validation has no event of its own: it begins with its first batch and ends with the epoch
        if training is False and self.energy.is_open("epoch") and not self.energy.is_open("validate"):
            self.energy.begin("validate", self._epoch)

    @harmless
    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self.energy.end("validate")
        # in each epoch, or the printed table misses a column and ends the training
        for name, value in metrics_or_nan(self.end_epoch()).items():
            net.history.record(name, value)

    @harmless
    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.energy.close() if self.energy.is_open("epoch") else self.energy.end("train")

    def _get_param_names(self) -> list[str]:
        """What `set_params` may set: without this skorch takes every attribute for a parameter."""
        return ["sensor"]


def __getattr__(name: str) -> Any:
    """`EnergyCallback`, made when first asked for: its base class loads skorch."""
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    callbacks = require("skorch.callbacks", "skorch", "The callback for skorch")
    return joined(__name__, _NetHooks, callbacks.Callback)
