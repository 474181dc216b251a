"""Labels joined to predictions as of a time: a truth counts once it is known and due, and not before. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd

ROW_ID, TIME, TRUTH, DUE = "row_id", "time", "truth", "due"


def name_rows(ids: "pd.Series[Any]") -> "pd.Series[str]":
    """Return the ids of rows as text, whatever type the project gives them: labels and predictions meet by these.

    >>> name_rows(pd.Series([7, None], dtype="Int64")).tolist()
    ['7', nan]
    """
    return ids.astype("str")


class Delivery(NamedTuple):
    """Labels that came in together. `order` counts the deliveries: of two known at one time the later one counts.

    `labels` has the columns `row_id` (text, each once) and `truth`.
    """

    known_at: datetime
    order: int
    labels: pd.DataFrame


class Maturity(NamedTuple):
    """How much of some scored rows can be judged: matured n of N due (of M scored)."""

    scored: int
    due: int
    matured: int

    def __str__(self) -> str:
        return f"matured {self.matured:,} of {self.due:,} due (of {self.scored:,} scored)"


def join_labels(
    predictions: pd.DataFrame, deliveries: Sequence[Delivery], as_of: datetime, delay: timedelta
) -> pd.DataFrame:
    """Return the predictions with `truth` (missing until it is known and due) and `due` (boolean), rows in their order.

    A row's label is due `delay` after the row's time. What is known of a row at `as_of` is its newest label of those known
    by then, by `known_at` and then by the order of the deliveries; the order in which deliveries are given does not matter.

    Parameters
    ----------
    predictions
        With the columns `row_id` (text, each once) and `time` (UTC); not changed.
    as_of
        The logical time of the question, with a time zone.
    delay
        From a row's time until its label is due.
    """
    return join_known(predictions, latest_labels(deliveries, as_of), as_of, delay)


def join_known(predictions: pd.DataFrame, known: "pd.Series[Any]", as_of: datetime, delay: timedelta) -> pd.DataFrame:
    """Do as `join_labels` with what `latest_labels` returned for the same time: where several windows are joined."""
    due = predictions[TIME] + delay <= pd.Timestamp(as_of)
    # Not `map`: that turns whole numbers with gaps into floats.
    truth = known.reindex(predictions[ROW_ID]).set_axis(predictions.index)
    return predictions.assign(**{TRUTH: truth.where(due), DUE: due.astype(bool)})


def latest_labels(deliveries: Sequence[Delivery], as_of: datetime) -> "pd.Series[Any]":
    """Return what is known of each row at `as_of`: its truth by its id. A row that no delivery names is not there."""
    known = sorted((one for one in deliveries if one.known_at <= as_of), key=lambda one: (one.known_at, one.order))
    if not known:
        return pd.Series([], index=pd.Index([], dtype="str"), dtype=object, name=TRUTH)
    every = pd.concat([one.labels[[ROW_ID, TRUTH]] for one in known], ignore_index=True)
    return every.drop_duplicates(ROW_ID, keep="last").set_index(ROW_ID)[TRUTH]


def count_matured(joined: pd.DataFrame) -> Maturity:
    """Return how many rows of `join_labels` are scored, due and matured."""
    return Maturity(len(joined), int(joined[DUE].sum()), int(joined[TRUTH].notna().sum()))
