"""Leakage between the parts: rows that stand on both sides."""

from collections.abc import Sequence

import pandas as pd
from pandas.util import hash_pandas_object


def count_overlap(train: pd.DataFrame, test: pd.DataFrame, features: Sequence[str]) -> int:
    """Return how many test rows have features that a training row has as well.

    >>> rows = pd.DataFrame({"a": [1, 2, 3]})
    >>> count_overlap(rows.iloc[:2], rows.iloc[1:], ["a"])
    1
    """
    known = hash_pandas_object(train[list(features)], index=False)
    return int(hash_pandas_object(test[list(features)], index=False).isin(known).sum())
