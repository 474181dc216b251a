"""Whether alarms persist: one window may alarm by chance, several hardly."""

from collections.abc import Sequence


def persists(alarms: Sequence[bool | None], *, needed: int, of_windows: int) -> bool:
    """Return whether the last window alarms, and `needed` of the last `of_windows` ones with it.

    The k of m rule (runs rules of control charts: Western Electric 1956, Statistical Quality Control Handbook). A window
    of which it could not be told takes its place and counts as no alarm.

    Parameters
    ----------
    alarms
        `DriftReport.alarm` of each window in order of time, the present one last.

    Examples
    --------
    >>> persists([True, None, True], needed=2, of_windows=3)
    True
    >>> persists([True, True, False], needed=2, of_windows=3)
    False
    """
    last = list(alarms)[-of_windows:]
    return bool(last) and last[-1] is True and sum(each is True for each in last) >= needed
