"""Which rows go into the queue: the most worth a label, none twice, and a share drawn at random. Pure."""

import hashlib
import re
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from tasks.models.model import Floats

Numbers = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]

DIGITS = 6
"""Numbers that agree to so many digits are alike."""


SMALLEST = 1e-300
"""Below it the unit of the last digit is no number any more."""


class Pick(NamedTuple):
    """A place among the rows, and what chose it."""

    place: int
    picked: Literal["worth", "random"]


def choose_rows(worth: Floats, distinct: Places, rows: int, random_share: float, seed: int) -> list[Pick]:
    """Return which rows to label, in an order that does not tell which is which.

    The random ones are drawn first, from all distinct rows alike: they alone can say how good a model is on the rows as they
    come, and keep what was labelled from being hard cases only, of which a later model would learn a world that is not there
    (Settles 2009, section 7.1; Dasgupta & Hsu 2008, ICML). The rest goes by worth; of equals the draw decides.

    Parameters
    ----------
    worth
        Of each row, shape (n,); NaN is worth nothing.
    distinct
        Places of rows that differ from one another, as `find_distinct` gives them.
    rows
        How many are wanted; fewer come where there are no more.
    random_share
        Share of `rows` to draw at random, 0 to 1, rounded.
    """
    random = np.random.default_rng(seed)
    drawn_order = random.permutation(distinct)
    count = min(rows, len(distinct))
    by_chance = drawn_order[: round(count * random_share)]
    rest = drawn_order[len(by_chance) :]
    value = np.nan_to_num(worth[rest], nan=-np.inf)
    by_worth = rest[np.argsort(-value, kind="stable")[: count - len(by_chance)]]
    picks = [Pick(int(place), "random") for place in by_chance] + [Pick(int(place), "worth") for place in by_worth]
    return [picks[at] for at in random.permutation(len(picks))]


def find_distinct(alike: Numbers, labelled: Numbers) -> Places:
    """Return the place of the first of each kind of row, in order, without those that are like a labelled one."""
    _, first = np.unique(alike, return_index=True)
    return np.sort(first[~np.isin(alike[first], labelled)]).astype(np.intp)


def number_alike(features: pd.DataFrame) -> Numbers:
    """Return a number for each row; rows that a person could not tell apart share it, shape (n,).

    Numbers count to six digits, texts by their words (case, spaces and punctuation do not count).
    """
    plain = pd.DataFrame({str(at): _plain(features[name]) for at, name in enumerate(features.columns)})
    return np.asarray(pd.util.hash_pandas_object(plain, index=False), dtype=np.uint64)


def _plain(column: "pd.Series[Any]") -> Any:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return _round(column.to_numpy(dtype=np.float64, na_value=np.nan))
    codes, cells = pd.factorize(column, use_na_sentinel=False)
    return np.array([_words(cell) for cell in cells], dtype=object)[codes]


def _words(cell: Any) -> str:
    if isinstance(cell, bytes):  # a picture
        return hashlib.sha256(cell).hexdigest()
    return " ".join(re.findall(r"\w+", str(cell).casefold()))


def _round(values: Floats) -> Floats:
    """Return the numbers to DIGITS digits; 0, what is next to it and what is not finite stay."""
    usual = np.isfinite(values) & (np.abs(values) > SMALLEST)
    unit = 10.0 ** (np.floor(np.log10(np.abs(np.where(usual, values, 1.0)))) - (DIGITS - 1))
    return np.asarray(np.where(usual, np.round(values / unit), values) * np.where(usual, unit, 1.0), dtype=np.float64)
