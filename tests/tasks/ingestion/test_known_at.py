"""Rows as of a time: what had not happened yet is not there."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from tasks.ingestion.reading import known_at

NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
TIMES = ["2013-07-01T11:59:59Z", "2013-07-01T12:00:00Z", "2013-07-01T12:00:01Z", "soon", None]


@pytest.mark.parametrize("times", [TIMES, pd.to_datetime([*TIMES[:3], None, None])], ids=["text", "datetime"])
def test_rows_after_the_time_are_left_out_and_unreadable_times_stay(times: object) -> None:
    frame = pd.DataFrame({"at": times, "row": range(5)})
    assert known_at(frame, "at", NOON)["row"].tolist() == [0, 1, 3, 4]


def test_without_a_time_column_every_row_is_known() -> None:
    frame = pd.DataFrame({"row": range(5)})
    assert known_at(frame, None, NOON) is frame
    assert known_at(frame, "at", NOON) is frame


def test_another_zone_is_the_same_time() -> None:
    frame = pd.DataFrame({"at": ["2013-07-01T14:00:00+02:00", "2013-07-01T14:00:01+02:00"]})
    assert len(known_at(frame, "at", NOON)) == 1
