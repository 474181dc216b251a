"""The progress of a study: fits move the bar, epochs do not."""

import logging
from typing import cast

from flows.progress import Bar, ProgressPage, StudyBar


class Shown:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []

    def show(self, key: str, bar: Bar) -> None:
        self.bars.append(bar)


def test_fits_move_the_bar_and_epochs_only_tell_of_themselves() -> None:
    page = Shown()
    bar = StudyBar(cast("ProgressPage", page), "iris")
    for told in (
        {"what": "study: knn on 24 rows", "done": 1, "of": 4, "figures": ""},
        {"what": "study: net on 24 rows, epoch", "done": 3, "of": 3, "figures": ""},
        {"what": "selection: knn", "done": 1, "of": 5, "figures": ""},
        {"what": "study: net on 24 rows", "done": 2, "of": 4, "figures": ""},
    ):
        bar.emit(logging.makeLogRecord({"training": told}))
    bar.emit(logging.makeLogRecord({"step": "study", "phase": "end"}))
    assert page.bars == [
        (25, "knn on 24 rows, fit 1 of 4"),
        (25, "net on 24 rows, epoch 3 of 3"),
        (50, "net on 24 rows, fit 2 of 4"),
        (100, "The study is done."),
    ]
