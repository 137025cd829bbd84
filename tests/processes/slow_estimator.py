"""A real classifier that can be watched, and made to take its time."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

SECONDS = 1.5


class Watched(ClassifierMixin, BaseEstimator):
    """A logistic regression; leaves a file in *folder* while it works.

    It takes `SECONDS` if the first number is negative.
    """

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def fit(self, matrix: Any, target: Any) -> "Watched":
        """Fit the regression."""
        self.inner_ = LogisticRegression().fit(matrix, target)
        self.classes_ = self.inner_.classes_
        self.n_features_in_ = self.inner_.n_features_in_
        return self

    def predict(self, matrix: Any) -> Any:
        """Predict, slowly if asked to."""
        mark = Path(self.folder) / f"{time.monotonic_ns()}"
        mark.touch()
        try:
            if matrix[0][0] < 0:
                time.sleep(SECONDS)
            return self.inner_.predict(matrix)
        finally:
            mark.unlink()

    def predict_proba(self, matrix: Any) -> Any:
        """Give the regression's probabilities."""
        return self.inner_.predict_proba(matrix)


def fitted(folder: Path) -> Watched:
    """Fit one, named as if its module were imported from beside the manifest."""
    Watched.__module__ = "slow_estimator"
    sys.modules.setdefault("slow_estimator", sys.modules[__name__])
    matrix = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [-2.0, -3.0]])
    return Watched(str(folder)).fit(matrix, np.array([0, 1, 1, 0]))
