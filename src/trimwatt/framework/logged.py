"""A regressor of the logarithm of a target that is never negative, which answers in the target's own unit."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.workload import Array

# the unit inside log(1 + y / unit), as a share of the median: small targets stay apart, zero stays finite
_SHARE = 0.01
# an answer may exceed the largest training target tenfold, so that nothing overflows far from the training rows
_BEYOND = float(np.log(10.0))


class LogTarget:
    """Fits `regressor` to log(1 + y / unit) and answers in the unit of y; y must be >= 0.

    Logarithms are clipped to those of 0 and ten times the largest training target. A type of its own and not
    scikit-learn's TransformedTargetRegressor, which keeps functions, and an artifact that holds functions is refused.
    """

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """As scikit-learn asks for them."""
        inside = self.regressor.get_params(deep=True).items() if deep else ()
        return {"regressor": self.regressor, **{f"regressor__{name}": value for name, value in inside}}

    def __sklearn_clone__(self) -> LogTarget:
        from sklearn.base import clone

        return LogTarget(clone(self.regressor))

    def fit(self, rows: Array, target: Array) -> Self:
        """Fit in place; raises TrialFailed for a target below 0."""
        return self.fit_by(lambda logs: self.regressor.fit(rows, logs), target)

    def fit_by(self, fit: Any, target: Array) -> Self:
        """Fit in place with `fit(logs)` in place of the regressor's own."""
        values = np.asarray(target, dtype=np.float64)
        if values.min() < 0:
            raise TrialFailed(f"target='log' needs targets >= 0, and one is {values.min():g}; use target='as_is'")
        positive = values[values > 0]
        self.unit_ = float(_SHARE * np.median(positive)) if len(positive) else 1.0
        self.most_ = float(np.log1p(values.max() / self.unit_)) + _BEYOND
        fit(np.log1p(values / self.unit_))
        self.n_features_in_ = self.regressor.n_features_in_
        return self

    def predict(self, rows: Array) -> Array:
        """Answers (n,)."""
        logs = np.clip(np.asarray(self.regressor.predict(rows), dtype=np.float64), 0.0, self.most_)
        return np.asarray(self.unit_ * np.expm1(logs))


def without_log(estimator: Any) -> Any:
    """The regressor inside, or the estimator itself."""
    return estimator.regressor if isinstance(estimator, LogTarget) else estimator
