"""Rows of one window as they are known when they are scored, and the labels that came in since: `monitoring` in project.yaml."""

from datetime import datetime

import pandas as pd

from infra.errors import SourceError, SpecError, UsageError, name_values
from tasks.contracts.upkeep import Monitoring
from tasks.ingestion.reading import call_function, read_times
from tasks.project import LoadedProject

WINDOW_DAYS = {"day": 1, "week": 7, "month": 31}


def read_window_rows(project: LoadedProject, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the raw rows from `start` (inclusive) up to `end` (exclusive), as `monitoring.rows` gives them.

    Whether they keep the contract is left to validation; a time that cannot be read stays, for it to say so.

    Parameters
    ----------
    project
        Its function is called with `start`, `end` and, where it has such a parameter, `folder`.
    start, end
        With a time zone.

    Raises
    ------
    UsageError
        The window has no length or no time zone.
    SpecError
        The project has no `monitoring.rows`, or the function does not take what it is given.
    SourceError
        It does not return a DataFrame, rows of another window, or the target with them.
    """
    _require_window(start, end)
    name = _function_of(project, "rows")
    raw_rows = call_function(name, project.load(name), project.folder.path, {"start": start, "end": end})
    spec = project.spec
    if told := [column for column in (spec.target, *spec.labels) if column in raw_rows]:
        raise SourceError(
            f"{name}: expected rows as they are known when they are scored, received the target {name_values(told)} with them.",
            remedy="Leave it out here; `monitoring.labels` brings it once it is known.",
        )
    raw_rows = _with_columns(raw_rows, [str(spec.row_id), str(spec.time)], name)
    times = read_times(raw_rows[str(spec.time)])
    strange = raw_rows[(times < pd.Timestamp(start)) | (times >= pd.Timestamp(end))]
    if len(strange):
        raise SourceError(
            f"{name}: expected rows from {start} up to {end}; {len(strange)} of {len(raw_rows)} lie outside by "
            f"{spec.time!r}: {name_values(strange[str(spec.row_id)], limit=3)}.",
            remedy="Return rows with start <= time < end, compared in UTC: each row belongs to one window.",
        )
    return raw_rows


def read_labels(project: LoadedProject, start: datetime, end: datetime, as_of: datetime) -> pd.DataFrame:
    """Return the labels known at `as_of` of the rows from `start` up to `end`: the row id and the target, nothing else.

    A label without a value is not known yet and left out; one that came twice and says the same is one.

    Parameters
    ----------
    project
        Its `monitoring.labels.function` is called with `start`, `end`, `as_of` and, where it has such a parameter, `folder`.
    start, end, as_of
        With a time zone.

    Raises
    ------
    UsageError
        The window has no length or no time zone.
    SpecError
        The project has no such function, or it does not take what it is given.
    SourceError
        It does not return a DataFrame with both columns, or two different labels of one row.
    """
    _require_window(start, end)
    _require_zone(as_of, "as_of")
    name, spec = _function_of(project, "labels.function"), project.spec
    given = {"start": start, "end": end, "as_of": as_of}
    raw_labels = call_function(name, project.load(name), project.folder.path, given)
    row_id = str(spec.row_id)
    truth = list(spec.target_columns)
    labels = _with_columns(raw_labels, [row_id, *truth], name)[[row_id, *truth]]
    if missing := int(labels[row_id].isna().sum()):
        raise SourceError(
            f"{name}: expected a {row_id!r} with every label; {missing} of {len(labels)} are missing.",
            remedy="A label without its row's id belongs to nobody.",
        )
    labels = labels[labels[truth].notna().all(axis=1)].drop_duplicates()
    if twice := labels.loc[labels[row_id].duplicated(), row_id].unique().tolist():
        raise SourceError(
            f"{name}: expected one label a row as of {as_of}, received different ones of {name_values(twice, limit=3)}.",
            remedy="Where labels are corrected later, return the newest that is known at as_of.",
        )
    return labels.reset_index(drop=True)


def read_as_scored(project: LoadedProject, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Return the newest window of these rows as `monitoring.rows` gives it; None where the project cannot tell.

    Parameters
    ----------
    rows
        Rows that train, with their `time`.

    Raises
    ------
    SpecError, SourceError
        As `read_window_rows`.
    """
    spec, monitoring = project.spec, project.spec.monitoring
    if monitoring is None or monitoring.rows is None or spec.time not in rows:
        return None
    newest = read_times(rows[str(spec.time)]).max()
    if pd.isna(newest):
        return None
    start = newest - pd.Timedelta(days=WINDOW_DAYS[monitoring.window])
    return read_window_rows(project, start.to_pydatetime(), (newest + pd.Timedelta(seconds=1)).to_pydatetime())


def _function_of(project: LoadedProject, key: str) -> str:
    monitoring = project.spec.monitoring or Monitoring()
    name = monitoring.rows if key == "rows" else monitoring.labels.function
    if name is None:
        wanted = "(start, end)" if key == "rows" else "(start, end, as_of)"
        raise SpecError(
            f"{project.spec.name}: no function in monitoring.{key}.",
            remedy=f"Name one of the project's, `module:function{wanted}`, or give the window's rows as a file.",
        )
    return name


def _require_window(start: datetime, end: datetime) -> None:
    _require_zone(start, "start")
    _require_zone(end, "end")
    if start >= end:
        raise UsageError(f"Expected a window that ends after it starts, received {start} to {end}.")


def _require_zone(time: datetime, name: str) -> None:
    if time.tzinfo is None:
        raise UsageError(f"Expected a time zone with `{name}`, received {time}.", remedy="UTC, for example.")


def _with_columns(raw: pd.DataFrame, wanted: list[str], name: str) -> pd.DataFrame:
    """Refuse rows without these columns; no rows at all may come without columns."""
    absent = [column for column in wanted if column not in raw]
    if absent and len(raw):
        raise SourceError(
            f"{name}: expected the columns {name_values(wanted)}, received {name_values(raw.columns, limit=12)}.",
            remedy=f"Return {name_values(absent)} as well.",
        )
    return raw.reindex(columns=[*raw.columns, *absent]) if absent else raw
