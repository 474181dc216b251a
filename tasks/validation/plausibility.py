"""Numbers that are too good to be true beside all the others: alone, or as the difference of two.

For what falls short of giving the target away, as a delay at departure does for the delay on arrival. No statistic can
tell a leak from a very good feature; what can be told is that other numbers have something to say as well and this one
says incomparably more. Beside pure noise any feature towers, so noise is nothing to compare with.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.validation.ranking import least_pairwise_auc

MAX_ROWS = 20_000
"""Evenly spaced: the standard error of an AUC is then below 0.005."""

STRONG = 0.7
"""Smallest Gini coefficient (2 AUC - 1) that is looked at: an AUC of 0.85."""

GAP = 2.5
"""So many times the Gini coefficient of the next one below."""

MIN_OTHERS = 5
"""With fewer numbers below the gap that say anything there is nothing to compare with."""

CHANCE_Z = 2.0
"""Standard errors of the Mann-Whitney statistic beyond which a number says something."""

Codes = npt.NDArray[np.intp]
Numbers = dict[str, npt.NDArray[np.float64]]


def find_towering(columns: pd.DataFrame, classes: Codes, vouched: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Return the columns, or pairs of them, that part the classes implausibly better than the others do.

    Columns are sorted by their Gini coefficient, 2 AUC - 1 of the pair of classes that they part worst; those above a
    gap of a factor 2.5 tower, if the last of them reaches 0.7, at least five columns that say something lie below, and
    no fewer below than above. A pair towers where the difference of two that do not tower reaches 0.7 and 2.5 times the
    best of these, if at least five of them say something.

    A column says something where its AUC lies more than two standard errors from 0.5 (Mann & Whitney 1947, Ann. Math.
    Stat. 18: variance (n + m + 1) / (12 n m) without a difference), of the two smallest classes.

    Parameters
    ----------
    columns
        Numbers, shape (n, k); missing values are a value of their own.
    classes
        Shape (n,), 0 to c-1, each class at least once.
    vouched
        Columns that are taken to be honest: they never tower, nor does a pair of two of them.
    """
    step = -(-len(columns) // MAX_ROWS) or 1
    classes = classes[::step]
    numbers = {str(name): columns[name].to_numpy(dtype=float, na_value=np.nan)[::step] for name in columns}
    if len(numbers) <= MIN_OTHERS or len(np.unique(classes)) < 2:
        return []
    power = {name: _gini(values, classes) for name, values in numbers.items()}
    telling = {name for name, value in power.items() if value > _largest_by_chance(classes)}
    towering = [name for name in _above_gap(power, telling) if name not in vouched]
    below = {name: power[name] for name in power if name not in towering}
    if len(telling & below.keys()) < MIN_OTHERS:
        return [(name,) for name in towering]
    pairs = [pair for pair in combinations(below, 2) if not set(pair) <= set(vouched)]
    bound = max(STRONG, GAP * max(below.values()))
    differences = [pair for pair in pairs if _gini(numbers[pair[0]] - numbers[pair[1]], classes) >= bound]
    return [*((name,) for name in towering), *differences]


def _gini(values: npt.NDArray[np.float64], classes: Codes) -> float:
    return 2 * least_pairwise_auc(np.where(np.isnan(values), np.inf, values), classes) - 1


def _largest_by_chance(classes: Codes) -> float:
    """Return the Gini coefficient that a number without a meaning hardly exceeds."""
    n, m = np.sort(np.bincount(classes))[:2]
    return 2 * CHANCE_Z * float(np.sqrt((n + m + 1) / (12 * n * m)))


def _above_gap(power: dict[str, float], telling: set[str]) -> list[str]:
    ranked = sorted(power, key=lambda name: -power[name])
    for at in range(1, len(ranked) - MIN_OTHERS + 1):
        last, following = power[ranked[at - 1]], power[ranked[at]]
        is_gap = at <= len(ranked) - at and last >= STRONG and last >= GAP * following
        if is_gap and len(telling.intersection(ranked[at:])) >= MIN_OTHERS:
            return ranked[:at]
    return []
