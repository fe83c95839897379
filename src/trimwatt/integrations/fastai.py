"""Energy of a fastai run: `Learner(..., cbs=EnergyCallback())`. Written against fastai 2.8; not run here."""

from __future__ import annotations

import importlib
from typing import Any

from trimwatt._imports import available
from trimwatt.errors import MissingExtra
from trimwatt.integrations._callback import Hooks, harmless, joined


class _LearnerHooks(Hooks):
    """Phases train, epoch and validate of a fastai Learner, in `callback.energy`; predictions are phase predict."""

    @harmless
    def before_fit(self) -> None:
        self.begin_run("train")

    @harmless
    def before_epoch(self) -> None:
        # outside of a fit fastai calls one "epoch" around each prediction
        if self.energy.is_open("train"):
            self.energy.begin("epoch", int(self.learn.epoch))  # type: ignore[attr-defined]
        else:
            self.begin_run("predict")

    @harmless
    def before_validate(self) -> None:
        if self.energy.is_open("epoch"):
            self.energy.begin("validate", int(self.learn.epoch))  # type: ignore[attr-defined]

    @harmless
    def after_validate(self) -> None:
        self.energy.end("validate")

    @harmless
    def after_epoch(self) -> None:
        if self.end_epoch() is None:
            self.energy.end("predict")

    @harmless
    def after_fit(self) -> None:
        self.energy.end("train")


def __getattr__(name: str) -> Any:
    """`EnergyCallback`, made when first asked for: its base class loads fastai."""
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not available("fastai"):
        raise MissingExtra("The callback for fastai needs fastai, which is not installed; run: pip install fastai")
    return joined(__name__, _LearnerHooks, importlib.import_module("fastai.callback.core").Callback)
