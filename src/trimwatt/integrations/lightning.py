"""Energy of a Lightning run: `Trainer(callbacks=[EnergyCallback()])`."""

from __future__ import annotations

from typing import Any

from trimwatt._imports import require
from trimwatt.integrations._callback import Hooks, harmless, joined


class _TrainerHooks(Hooks):
    """Phases train, epoch, validate, test and predict of a Lightning Trainer, in `callback.energy`.

    The energy of an epoch goes to the Trainer's loggers as `energy/joules`, `energy/joules_low` and
    `energy/joules_high`; its origin is the hyperparameter `energy.source`.
    """

    @harmless
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self.begin_run("train")

    @harmless
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.energy.begin("epoch", trainer.current_epoch)

    @harmless
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        phase = self.end_epoch()
        if phase is None:
            return
        pl_module.log_dict(phase.metrics(), rank_zero_only=True)
        if phase.source and phase.source != getattr(self, "_told", None):
            self._told = phase.source
            for logger in trainer.loggers:
                logger.log_hyperparams({"energy.source": phase.source})

    @harmless
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self.energy.end("train")

    @harmless
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking:
            self.energy.begin("sanity check")
        else:
            self.energy.begin("validate", trainer.current_epoch if self.energy.is_open("train") else None)

    @harmless
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.energy.end("sanity check" if trainer.sanity_checking else "validate")

    @harmless
    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        self.begin_run("test")

    @harmless
    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        self.energy.end("test")

    @harmless
    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        self.begin_run("predict")

    @harmless
    def on_predict_end(self, trainer: Any, pl_module: Any) -> None:
        self.energy.end("predict")

    @harmless
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.energy.close(f"ended by {type(exception).__name__}")


def __getattr__(name: str) -> Any:
    """`EnergyCallback`, made when first asked for: its base class loads Lightning."""
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    lightning = require("lightning.pytorch", "lightning", "The callback for Lightning")
    return joined(__name__, _TrainerHooks, lightning.Callback)
