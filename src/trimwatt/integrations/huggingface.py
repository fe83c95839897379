"""Energy of a Hugging Face Trainer run: `Trainer(..., callbacks=[EnergyCallback()])`."""

from __future__ import annotations

from typing import Any

from trimwatt._imports import require
from trimwatt.integrations._callback import Hooks, harmless, joined

_LATE = "begins after its first batch, which the Trainer does not announce"


class _TrainerHooks(Hooks):
    """Phases train, epoch, validate and predict of a Trainer, in `callback.energy`.

    The energy of an epoch joins `state.log_history`, and the logs that callbacks after this one see.
    """

    @harmless
    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._epoch, self._unseen = 0, dict[str, float]()
        self.begin_run("train")

    @harmless
    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._epoch = int(state.epoch or 0)
        self.energy.begin("epoch", self._epoch)

    @harmless
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._expect_validation(control)

    @harmless
    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        phase = self.end_epoch()
        if phase is not None:
            self._unseen = phase.metrics()
            told = {**self._unseen, "energy.source": phase.source, "epoch": state.epoch, "step": state.global_step}
            state.log_history.append(told)
        self._expect_validation(control)

    def _expect_validation(self, control: Any) -> None:
        # an evaluation is announced only when it is over; that one comes is known before
        if control.should_evaluate and not self.energy.is_open("validate"):
            self.energy.begin("validate", self._epoch)

    @harmless
    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if not (self.energy.is_open("validate") or self.energy.is_open("evaluate")):
            self.energy.begin("evaluate", note=_LATE)

    @harmless
    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.energy.end("validate") is None:
            self.energy.end("evaluate")

    @harmless
    def on_predict(self, args: Any, state: Any, control: Any, metrics: Any, **kwargs: Any) -> None:
        # until now it looked like an evaluation
        self.energy.end("evaluate", named="predict")

    @harmless
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is not None and getattr(self, "_unseen", None):
            logs.update(self._unseen)
            self._unseen = {}

    @harmless
    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.energy.end("train")


def __getattr__(name: str) -> Any:
    """`EnergyCallback`, made when first asked for: its base class loads transformers."""
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    transformers = require("transformers", "huggingface", "The callback for the Hugging Face Trainer")
    return joined(__name__, _TrainerHooks, transformers.TrainerCallback)
