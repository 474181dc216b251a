"""Windows by name: which times a month, an ISO week or a day covers, in UTC, from its start up to its end."""

import re
from datetime import UTC, date, datetime, timedelta

from infra.errors import UsageError
from tasks.contracts.monitoring import Window

DAY = timedelta(days=1)


def parse_window(name: str) -> Window:
    """Return the window of this name.

    Parameters
    ----------
    name
        2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day).

    Raises
    ------
    UsageError
        It names no window.

    Examples
    --------
    >>> parse_window("2013-W28").start.isoformat()
    '2013-07-08T00:00:00+00:00'
    """
    try:
        start, end = _read(name)
    except (ValueError, OverflowError):
        raise UsageError(
            f"Expected a window such as 2013-07 (month), 2013-W28 (week) or 2013-07-14 (day), received {name[:80]!r}.",
            remedy="Windows are in UTC; `monitoring.window` in project.yaml says which length the project has.",
        ) from None
    return Window(name=name, start=_midnight(start), end=_midnight(end))


def _read(name: str) -> tuple[date, date]:
    if match := re.fullmatch(r"([0-9]{4})-([0-9]{2})", name):
        first = date(int(match[1]), int(match[2]), 1)
        return first, (first + 31 * DAY).replace(day=1)
    if match := re.fullmatch(r"([0-9]{4})-W([0-9]{2})", name):
        monday = date.fromisocalendar(int(match[1]), int(match[2]), 1)
        return monday, monday + 7 * DAY
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", name):
        raise ValueError(name)
    day = date.fromisoformat(name)
    return day, day + DAY


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
