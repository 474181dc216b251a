"""From a project's `source` to raw rows, as they are; what they must be is left to validation."""

import inspect
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from glob import escape
from pathlib import Path
from typing import Any

import pandas as pd

from infra.errors import DataError, LeakFound, SourceError, SpecError
from infra.frames import check_names
from infra.sources.csv_files import MISSING_WORDS, read_csv
from infra.sources.parquet_files import read_parquet
from infra.sources.sql import read_sql
from tasks.contracts.project import ProjectSpec, Sql

PARQUET_ENDINGS = (".parquet", ".pq")


def read_source(
    spec: ProjectSpec, folder: Path, as_of: datetime, call: Callable[[str], Callable[..., Any]]
) -> tuple[pd.DataFrame, str]:
    """Return the raw rows as of a time, and a printable description of where they came from, without secrets.

    Parameters
    ----------
    spec
        The project; its `source` and the types of its columns are read.
    folder
        The project's folder: relative paths start there.
    as_of
        Time as of which the data is read, with a time zone.
    call
        Loads `module:function` of the project. The function gets `as_of` and `folder` where it has such parameters.

    Raises
    ------
    SourceError
        The source cannot be read, or does not give rows with named columns.
    """
    source = spec.source
    if source.function is not None:
        function = call(source.function)
        raw_frame = call_function(source.function, function, folder, {}, {"as_of": as_of})
        described = f"function {source.function}"
    elif source.csv is not None:
        raw_frame, described = read_csv(source.csv, folder, _columns_as_written(spec)), f"csv {_join(source.csv)}"
    elif source.parquet is not None:
        raw_frame, described = read_parquet(source.parquet, folder), f"parquet {_join(source.parquet)}"
    elif source.sql is not None:
        raw_frame, described = _query(source.sql, spec.row_id, as_of), _describe_query(source.sql)
    else:
        raise SourceError("Expected one of function, csv, parquet, sql; received none.", remedy="Complete `source`.")
    try:
        check_names(raw_frame)
    except DataError as error:
        raise SourceError(f"{described}: {error.message}", remedy=error.remedy) from error
    known = known_at(raw_frame, spec.time, as_of, spec.monitoring.labels.delay_days if spec.monitoring else 0.0)
    if source.function is not None and "as_of" in inspect.signature(function).parameters:
        _require_all_known(raw_frame, known, spec, as_of, described)
    return known, described


def read_file(file: Path, spec: ProjectSpec) -> pd.DataFrame:
    """Return the raw rows of one file, its cells read as those of the project's source are.

    Parameters
    ----------
    file
        `.parquet` or `.pq`; anything else is CSV, whose first column may be an index without a name.
    spec
        The project; the types of its columns are read.

    Raises
    ------
    SourceError
        The file is not what its name says.
    """
    path = escape(str(file.resolve()))
    if file.suffix.lower() in PARQUET_ENDINGS:
        return read_parquet(path, file.parent)
    return read_csv(path, file.parent, _columns_as_written(spec), index=True)


def known_at(raw_frame: pd.DataFrame, time: str | None, as_of: datetime, delay_days: float = 0.0) -> pd.DataFrame:
    """Return the rows whose label was due by `as_of`: `delay_days` after their time, or at once.

    All of them where the project names no time column. A time that cannot be read stays: it is validation that says so.
    """
    if time is None or time not in raw_frame:
        return raw_frame
    later = read_times(raw_frame[time]) > pd.Timestamp(as_of) - pd.Timedelta(days=delay_days)
    return raw_frame[~later].reset_index(drop=True) if later.any() else raw_frame


def _require_all_known(
    raw_frame: pd.DataFrame, known: pd.DataFrame, spec: ProjectSpec, as_of: datetime, described: str
) -> None:
    """Refuse later rows of a function that was told the time: what it joins to the others is not to be trusted either."""
    if len(known) == len(raw_frame):
        return
    delay_days = spec.monitoring.labels.delay_days if spec.monitoring else 0.0
    due = f" and labels that are due {delay_days:g} days later" if delay_days else ""
    raise LeakFound(
        f"{spec.name}: {described} was asked for what is known at {as_of}{due}; {len(raw_frame) - len(known)} of "
        f"{len(raw_frame)} rows are later by {spec.time!r}, up to {read_times(raw_frame[str(spec.time)]).max()}.",
        remedy="Return rows with time + delay <= as_of only; where the source cannot tell, leave the parameter `as_of` "
        "out, and later rows are cut off.",
    )


def read_times(raw_times: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return times in UTC; one that cannot be read is missing, one without a zone is UTC."""
    as_written = None if pd.api.types.is_datetime64_any_dtype(raw_times) else "ISO8601"
    return pd.to_datetime(raw_times, utc=True, errors="coerce", format=as_written)


def call_function(
    name: str,
    function: Callable[..., Any],
    folder: Path,
    given: Mapping[str, datetime],
    offered: Mapping[str, datetime] | None = None,
) -> pd.DataFrame:
    """Return the rows that a project's function gives.

    Parameters
    ----------
    name
        `module:function`, for messages.
    given
        Arguments that it must take.
    offered
        Arguments that it gets where it has such parameters; so does it `folder`.

    Raises
    ------
    SpecError
        It does not take what it is given, or asks for more.
    SourceError
        It returns no DataFrame, or one whose columns have no names.
    """
    taken = inspect.signature(function).parameters
    optional = {**(offered or {}), "folder": folder}
    arguments = {**given, **{key: value for key, value in optional.items() if key in taken}}
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise SpecError(
            f"{name}: expected a function of ({', '.join(given)}), received one of ({', '.join(taken)}): {error}.",
            remedy=f"Arguments are given by name; it may also take {' and '.join(f'`{key}`' for key in optional)}.",
        ) from error
    returned = function(**arguments)
    if not isinstance(returned, pd.DataFrame):
        raise SourceError(
            f"{name}: expected a pandas DataFrame, received {type(returned).__name__}.",
            remedy="Return the rows as a DataFrame, one column a feature.",
        )
    named_index = any(level is not None for level in returned.index.names)
    frame = returned.reset_index(drop=not named_index)
    try:
        check_names(frame)
    except DataError as error:
        raise SourceError(f"{name}: {error.message}", remedy=error.remedy) from error
    return frame


def _query(sql: Sql, row_id: str | None, as_of: datetime) -> pd.DataFrame:
    frame = read_sql(sql.query, sql.url_env, as_of)
    if re.search(r"\border\s+by\b", sql.query, re.IGNORECASE) or row_id is None or row_id not in frame:
        return frame
    # A database promises no order: the same rows must be the same snapshot.
    ordered: pd.DataFrame = frame.sort_values([row_id], kind="stable", ignore_index=True)
    return ordered


def _columns_as_written(spec: ProjectSpec) -> dict[str, frozenset[str]]:
    """Name the columns that must not be read as numbers, with the cells that mean "missing" in each."""
    texts = {name: frozenset({""}) for name, column in spec.columns.items() if column.type == "text"}
    for name, column in spec.columns.items():
        if column.type == "category":
            texts[name] = MISSING_WORDS - {str(value) for value in column.allowed or ()}
    return texts


def _describe_query(sql: Sql) -> str:
    return f"sql {' '.join(sql.query.split())} (database in {sql.url_env})"


def _join(patterns: str | list[str]) -> str:
    return patterns if isinstance(patterns, str) else ", ".join(patterns)
