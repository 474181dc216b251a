"""What a replay came to, in words: the worst window is the one in which the loop cost most, whichever way the metric points."""

from datetime import UTC, datetime

import pytest

from flows.cli.monitoring import summarise
from tasks.contracts.monitoring import Window
from tasks.contracts.replay import Replay, ReplayedWindow


def lived(month: int, frozen: float, kept_fit: float, **more: str) -> ReplayedWindow:
    start = datetime(2013, month, 1, tzinfo=UTC)
    window = Window(name=f"2013-{month:02d}", start=start, end=start.replace(month=month + 1))
    figures = {"frozen": frozen, "kept_fit": kept_fit, "always": kept_fit}
    return ReplayedWindow(
        window=window, rows=10, status="FINE", reasons=(), metric="m", champion="p@1", **figures, **more
    )


@pytest.mark.parametrize(
    ("direction", "worst"), [("higher", "2013-03: kept fit -1.000"), ("lower", "2013-04: kept fit +2.000")]
)
def test_the_worst_window_is_worst_in_the_sense_of_the_metric(direction: str, worst: str) -> None:
    windows = (lived(3, 12, 11, direction=direction), lived(4, 12, 14, direction=direction))
    said = summarise(Replay(project="p", first="p@1", windows=windows))
    assert f"worst     {worst} against frozen" in said[-1]
