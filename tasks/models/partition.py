"""Which rows fit and which rows judge: one rule for test rows, selection folds and a network's watching rows.

A project says once how its rows may be parted (`split`): at random, by time or by group. Everything that parts rows
later parts them the same way, so that selection never sees an easier world than the test.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, train_test_split

from infra.errors import InsufficientData, SpecError
from tasks.contracts.project import Split
from tasks.contracts.values import Span
from tasks.models.spans import begin_within, stop_before

Positions = npt.NDArray[np.intp]
Values = npt.NDArray[Any]


def has_classes(target: Values) -> bool:
    """Return whether these are classes, and not values (floats) or sets of labels (unsigned), as `inputs.read_target` has it."""
    return target.dtype.kind not in "fu"


def hold_out(
    target: Values, by: Values | None, split: Split, *, share: float, seed: int, window: Span | None = None
) -> tuple[Positions, Positions]:
    """Return the positions of the rows that are kept and of those held out; rows within `split.gap` are in neither.

    Parameters
    ----------
    target
        Class of each row, or a regression's value, shape (n,).
    by
        Value of `split.column` for each row, shape (n,); None for a random split.
    split
        The project's rule.
    share
        Share of the rows to hold out, 0 to 1 exclusive. Where rows may not be parted (ties, groups) the nearest
        possible share is taken.
    seed
        Of random and grouped splits.
    window
        Of ordered splits: no more than the last so many rows, or so long a time, before the gap are kept.

    Raises
    ------
    InsufficientData
        The rows cannot be parted so that both sides have some.
    """
    if len(target) < 2:
        raise InsufficientData(f"Expected at least 2 rows to part, received {len(target)}.")
    if split.method == "random":
        return _random(target, split, share, seed)
    if split.method == "ordered":
        order = np.argsort(_complete(by, split), kind="stable")
        ordered = _complete(by, split)[order]
        cut = _cut_between_ties(ordered, len(order) - _rows(len(order), share))
        return order[_past(ordered, cut, split, window)], order[cut:]
    return _grouped(_complete(by, split), share, seed)


def hold_out_days(by: Values, split: Split, days: float) -> tuple[Positions, Positions]:
    """Return the positions of the rows before the last `days` days and of those within them, both in order of time.

    Held out are the rows later than the newest one less `days` days.

    Parameters
    ----------
    by
        Time of each row (`split.column`), datetime64 in UTC, shape (n,).
    split
        The project's rule: names the column.
    days
        Length of the stretch that is held out, above 0.

    Raises
    ------
    InsufficientData
        No row is older: nothing would be left to train.
    SpecError
        The column does not hold times.
    """
    if not np.issubdtype(by.dtype, np.datetime64):
        raise SpecError(
            f"split.test_days: expected times in {split.column!r} to count days by, received {by.dtype}.",
            remedy="Split by a column of type datetime, or give `test_share` instead.",
        )
    if len(by) == 0:
        raise InsufficientData("Expected at least 2 rows to part, received 0.")
    times = _complete(by, split)
    start = times.max() - np.timedelta64(round(days * 86_400_000_000), "us")
    order = np.argsort(times, kind="stable")
    cut = int(np.searchsorted(times[order], start, side="right"))
    if cut == 0:
        raise InsufficientData(
            f"Expected rows older than the last {days:g} days, which are the test (split.test_days); all {len(by)} rows "
            f"are of {times.min()} to {times.max()}: nothing is left to train.",
            remedy="Read more of the past, or make `split.test_days` shorter.",
        )
    return order[_past(times[order], cut, split)], order[cut:]


def read_order(column: "pd.Series[Any]") -> Values:
    """Return the values that rows are parted by; times as datetime64 in UTC, which sorts a hundred times faster."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return np.asarray(column.dt.tz_convert("UTC").dt.tz_localize(None))
    return np.asarray(column)


def cross_validate(
    target: Values,
    by: Values | None,
    split: Split,
    *,
    folds: int,
    repeats: int,
    seed: int,
    window: Span | None = None,
) -> list[tuple[Positions, Positions]]:
    """Return the (fit, judge) positions of every fold.

    Random splits give repeated stratified folds, grouped ones repeated stratified folds of whole groups; of a regression,
    which has no classes to keep the shares of, plain ones. Ordered
    ones give an expanding window (each fold is judged on rows that come after all it was fitted on, by `split.gap` at least),
    or one that moves along, where a `window` bounds how far back it reaches; there is only one such cut, so `repeats` does
    not apply.

    Raises
    ------
    InsufficientData
        Fewer rows in a class, groups or points in time than folds; no row before the gap.
    """
    if split.method == "ordered":
        return _forward(_complete(by, split), split, folds, window)
    if split.method == "grouped":
        groups = _complete(by, split)
        _at_least(len(np.unique(groups)), folds, f"groups of {split.column!r}")
        return list(_repeat(lambda s: _group_folds(target, groups, folds, s), repeats, seed))
    if has_classes(target):
        classes, counts = np.unique(target, return_counts=True)
        _at_least(int(counts.min()), folds, f"training rows of class {classes.tolist()[counts.argmin()]!r}")
    else:
        _at_least(len(target), folds, "training rows")
    return list(_repeat(lambda s: _row_folds(target, folds, s), repeats, seed))


def _rows(n: int, share: float) -> int:
    # Rounded up, as scikit-learn does.
    return min(max(int(np.ceil(n * share)), 1), n - 1)


def _complete(by: Values | None, split: Split) -> Values:
    if by is None:
        raise InsufficientData(f"Expected the column {split.column!r} to part the rows by; it is not there.")
    missing = int(pd.isna(by).sum())
    if missing:
        raise InsufficientData(
            f"Expected a value of {split.column!r} in every row to part them by; {missing} of {len(by)} are missing.",
            remedy="Give the column `null_share: 0`, or name another in `split.column`.",
        )
    return by


def _random(target: Values, split: Split, share: float, seed: int) -> tuple[Positions, Positions]:
    try:
        kept, held = train_test_split(
            np.arange(len(target)), test_size=share, random_state=seed, stratify=target if split.stratify else None
        )
    except ValueError as error:
        raise InsufficientData(
            f"{len(target)} rows cannot be parted at random with a share of {share}: {error}",
            remedy="More rows are needed, of every class.",
        ) from error
    return kept, held


def _cut_between_ties(ordered: Values, wanted: int) -> int:
    value = ordered[wanted]
    choices = [
        int(c)
        for c in (np.searchsorted(ordered, value), np.searchsorted(ordered, value, "right"))
        if 0 < c < len(ordered)
    ]
    if not choices:
        raise InsufficientData(
            f"Expected rows before and after a cut, received {len(ordered)} rows with one value: {value}.",
            remedy="Order the rows by a column that differs between them.",
        )
    return min(choices, key=lambda cut: abs(cut - wanted))


def _grouped(groups: Values, share: float, seed: int) -> tuple[Positions, Positions]:
    names, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    _at_least(len(names), 2, "groups")
    shuffled = np.random.default_rng(seed).permutation(len(names))
    filled = np.cumsum(sizes[shuffled])[:-1]
    taken = int(np.argmin(np.abs(filled - _rows(len(groups), share)))) + 1
    held = np.isin(member, shuffled[:taken])
    return np.flatnonzero(~held), np.flatnonzero(held)


def _past(ordered: Values, start: int, split: Split, window: Span | None = None) -> slice:
    """Return which of the ordered rows may be fitted where judging begins at `start`."""
    stop = stop_before(ordered, start, split.gap, split.column)
    if stop == 0:
        raise InsufficientData(
            f"Expected rows before the gap of {_say_span(split.gap)} (split.gap) that goes before the rows from {ordered[start]} on; "
            f"all {start} older rows lie in it: nothing is left to fit.",
            remedy="Read more of the past, make `split.gap` shorter, or take fewer folds (`selection.folds`).",
        )
    return slice(begin_within(ordered, stop, window, split.column), stop)


def _say_span(span: Span | None) -> str:
    return f"{span} rows" if isinstance(span, int) else str(span)


def _forward(by: Values, split: Split, folds: int, window: Span | None) -> list[tuple[Positions, Positions]]:
    order = np.argsort(by, kind="stable")
    ordered = by[order]
    starts = np.unique(ordered, return_index=True)[1]
    _at_least(len(starts), folds + 1, "points in time")
    wanted = np.arange(1, folds + 1) * len(order) / (folds + 1)
    nearest = starts[np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)]
    cuts = [*np.unique(nearest[nearest > 0]), len(order)]
    _at_least(len(cuts) - 1, folds, "separable stretches of time")
    return [(order[_past(ordered, start, split, window)], order[start:end]) for start, end in pairwise(cuts)]


def _repeat(
    make: Callable[[int], Iterator[tuple[Positions, Positions]]], repeats: int, seed: int
) -> Iterator[tuple[Positions, Positions]]:
    for repeat in range(repeats):
        yield from make(seed + repeat)


def _row_folds(target: Values, folds: int, seed: int) -> Iterator[tuple[Positions, Positions]]:
    kind = StratifiedKFold if has_classes(target) else KFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.empty((len(target), 0)), target)


def _group_folds(target: Values, groups: Values, folds: int, seed: int) -> Iterator[tuple[Positions, Positions]]:
    kind = StratifiedGroupKFold if has_classes(target) else GroupKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    yield from splitter.split(np.empty((len(target), 0)), target, groups)


def _at_least(received: int, expected: int, what: str) -> None:
    if received < expected:
        raise InsufficientData(
            f"Expected at least {expected} {what}, received {received}.",
            remedy="More rows are needed, or fewer folds in `selection.folds`.",
        )
