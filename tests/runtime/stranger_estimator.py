"""An estimator that is not scikit-learn's own."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression


class Odd(LogisticRegression):
    """Logistic regression under another name."""
