"""Steps of a pipeline that scikit-learn has no estimator of: fences for outliers, ranks, parts of times, the best columns.

Each learns from the rows that it is fitted on and from nothing else, and keeps no more than it needs to answer.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.feature_selection import (
    SelectorMixin,
    f_classif,
    f_regression,
    mutual_info_classif,
    mutual_info_regression,
)
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.sparsefuncs import mean_variance_axis

Floats = npt.NDArray[np.float64]

PERIODS = {"hour": 24, "weekday": 7, "day": 31, "month": 12, "dayofyear": 366}
"""How many values a part of a time has before it begins anew."""

FIRST = {"day": 1, "month": 1, "dayofyear": 1}
"""The least value of a part; 0 where it is not named."""

TREES = 100


class Pixels(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Pictures as rows of numbers from 0 to 1: what an estimator without convolutions sees."""

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002  scikit-learn's signature
        self.n_features_in_ = int(np.prod(np.shape(X)[1:]))
        return self

    def transform(self, X: Any) -> Floats:
        """Return the pixels, shape (n, height times width times channels)."""
        pictures = np.asarray(X)
        return pictures.reshape(len(pictures), -1) / 255.0


class Fences(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Numbers beyond the fences are set on them: Q1 - k (Q3 - Q1) and Q3 + k (Q3 - Q1) of the fitted rows.

    Tukey 1977, Exploratory Data Analysis, section 2D. Missing values stay missing. A column whose middle half is one
    value has no scale of its own and is left as it is: every other value would be called an outlier.

    Parameters
    ----------
    fence
        k, above 0.
    """

    def __init__(self, fence: float = 3.0) -> None:
        self.fence = fence

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002  scikit-learn's signature
        rows = np.asarray(X, dtype=np.float64)
        self.n_features_in_ = rows.shape[1]
        self.low_ = np.full(rows.shape[1], -np.inf)
        self.high_ = np.full(rows.shape[1], np.inf)
        for at, column in enumerate(rows.T):
            known = column[~np.isnan(column)]
            first, third = np.quantile(known, [0.25, 0.75]) if len(known) else (0.0, 0.0)
            if third > first:
                self.low_[at] = first - self.fence * (third - first)
                self.high_[at] = third + self.fence * (third - first)
        return self

    def transform(self, X: Any) -> Floats:
        """Return the numbers between the fences, shape (n, k)."""
        return np.clip(np.asarray(X, dtype=np.float64), self.low_, self.high_)


class Ranks(QuantileTransformer):  # type: ignore[misc]
    """scikit-learn's QuantileTransformer, which takes fewer rows than quantiles without a word."""

    def fit(self, X: Any, y: object = None) -> Self:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="n_quantiles", category=UserWarning)
            super().fit(X, y)
        return self


class TimeParts(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Times as numbers: their parts in UTC, as they are or as points on a circle. Learns nothing.

    A part with the period p and the value v becomes, where `cyclic`, sin(2π v / p) and cos(2π v / p). The year never comes
    round and stays a number. A missing time is NaN in each part.

    Parameters
    ----------
    parts
        Of hour, weekday (0: Monday), day, month, dayofyear, year.
    cyclic
        Two columns a part.
    """

    def __init__(self, parts: Sequence[str] = ("hour", "weekday", "month"), cyclic: bool = False) -> None:
        self.parts = parts
        self.cyclic = cyclic

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:  # noqa: ARG002
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: pd.DataFrame) -> Floats:
        """Return the parts of each column in turn, float64, shape (n, columns × parts)."""
        found = [column for name in X.columns for part in self.parts for column in self._read(X[name], part)]
        return np.column_stack(found)

    def _read(self, times: pd.Series, part: str) -> list[Floats]:
        value = getattr(times.dt, part).to_numpy(dtype=np.float64, na_value=np.nan)
        if not self.cyclic or part not in PERIODS:
            return [value]
        angle = 2 * np.pi * (value - FIRST.get(part, 0)) / PERIODS[part]
        return [np.sin(angle), np.cos(angle)]

    def get_feature_names_out(self, names: Sequence[str]) -> npt.NDArray[Any]:
        """Return the name of each column."""
        turned = [
            f"{part}_{side}" if side else part
            for part in self.parts
            for side in (("sin", "cos") if self.cyclic and part in PERIODS else ("",))
        ]
        return np.array([f"{name}_{part}" for name in names for part in turned], dtype=object)


class BestColumns(SelectorMixin, BaseEstimator):  # type: ignore[misc]
    """The columns that say most of the target, as far as the fitted rows show; ties go to the one that stands first.

    What is missing counts as the column's median while columns are weighed, and is handed on as it is. Kept is which
    columns stay, not what weighed them.

    Parameters
    ----------
    method
        variance: every column that is not constant. univariate: the F statistic of a one-way analysis of variance. information:
        mutual information by nearest neighbours (Ross 2014, PLoS ONE 9(2): e87357). model: mean decrease of impurity in
        extremely randomised trees (Geurts, Ernst & Wehenkel 2006, Machine Learning 63), which favours columns of many values.
    keep
        How many stay; all but constant ones where there are fewer.
    seed
        Of information and model.
    """

    def __init__(self, method: str = "univariate", keep: int = 20, seed: int = 0) -> None:
        self.method = method
        self.keep = keep
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        rows = _fill(X)
        self.n_features_in_ = rows.shape[1]
        varies = _vary(rows)
        self.mask_ = varies.copy()
        if self.method != "variance" and varies.sum() > self.keep:
            places = np.flatnonzero(varies)
            worth = np.nan_to_num(np.asarray(self._weigh(rows[:, places], y)), nan=-np.inf)
            self.mask_ = np.zeros(len(varies), dtype=bool)
            self.mask_[places[np.argsort(-worth, kind="stable")[: self.keep]]] = True
        if not self.mask_.any():
            self.mask_[0] = True  # a model needs a column, and the dummy will be as good
        return self

    def _weigh(self, rows: Any, y: Any) -> Floats:
        weigh: dict[str, Callable[[], Any]] = {
            "univariate": lambda: f_classif(rows, y)[0],
            "information": lambda: mutual_info_classif(rows, y, random_state=self.seed),
            "model": lambda: ExtraTreesClassifier(TREES, random_state=self.seed).fit(rows, y).feature_importances_,
        }
        return np.asarray(weigh[self.method](), dtype=np.float64)

    def _get_support_mask(self) -> npt.NDArray[np.bool_]:
        return self.mask_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags


class BestColumnsForValues(BestColumns):
    """The same for a target of values: the F statistic of a straight line, mutual information and trees of a regression.

    Mutual information of two numbers by nearest neighbours: Kraskov, Stögbauer & Grassberger 2004, Phys. Rev. E 69: 066138. A class
    of its own and no parameter, so that pipelines of before stay what they are to the byte.
    """

    def _weigh(self, rows: Any, y: Any) -> Floats:
        weigh: dict[str, Callable[[], Any]] = {
            "univariate": lambda: f_regression(rows, y)[0],
            "information": lambda: mutual_info_regression(rows, y, random_state=self.seed),
            "model": lambda: ExtraTreesRegressor(TREES, random_state=self.seed).fit(rows, y).feature_importances_,
        }
        return np.asarray(weigh[self.method](), dtype=np.float64)


def _fill(X: Any) -> Any:
    """Return the rows with the column's median for what is missing, 0 where a column is empty."""
    if sparse.issparse(X):
        return X.tocsc()
    rows = np.array(X, dtype=np.float64)
    for column in rows.T:
        missing = np.isnan(column)
        if missing.any():
            column[missing] = 0.0 if missing.all() else np.median(column[~missing])
    return rows


def _vary(rows: Any) -> npt.NDArray[np.bool_]:
    if sparse.issparse(rows):
        return np.asarray(mean_variance_axis(rows, axis=0)[1] > 0)
    return np.asarray(rows.min(axis=0) < rows.max(axis=0))
