"""An estimator of one class a row, made to answer sets of labels: one copy of it for each label."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils import get_tags

from tasks.metrics.label_sets import gather_bits, spread, write_sets
from tasks.models.model import Array, Floats


class BinaryRelevance(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One classifier a label, each of that label alone (Tsoumakas & Katakis 2007, Int. J. of Data Warehousing and Mining 3(3)).

    Simple, and enough for what is counted label by label, such as the Hamming loss (Dembczyński et al. 2012, Machine Learning
    88); it never learns that two labels exclude each other, which subset accuracy would reward.

    Parameters
    ----------
    estimator
        Unfitted, with `predict_proba`.
    labels
        Names, in the order of the codes' bits.
    """

    def __init__(self, estimator: Any = None, labels: tuple[str, ...] = ()) -> None:
        self.estimator = estimator
        self.labels = labels

    def fit(self, X: Any, y: Array, sample_weight: Floats | None = None) -> "BinaryRelevance":
        """Fit a copy of the estimator for each label.

        Parameters
        ----------
        y
            Codes of sets, shape (n,): see `tasks.metrics.label_sets`.
        """
        bits = spread(y.astype(np.int64), len(self.labels))
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.estimators_ = [clone(self.estimator).fit(X, has, **weights) for has in bits.T]
        return self

    @property
    def classes_(self) -> Array:
        """The labels, in the order of `predict_proba`."""
        return np.array(self.labels, dtype=object)

    def predict_proba(self, X: Any) -> Floats:
        """Return the probability of each label, shape (n, labels); rows do not sum to 1."""
        return np.column_stack([_probability(one, X) for one in self.estimators_])

    def predict(self, X: Any) -> Array:
        """Return the set of each row in words: the labels with a probability above 1/2, shape (n,)."""
        return np.asarray(write_sets(gather_bits(self.predict_proba(X) > 0.5), self.labels))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.estimator).input_tags.allow_nan
        return tags


def _probability(fitted: Any, X: Any) -> Floats:
    shares = np.asarray(fitted.predict_proba(X), dtype=np.float64)
    place = np.flatnonzero(np.asarray(fitted.classes_) == True)  # noqa: E712  an array
    return shares[:, place[0]] if len(place) else np.zeros(len(shares))
