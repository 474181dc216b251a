"""The picture of a replay shows what was released, and what was taken back."""

from datetime import UTC, datetime

from tasks.contracts.monitoring import Window
from tasks.contracts.replay import Replay, ReplayedWindow
from tasks.monitoring.timeline import draw_timeline


def live(month: int, **told: object) -> ReplayedWindow:
    start, end = (datetime(2013, each, 1, tzinfo=UTC) for each in (month, month + 1))
    window = Window(name=f"2013-0{month}", start=start, end=end)
    figures = {"frozen": 0.7, "kept_fit": 0.71, "always": 0.69, "metric": "roc_auc", "champion": "flights@1"}
    return ReplayedWindow.model_validate(
        {"window": window, "rows": 9, "status": "FINE", "reasons": (), **figures, **told}
    )


def draw(*windows: ReplayedWindow) -> bytes:
    return draw_timeline(Replay(project="flights", first="flights@1", windows=windows))


def test_what_was_taken_back_is_in_the_picture() -> None:
    plain, undone = draw(live(3), live(4)), draw(live(3), live(4, taken_back="flights@2"))
    assert draw(live(3), live(4)) == plain, "the same replay is the same picture"
    assert plain.startswith(b"\x89PNG")
    assert undone != plain
