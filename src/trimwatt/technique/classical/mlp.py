"""Small dense networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from trimwatt.errors import InputError
from trimwatt.technique._base import Stage, Technique, applies_to
from trimwatt.technique.classical import _fit
from trimwatt.workload import Workload

# a tenth of fewer rows, held out, is too noisy to stop by; the training loss is taken instead
_MANY_ROWS = 5000


@dataclass(frozen=True)
class Mlp(Technique):
    """A dense network with rectified units, stopped early on a tenth of its training rows.

    hidden: units of each hidden layer. penalty: on squared weights, from 0. learning_rate: of Adam, above 0.
    epochs: at most. target: for values: "as_is" or "log".
    """

    name: ClassVar[str] = "mlp"
    family: ClassVar[str] = "network"
    group: ClassVar[str] = "classical"
    stage: ClassVar[Stage] = "model"
    reference: ClassVar[str] = "Rumelhart, Hinton and Williams 1986; Kingma and Ba 2014, arXiv:1412.6980"
    gives: ClassVar[str | None] = "sklearn"
    books: ClassVar[str] = "train"

    hidden: tuple[int, ...] = (64,)
    penalty: float = 1e-4
    learning_rate: float = 1e-3
    epochs: int = 200
    target: str = "as_is"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if not self.hidden or any(not isinstance(units, int) or units < 1 for units in self.hidden):
            raise InputError(f"hidden is the units of each layer, like (64,), got {self.hidden!r}")
        if self.penalty < 0 or self.learning_rate <= 0:
            raise InputError(f"penalty is from 0, learning_rate above 0; got {self.penalty!r}, {self.learning_rate!r}")
        _fit.positive_whole("epochs", self.epochs, "passes over the rows")
        _fit.one_of("target", self.target, _fit.TARGETS)

    def variants(self, workload: Workload) -> Sequence[Technique]:
        return () if max(self.hidden) <= 32 else (replace(self, hidden=tuple(max(1, u // 2) for u in self.hidden)),)


@applies_to(Mlp, "none", "sklearn", "torch", "onnx")
def _mlp(technique: Mlp, workload: Workload) -> Workload:
    classify, rows = _fit.start(workload)
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    model = (MLPClassifier if classify else MLPRegressor)(
        hidden_layer_sizes=technique.hidden, alpha=technique.penalty, learning_rate_init=technique.learning_rate,
        max_iter=technique.epochs, early_stopping=rows >= _MANY_ROWS, random_state=workload.seed,
    )  # fmt: skip
    return _fit.fitted(workload, model if classify else _fit.of_target(model, technique.target), "scaled")
