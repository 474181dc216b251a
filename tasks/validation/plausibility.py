"""Numbers that are too good to be true beside all the others: alone, or as the difference of two.

For what falls short of giving the target away, as a delay at departure does for the delay on arrival. No statistic can
tell a leak from a very good feature: of 200 sets by scikit-learn's `make_classification` with two informative numbers
and 16 of pure noise 66 are accused, with eight informative ones none, nor iris, wine, breast cancer and digits.
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
"""With fewer numbers below the gap there is nothing to compare with."""

Codes = npt.NDArray[np.intp]
Numbers = dict[str, npt.NDArray[np.float64]]


def find_towering(columns: pd.DataFrame, classes: Codes, vouched: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Return the columns, or pairs of them, that part the classes implausibly better than the others do.

    Columns are sorted by their Gini coefficient, 2 AUC - 1 of the pair of classes that they part worst; those above a
    gap of a factor 2.5 tower, if the last of them reaches 0.7, at least five columns lie below, and no fewer below
    than above. A pair towers where the difference of two that do not tower reaches 0.7 and 2.5 times the best of these.

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
    towering = [name for name in _above_gap(power) if name not in vouched]
    below = {name: power[name] for name in power if name not in towering}
    pairs = [pair for pair in combinations(below, 2) if not set(pair) <= set(vouched)]
    bound = max(STRONG, GAP * max(below.values()))
    differences = [pair for pair in pairs if _gini(numbers[pair[0]] - numbers[pair[1]], classes) >= bound]
    return [*((name,) for name in towering), *differences]


def _gini(values: npt.NDArray[np.float64], classes: Codes) -> float:
    return 2 * least_pairwise_auc(np.where(np.isnan(values), np.inf, values), classes) - 1


def _above_gap(power: dict[str, float]) -> list[str]:
    ranked = sorted(power, key=lambda name: -power[name])
    for at in range(1, len(ranked) - MIN_OTHERS + 1):
        last, following = power[ranked[at - 1]], power[ranked[at]]
        if at <= len(ranked) - at and last >= STRONG and last >= GAP * following:
            return ranked[:at]
    return []
