"""One classifier for each of several labels, behind one estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from trimwatt.workload import Array


class Each:
    """Fits a copy of `classifier` to each label of a target (n, k) of 0 and 1.

    A label that all training rows have, or none, is answered by just that. A type of its own and not scikit-learn's
    MultiOutputClassifier, which refuses such a label and answers with a list of arrays.
    """

    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """As scikit-learn asks for them."""
        inside = self.classifier.get_params(deep=True).items() if deep else ()
        return {"classifier": self.classifier, **{f"classifier__{name}": value for name, value in inside}}

    def __sklearn_clone__(self) -> Each:
        from sklearn.base import clone

        return Each(clone(self.classifier))

    def fit(self, rows: Array, target: Array) -> Self:
        """Fit in place."""
        return self.fit_by(lambda classifier, codes: classifier.fit(rows, codes), target)

    def fit_by(self, fit: Any, target: Array) -> Self:
        """Fit in place with `fit(classifier, codes)` for each label, codes (n,)."""
        from sklearn.base import clone

        # of a label that is the same in all rows that is known, and no classifier is fitted
        self.shares_ = np.where(np.ptp(target, axis=0) == 0, target[0], np.nan).astype(np.float64)
        self.classifiers_ = [
            fit(clone(self.classifier), codes) if np.isnan(share) else None
            for codes, share in zip(target.T, self.shares_, strict=True)
        ]
        return self

    def predict_proba(self, rows: Array) -> Array:
        """The probability of each label (n, k)."""
        shares = [
            np.full(len(rows), share) if one is None else one.predict_proba(rows)[:, 1]
            for one, share in zip(self.classifiers_, self.shares_, strict=True)
        ]
        return np.stack(shares, axis=1)

    def predict(self, rows: Array) -> Array:
        """0 or 1 for each label (n, k)."""
        return np.asarray(self.predict_proba(rows) >= 0.5, dtype=np.int64)


def members(estimator: Any) -> list[Any]:
    """The fitted classifiers of the labels; the estimator itself where it is one of another kind."""
    if not isinstance(estimator, Each):
        return [estimator]
    return [one for one in estimator.classifiers_ if one is not None]
