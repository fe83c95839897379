"""Energy of a fastai run: `Learner(..., cbs=EnergyCallback())`."""

from __future__ import annotations

import importlib
from typing import Any

from trimwatt._imports import available
from trimwatt.errors import MissingExtra
from trimwatt.integrations._callback import Hooks, harmless, joined


class _LearnerHooks(Hooks):
    """Phases train, epoch and validate of a fastai Learner, in `callback.energy`.

    `learn.get_preds()` is a phase predict and `learn.validate()` one validate. A Learner runs both as a fit of one
    epoch without its training part, so that which it was is known only in the end.
    """

    @harmless
    def before_fit(self) -> None:
        self._trains = False
        self.begin_run("train")

    @harmless
    def before_epoch(self) -> None:
        self.energy.begin("epoch", int(self.learn.epoch))  # type: ignore[attr-defined]

    @harmless
    def before_train(self) -> None:
        self._trains = True

    @harmless
    def before_validate(self) -> None:
        if self._trains:
            self.energy.begin("validate", int(self.learn.epoch))  # type: ignore[attr-defined]

    @harmless
    def after_validate(self) -> None:
        self.energy.end("validate")

    @harmless
    def after_epoch(self) -> None:
        if self._trains:
            self.end_epoch()
        else:
            self.energy.drop("epoch")

    @harmless
    def after_fit(self) -> None:
        predicts = hasattr(self.learn, "gather_preds")  # type: ignore[attr-defined]
        self.energy.end("train", named="train" if self._trains else "predict" if predicts else "validate")


def __getattr__(name: str) -> Any:
    """`EnergyCallback`, made when first asked for: its base class loads fastai."""
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not available("fastai"):
        raise MissingExtra("The callback for fastai needs fastai, which is not installed; run: pip install fastai")
    return joined(__name__, _LearnerHooks, importlib.import_module("fastai.callback.core").Callback)
