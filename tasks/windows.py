"""Windows of time in UTC: days, ISO weeks and months. The windows of one length partition time."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from infra.errors import UsageError
from tasks.contracts.monitoring import Window
from tasks.contracts.project import ProjectSpec

Length = Literal["day", "week", "month"]
_DAY = timedelta(days=1)


def window_containing(moment: datetime, length: Length) -> Window:
    """Return the window of this length that holds the moment.

    Weeks are those of ISO 8601: from Monday on, in the year that holds their Thursday.

    Parameters
    ----------
    moment
        With a time zone.

    Raises
    ------
    UsageError
        The moment has no time zone.

    Examples
    --------
    >>> window_containing(datetime(2013, 7, 14, 23, 59, tzinfo=UTC), "week").name
    '2013-W28'
    """
    if moment.tzinfo is None:
        raise UsageError(
            f"Expected a time with its zone, received {moment.isoformat()}.", remedy="Say 2013-07-14T12:00:00+00:00."
        )
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "day":
        return Window(name=f"{day:%Y-%m-%d}", start=day, end=day + _DAY)
    if length == "week":
        monday = day - day.weekday() * _DAY
        year, week, _ = monday.isocalendar()
        return Window(name=f"{year:04d}-W{week:02d}", start=monday, end=monday + 7 * _DAY)
    first = day.replace(day=1)
    return Window(name=f"{first:%Y-%m}", start=first, end=(first + 31 * _DAY).replace(day=1))


def parse_window(name: str, length: Length | None = None) -> Window:
    """Return the window of this name.

    Parameters
    ----------
    name
        2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day).
    length
        What the project's windows are; None: any.

    Raises
    ------
    UsageError
        It is no such name, there is no such time, or it is of another length.

    Examples
    --------
    >>> parse_window("2013-W28").start.isoformat()
    '2013-07-08T00:00:00+00:00'
    """
    for kind, (pattern, read) in _NAMES.items():
        if not re.fullmatch(pattern, name, re.ASCII):
            continue
        if length not in (None, kind):
            raise UsageError(
                f"Expected the name of a {length}, such as {_EXAMPLES[length or kind]}; received the {kind} {name!r}.",
                remedy="The length of windows is monitoring.window in project.yaml.",
            )
        try:
            return window_containing(read(name), kind)
        except ValueError as error:
            raise UsageError(f"There is no {kind} {name!r}: {error}.") from error
    raise UsageError(
        f"Expected the name of a window, received {name!r}.",
        remedy=f"Say {', '.join(f'{example} ({kind})' for kind, example in _EXAMPLES.items())}.",
    )


def length_of(window: Window) -> Length:
    """Return the length that the window's name says."""
    return next(kind for kind, (pattern, _) in _NAMES.items() if re.fullmatch(pattern, window.name, re.ASCII))


def following_window(window: Window) -> Window:
    """Return the window that begins where this one ends."""
    return window_containing(window.end, length_of(window))


def previous_window(window: Window) -> Window:
    """Return the window that ends where this one begins."""
    return window_containing(window.start - timedelta(microseconds=1), length_of(window))


def same_season(window: Window) -> Window:
    """Return the window a year before: the same month, the week or the day 52 weeks earlier (the same weekday)."""
    length = length_of(window)
    if length == "month":
        return window_containing(window.start.replace(year=window.start.year - 1), length)
    return window_containing(window.start - 364 * _DAY, length)


def windows_between(start: datetime, end: datetime, length: Length) -> Iterator[Window]:
    """Yield the windows that lie wholly from `start` up to `end`, in order of time."""
    window = window_containing(start, length)
    if window.start < start:
        window = following_window(window)
    while window.end <= end:
        yield window
        window = following_window(window)


def find_windows(spec: ProjectSpec, start: datetime, end: datetime) -> list[Window]:
    """Return the project's windows from `start` up to `end`, which can be lived through again.

    Raises
    ------
    UsageError
        The project is not watched or names no functions for rows and labels, or there is no whole window.
    """
    rules = spec.monitoring
    if rules is None or rules.rows is None or rules.labels.function is None:
        raise UsageError(
            f"{spec.name}: a replay needs monitoring.rows and monitoring.labels.function: the past must be readable.",
            remedy="projects/flights shows both.",
        )
    found = list(windows_between(start, end, rules.window))
    if not found:
        raise UsageError(f"There is no whole {rules.window} from {start:%Y-%m-%d} to {end:%Y-%m-%d}.")
    return found


def _read_time(form: str) -> Callable[[str], datetime]:
    return lambda name: datetime.strptime(name, form).replace(tzinfo=UTC)


def _read_week(name: str) -> datetime:
    return datetime.fromisocalendar(int(name[:4]), int(name[6:]), 1).replace(tzinfo=UTC)


_NAMES: dict[Length, tuple[str, Callable[[str], datetime]]] = {
    "day": (r"\d{4}-\d\d-\d\d", _read_time("%Y-%m-%d")),
    "week": (r"\d{4}-W\d\d", _read_week),
    "month": (r"\d{4}-\d\d", _read_time("%Y-%m")),
}
_EXAMPLES: dict[Length, str] = {"day": "2013-07-14", "week": "2013-W28", "month": "2013-07"}
