"""Single features that give the target away: refused, until a person says of the column that it is honest.

A column that orders or names the target almost without error on its own was usually written after the fact. Some are
honest, so the criterion asks that every class, not only one, stands apart, and `known: before` lets a column pass.
"""

import logging
from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.contracts.project import ProjectSpec
from tasks.validation.conforming import Mask
from tasks.validation.plausibility import find_towering
from tasks.validation.ranking import least_pairwise_auc

logger = logging.getLogger(__name__)

ALMOST_PERFECT = 0.995
MAX_ROWS = 100_000
"""Rows looked at, evenly spaced: at this many the standard error of an AUC of 0.995 is below 0.001."""

MAX_CLASSES = 50
MIN_CLASS_ROWS = 10
"""With fewer rows in a class a random feature parts it too often: 2 / C(20, 10) is one in 92,000."""

MAX_DISTINCT_NUMBERS = 50
"""Integers with at most so many values are also judged as names."""


class Leaks(NamedTuple):
    """One sentence for each: `certain` give the target away, `towering` predict it implausibly well."""

    certain: list[str]
    towering: list[str]


def find_leaks(frame: pd.DataFrame, spec: ProjectSpec) -> Leaks:
    """Return the features that predict the target almost perfectly on their own, and those that tower over the others.

    Classes: a number leaks when every pair of classes is parted with an area under the ROC curve of at least 0.995 in
    either direction (see `least_pairwise_auc`), a category when the most frequent class of each value, counted on every
    second row, is right for at least 99.5 % of the other rows of each class. Missing values are a value of their own.
    Sets of labels: each label by itself. Numbers as target: an absolute rank correlation (Spearman 1904) of at least 0.995; of a regression also the difference of
    two numbers, see `find_differences`. Text is not judged, a row that repeats another one counts once, and a column of
    which a person says `known: before` is passed over. For what towers
    see `find_towering`.

    Parameters
    ----------
    frame
        Accepted rows, conformed.
    spec
        The project: names the features and the target.
    """
    if spec.labels:
        each = [find_leaks(frame, spec.of_label(name)) for name in spec.labels]
        return Leaks([said for one in each for said in one.certain], [said for one in each for said in one.towering])
    step = -(-len(frame) // MAX_ROWS) or 1
    rows = frame.iloc[::step]
    rows = rows[rows[spec.target].notna()].drop_duplicates([*spec.features, spec.target])
    target = rows[spec.target]
    classes, _ = pd.factorize(target, sort=True)
    counts = np.bincount(classes) if len(classes) else np.zeros(0, dtype=int)
    is_number = spec.columns[spec.target].type in ("number", "integer")
    if spec.is_regression or (is_number and len(counts) > MAX_CLASSES):
        return Leaks(_judge_value(rows, spec), [])
    if not 2 <= len(counts) <= MAX_CLASSES or counts.min() < MIN_CLASS_ROWS:
        return Leaks([], [])
    names = [name for name, column in spec.features.items() if column.is_quotable and column.known != "before"]
    accused = {name: said for name in names if (said := _judge_feature(rows[name], classes, spec.target))}
    return Leaks(list(accused.values()), _find_towering(rows, classes, spec, accused))


def _find_towering(
    rows: pd.DataFrame, classes: npt.NDArray[np.intp], spec: ProjectSpec, accused: Container[str]
) -> list[str]:
    names = [name for name in spec.features_of("number", "integer", "boolean") if name not in accused]
    vouched = [name for name in names if spec.columns[name].known == "before"]
    return [
        f"{_name_columns(columns)} predicts {spec.target!r} implausibly better than any other number does: was it known "
        "before the target?"
        for columns in find_towering(rows[names], classes, vouched)
    ]


def _name_columns(columns: tuple[str, ...]) -> str:
    one, *other = map(repr, columns)
    return f"Column {one}" if not other else f"The difference of the columns {one} and {other[0]}"


def cross_counted_recall(codes: npt.NDArray[np.intp], classes: npt.NDArray[np.intp]) -> float:
    """Return the least recall over classes when each value names the class that it had most often in the other rows.

    Counted on every second row, judged on the rest: a value that was not counted is a miss, so that an identifier,
    which is different in each row, never looks like a leak.

    Parameters
    ----------
    codes, classes
        Shape (n,), from 0.
    """
    counts = np.zeros((int(codes.max()) + 1, int(classes.max()) + 1), dtype=np.int64)
    np.add.at(counts, (codes[::2], classes[::2]), 1)
    named = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)
    right = named[codes[1::2]] == classes[1::2]
    totals = np.bincount(classes[1::2], minlength=counts.shape[1])
    return float((np.bincount(classes[1::2], weights=right, minlength=counts.shape[1]) / np.maximum(totals, 1)).min())


def _judge_feature(feature: pd.Series, classes: npt.NDArray[np.intp], target: str) -> str:
    missing = feature.isna().to_numpy(dtype=bool)
    codes, distinct = pd.factorize(feature, use_na_sentinel=False)
    if len(distinct) < 2:
        return ""
    numeric = _is_ordered(feature)
    if numeric:
        auc = least_pairwise_auc(_with_missing_last(feature, missing), classes)
        if auc >= ALMOST_PERFECT:
            return _say(feature.name, target, f"every pair of classes apart, AUC at least {auc:.3f}")
    if not numeric or len(distinct) <= MAX_DISTINCT_NUMBERS:
        recall = cross_counted_recall(codes, classes)
        if recall >= ALMOST_PERFECT:
            return _say(feature.name, target, f"its values name the class, right for {recall:.1%} of each class")
    return ""


def _judge_value(rows: pd.DataFrame, spec: ProjectSpec) -> list[str]:
    """Return what gives a number away: a number alone, or else the difference of two, an end less a beginning."""
    numbers, target = spec.features_of("number", "integer"), rows[spec.target]
    vouched = [name for name in numbers if spec.columns[name].known == "before"]
    alone = {
        name: said for name in numbers if name not in vouched and (said := _judge_numeric_target(rows[name], target))
    }
    others = [name for name in numbers if name not in alone]
    differences = find_differences(rows[others], target) if spec.is_regression else []
    pairs = [pair for pair in differences if not set(pair) <= set(vouched)]
    return [*alone.values(), *(_say_difference(pair, spec.target) for pair in pairs)]


def find_differences(numbers: pd.DataFrame, target: pd.Series) -> list[tuple[str, str]]:
    """Return the pairs of columns whose difference lies on a line with the target, and neither of the two as nearly.

    Pearson's r of x_i - x_j and y, from one covariance matrix: (s_iy - s_jy) / sqrt((s_ii + s_jj - 2 s_ij) s_yy). It counts from
    |r| = 0.995 on, where 1 - r² is at most half of what it is for each of the two alone. Rows with a missing value are left out.

    Parameters
    ----------
    numbers
        Shape (n, k).
    target
        Shape (n,).
    """
    table = np.column_stack([numbers.to_numpy(dtype=float, na_value=np.nan), target.to_numpy(dtype=float)])
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < 2 * MIN_CLASS_ROWS or table.shape[1] < 3:
        return []
    spread = np.cov(table, rowvar=False)
    own, with_target, of_target = np.diag(spread)[:-1], spread[:-1, -1], spread[-1, -1]
    both = own[:, None] + own[None, :] - 2 * spread[:-1, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        pair = (with_target[:, None] - with_target[None, :]) ** 2 / (both * of_target)
        single = np.nan_to_num(with_target**2 / (own * of_target))
    best_alone = np.maximum(single[:, None], single[None, :])
    found = (pair >= ALMOST_PERFECT**2) & (1 - pair <= (1 - best_alone) / 2)
    names = list(numbers.columns)
    return [(names[i], names[j]) for i, j in np.argwhere(np.triu(found, 1))]


def _say_difference(pair: tuple[str, str], target: str) -> str:
    return (
        f"{_name_columns(pair)} is {target!r} almost to the digit (correlation at least {ALMOST_PERFECT}): were both known before "
        "the target?"
    )


def _judge_numeric_target(feature: pd.Series, target: pd.Series) -> str:
    present = feature.notna().to_numpy(dtype=bool)
    x = feature[present].to_numpy(dtype=float)
    y = target[present].to_numpy(dtype=float)
    if len(x) < 2 * MIN_CLASS_ROWS or len(np.unique(x)) < 2 or len(np.unique(y)) < 2:
        return ""
    rho = float(np.corrcoef(pd.Series(x).rank(), pd.Series(y).rank())[0, 1])
    return _say(feature.name, str(target.name), f"rank correlation {rho:.4f}") if abs(rho) >= ALMOST_PERFECT else ""


def _is_ordered(feature: pd.Series) -> bool:
    dtype = feature.dtype
    return pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype)


def _with_missing_last(feature: pd.Series, missing: Mask) -> npt.NDArray[np.float64]:
    if pd.api.types.is_datetime64_any_dtype(feature.dtype):
        ticks: npt.NDArray[Any] = feature.array.view("i8")
        return np.where(missing, np.inf, ticks.astype(float))
    return np.where(missing, np.inf, feature.to_numpy(dtype=float, na_value=np.nan))


def _say(feature: object, target: str, measured: str) -> str:
    return f"Column {feature!r} predicts {target!r} almost perfectly on its own ({measured}): was it known before the target?"
