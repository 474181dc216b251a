"""Drift of pictures: a camera that changed is seen by what it changed, other pictures of the same kind are not."""

import pandas as pd
import pytest

from infra.errors import DataError
from tests.tasks.monitoring.builders import change_of, judge
from tests.tasks.pictures import picture_rows

TYPES = {"picture": "image"}


@pytest.fixture(scope="module")
def reference() -> pd.DataFrame:
    return picture_rows(500)


def test_other_pictures_of_the_same_kind_are_no_drift(reference: pd.DataFrame) -> None:
    report = judge(reference, picture_rows(300, seed=1), TYPES)
    assert report.drifted == ()
    assert [each.name for each in report.changes if each.test == "ks"] == [
        "picture (brightness)", "picture (contrast)", "picture (detail)"
    ]  # fmt: skip


def test_a_darker_camera_is_drift_of_light(reference: pd.DataFrame) -> None:
    report = judge(reference, picture_rows(300, seed=1, gain=0.9), TYPES)
    assert "picture (brightness)" in report.drifted
    assert change_of(report, "picture (brightness)").effect > 0.3


def test_missing_pictures_are_said_once(reference: pd.DataFrame) -> None:
    now = picture_rows(300, seed=1)
    report = judge(reference, now.assign(picture=now["picture"].where(now["n"] % 3 > 0, None)), TYPES)
    assert [each.test for each in report.changes].count("nulls") == 1
    assert report.drifted == ("picture",)


def test_a_column_that_holds_no_pictures_is_an_error_and_never_fine(reference: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="expected pictures"):
        judge(reference, pd.DataFrame({"picture": [b"torn"] * 100}), TYPES)
