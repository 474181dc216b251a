"""From one prediction back to all that made it: row, batch, version, gate, release, data, code."""

from bisect import bisect
from typing import TYPE_CHECKING, NamedTuple

from infra.errors import IntegrityError, UsageError, name_values
from infra.registry.records import BatchRow, ReleaseRow
from infra.workspace import open_workspace
from tasks.batches import find_batch, read_predictions, read_quarantine
from tasks.release.stored import StoredVersion, find_version

if TYPE_CHECKING:
    import pandas as pd

NEIGHBOURS = 2


class PredictionId(NamedTuple):
    """What names a prediction for ever: PROJECT/WINDOW/ROW."""

    project: str
    window: str
    row: str

    def __str__(self) -> str:
        return "/".join(self)


class Trace(NamedTuple):
    """One prediction, and what made it."""

    id: PredictionId
    time: str
    prediction: object
    probabilities: dict[str, float]
    batch: BatchRow
    version: StoredVersion
    release: ReleaseRow | None
    """The move that had made the version champion when the batch was scored."""


def parse_prediction_id(text: str) -> PredictionId:
    """Return the parts of an id; a row's own id may hold slashes.

    Raises
    ------
    UsageError
        It has not three parts.

    Examples
    --------
    >>> parse_prediction_id("flights/2013-07/EWR/1545").row
    'EWR/1545'
    """
    parts = text.split("/", 2)
    if len(parts) != 3 or not all(parts):
        raise UsageError(
            f"Expected the id of a prediction, PROJECT/WINDOW/ROW, received {text[:200]!r}.",
            remedy="For example flights/2013-07/EWR-1545, where EWR-1545 is the row's own id.",
        )
    return PredictionId(*parts)


def trace_prediction(text: str) -> Trace:
    """Return what made a prediction.

    Raises
    ------
    UsageError
        There is no such window or row; names the nearest, and why a row was set aside.
    BlobNotFound, IntegrityError
        The store does not have what the registry names.
    """
    asked = parse_prediction_id(text)
    batch = find_batch(asked.project, asked.window)
    predictions = read_predictions(batch)
    found = predictions[predictions["row_id"] == asked.row]
    if found.empty:
        raise _unknown_row(asked, batch, predictions["row_id"])
    row = found.iloc[0]
    if row["version"] != batch.model:
        raise IntegrityError(f"{asked}: the prediction names {row['version']}, its batch {batch.model}.")
    scores = {str(name)[2:]: float(row[name]) for name in predictions.columns if str(name).startswith("p_")}
    answer = row["prediction"]
    return Trace(
        id=asked,
        time=row["time"].isoformat(),
        prediction=answer.item() if hasattr(answer, "item") else answer,
        probabilities=scores,
        batch=batch,
        version=find_version(batch.model),
        release=_find_release(batch),
    )


def _find_release(batch: BatchRow) -> ReleaseRow | None:
    """Return the newest move to this version before the batch was kept: the champion may have moved while it was scored."""
    moves = open_workspace().registry.history(batch.project)
    earlier = [move for move in moves if move.version == batch.version and move.at <= batch.scored_at]
    return earlier[-1] if earlier else None


def _unknown_row(asked: PredictionId, batch: BatchRow, ids: "pd.Series[str]") -> UsageError:
    if reason := _find_reason(asked, batch):
        return UsageError(
            f"{asked}: this row was set aside and has no prediction: {reason}.",
            remedy=f"{batch.quarantined_rows:,} rows of this window were set aside, {batch.rows:,} scored.",
        )
    names = sorted(ids)
    place = bisect(names, asked.row)
    near = names[max(0, place - NEIGHBOURS) : place + NEIGHBOURS]
    return UsageError(
        f"{asked}: the window has {batch.rows:,} predictions, none of the row {asked.row!r}.",
        remedy=f"Ids next to it: {name_values(near)}." if near else "All of its rows were set aside.",
    )


def _find_reason(asked: PredictionId, batch: BatchRow) -> str:
    aside = read_quarantine(batch)
    if aside is None:
        return ""
    # As they came, ids are of any type: a row is found by what its id says.
    matches = (aside.drop(columns="reasons", errors="ignore").astype("str") == asked.row).any(axis=1)
    return str(aside.loc[matches, aside.columns[-1]].iloc[0]) if matches.any() else ""
