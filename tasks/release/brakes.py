"""What stops retraining that starts by itself: cooldown, a cap a day, and a breaker after gates in vain.

A world that a model cannot follow alarms for ever; each retraining costs, and each gate is one more chance to promote by
luck. Only runs that an alarm started count and are held back: a schedule is its own brake, a person needs none.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from tasks.contracts.upkeep import Retraining

DAY = timedelta(days=1)


class AlarmRun(NamedTuple):
    """A retraining that an alarm started and that reached its gate, or failed for a reason that does not pass."""

    at: datetime
    """The time it knew the data of: a replayed year has its own clock."""
    promoted: bool
    """Whether its model was released, or waits for a person who was asked."""


class Brake(NamedTuple):
    """Why no retraining starts, and what to do."""

    kind: Literal["breaker", "cooldown", "cap"]
    reason: str
    remedy: str


def find_brake(
    project: str, runs: Sequence[AlarmRun], now: datetime, rules: Retraining, *, breaker: str | None
) -> Brake | None:
    """Return the brake that is on, the strongest first; None where a retraining may start.

    Parameters
    ----------
    runs
        The project's runs that alarms started, in any order.
    now
        The time up to which the new run knows the data; runs after it do not count.
    breaker
        Why the breaker is open; None where it is closed.
    """
    if breaker is not None:
        remedy = (
            f"See `keepfit history {project}`; `keepfit breaker {project} --close --why …` lets alarms retrain again."
        )
        return Brake("breaker", f"the breaker is open: {breaker}", remedy)
    times = sorted(run.at for run in runs if run.at <= now)
    if times and (since := now - times[-1]) < (cooldown := timedelta(days=rules.cooldown_days)):
        remedy = f"It ends at {times[-1] + cooldown:%Y-%m-%d %H:%M} UTC; `keepfit run {project}` waits for nothing."
        return Brake("cooldown", f"the last one was {_tell(since)} ago, the cooldown is {_tell(cooldown)}", remedy)
    today = sum(now - at < DAY for at in times)
    if today >= rules.max_per_day:
        remedy = f"`retraining.max_per_day` in project.yaml; `keepfit run {project}` is not counted."
        return Brake("cap", f"alarms started {today} retrainings in the last 24 hours", remedy)
    return None


def count_in_vain(runs: Sequence[AlarmRun]) -> int:
    """Return how many of the newest runs in a row promoted nothing.

    Parameters
    ----------
    runs
        Those since somebody closed the breaker: what was before is forgiven.

    >>> from datetime import UTC
    >>> days = [datetime(2013, 1, day, tzinfo=UTC) for day in range(1, 5)]
    >>> count_in_vain([AlarmRun(day, promoted=day.day == 2) for day in days])
    2
    """
    count = 0
    for run in sorted(runs, key=lambda run: run.at, reverse=True):
        if run.promoted:
            break
        count += 1
    return count


def _tell(span: timedelta) -> str:
    days = span / DAY
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.1f} hours"
