"""Sets of labels, where a row may have several: as one code a row, as text, and as a table of yes and no.

One code a row lets everything that counts, draws and compares rows take a set as it takes a class.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from infra.errors import IntegrityError, name_values
from tasks.contracts.values import JOINED_BY, NO_LABEL
from tasks.metrics.answers import Codes, Floats

Bits = npt.NDArray[np.bool_]


def spread(codes: Codes, labels: int) -> Bits:
    """Return which labels each set has, shape (n, labels).

    >>> spread(np.array([0, 5]), 3).astype(int).tolist()
    [[0, 0, 0], [1, 0, 1]]
    """
    return np.asarray((codes[:, None].astype(np.int64) >> np.arange(labels)) & 1, dtype=np.bool_)


def gather_bits(bits: Bits) -> Codes:
    """Return the code of each set, Σ 2^j over the labels j that it has: the inverse of `spread`."""
    return np.asarray(bits.astype(np.int64) @ (1 << np.arange(bits.shape[1], dtype=np.int64)), dtype=np.int64)


def write_sets(codes: Codes, labels: Sequence[object]) -> npt.NDArray[np.object_]:
    """Return each set as people read it: its labels in their order, or `none`.

    >>> write_sets(np.array([0, 5]), ["rain", "fog", "wind"]).tolist()
    ['none', 'rain+wind']
    """
    distinct, place = np.unique(codes, return_inverse=True)
    names = [
        JOINED_BY.join(str(name) for name, has in zip(labels, row, strict=True) if has) or NO_LABEL
        for row in spread(distinct, len(labels))
    ]
    return np.array(names, dtype=object)[place] if len(codes) else np.array([], dtype=object)


def read_sets(written: Any, labels: Sequence[object]) -> Codes:
    """Return the codes of sets as `write_sets` writes them; -1 where one is missing.

    Raises
    ------
    IntegrityError
        A label that is none of these.
    """
    place = {str(name): 1 << at for at, name in enumerate(labels)} | {NO_LABEL: 0}
    values = np.asarray(written, dtype=object)
    known: dict[object, int] = {}
    for value in dict.fromkeys(values.tolist()):
        if not isinstance(value, str):
            known[value] = -1
            continue
        parts = value.split(JOINED_BY)
        if strange := [part for part in parts if part not in place]:
            raise IntegrityError(f"Expected labels of {name_values(place, 10)}, received {name_values(strange)}.")
        known[value] = sum(place[part] for part in set(parts))
    return np.fromiter((known[value] for value in values.tolist()), dtype=np.int64, count=len(values))


def constant_set(shares: Floats, metric: str) -> Codes:
    """Return the one set that is best for all rows alike, as an array of one code.

    For an F1 the labels with the m largest shares, m such that the micro F1 of that answer is the largest: twice their sum over
    m plus the sum of all shares (Lipton, Elkan & Naryanaswamy 2014, ECML PKDD, on classifiers that know nothing); for other
    metrics those that more than half of the rows have.

    Parameters
    ----------
    shares
        Share of the rows that have each label, shape (labels,).
    """
    if "f1" not in metric:
        return gather_bits((shares > 0.5)[None, :])
    order = np.argsort(-shares, kind="stable")
    total = np.cumsum(shares[order])
    most = int(np.argmax(total / (np.arange(1, len(shares) + 1) + shares.sum()))) + 1
    return gather_bits(np.isin(np.arange(len(shares)), order[:most])[None, :])
