"""Columns that are constant, empty, alike or few: each has a defined answer, whatever its type."""

import numpy as np
import pandas as pd
import pytest

from tasks.contracts.upkeep import Drift
from tasks.images import encode_png
from tests.tasks.monitoring.builders import change_of, judge
from tests.tasks.pictures import picture_rows

RNG = np.random.default_rng(0)
DAYS = pd.date_range("2013-01-01", periods=400, freq="D", tz="UTC")
VARIED = {
    "number": RNG.normal(size=400),
    "integer": RNG.poisson(4, 400),
    "category": RNG.choice(["a", "b", "c"], 400),
    "boolean": RNG.random(400) < 0.5,
    "datetime": DAYS,
    "text": [" ".join(RNG.choice(["late", "gate", "rain", "crew"], 6)) for _ in range(400)],
    "image": picture_rows(400)["picture"].to_list(),
}
CONSTANT = {
    "number": 5.5,
    "integer": 3,
    "category": "d",
    "boolean": True,
    "datetime": pd.Timestamp("2013-08-01", tz="UTC"),
    "text": "cancelled",
    "image": encode_png(np.full((8, 8), 7, np.uint8)),
}
KINDS = list(VARIED)
FIRST = {"datetime": "k (hour)", "image": "k (brightness)"}
"""The first measure of a column that is looked at through several."""


def column(values, n: int = 400) -> pd.DataFrame:
    return pd.DataFrame({"k": values if not np.isscalar(values) and values is not None else [values] * n})


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_that_became_constant_drifts_and_one_that_always_was_does_not(kind) -> None:
    varied, constant = column(VARIED[kind]), pd.DataFrame({"k": [CONSTANT[kind]] * 400})
    report = judge(varied, constant, {"k": kind})
    if kind == "datetime":
        assert report.alarm is None, "one time shows no hour, weekday or month: it cannot be told"
    else:
        assert FIRST.get(kind, "k") in report.drifted
    assert not judge(constant, constant, {"k": kind}).alarm
    assert not judge(varied, varied, {"k": kind}).alarm


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "datetime"])
def test_a_column_that_was_constant_and_now_varies_drifts(kind) -> None:
    report = judge(pd.DataFrame({"k": [CONSTANT[kind]] * 400}), column(VARIED[kind]), {"k": kind})
    assert FIRST.get(kind, "k") in report.drifted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stored", ["typed", "untyped"])
def test_a_column_without_any_value_is_a_change_where_it_had_some_and_none_where_it_had_not(kind, stored) -> None:
    varied = column(VARIED[kind])
    empty = pd.DataFrame({"k": pd.Series([None] * 400, dtype=object)})
    if stored == "typed":
        dtype = {"number": float, "integer": "Int64", "boolean": "boolean", "datetime": varied["k"].dtype}
        empty = empty.astype({"k": dtype.get(kind, "str")})
    for before, now in ((varied, empty), (empty, varied)):
        report = judge(before, now, {"k": kind})
        assert [(each.name, each.test) for each in report.changes if each.drifted] == [("k", "nulls")]
        assert "all missing" in " ".join(each.note for each in report.changes)
    assert not judge(empty, empty, {"k": kind}).alarm


def test_a_new_category_among_few_rows_and_among_many() -> None:
    before = pd.DataFrame({"k": ["a", "b"] * 500})
    for share, drifts in ((0.01, False), (0.2, True)):
        new = int(400 * share)
        now = pd.DataFrame({"k": ["new"] * new + ["a", "b"] * ((400 - new) // 2)})
        report = judge(before, now, {"k": "category"})
        assert report.alarm is drifts, report.reason
        assert f"{share:.1%} of the rows hold values that are new" in change_of(report, "k").note


@pytest.mark.parametrize("copies", [1, 5, 20])
def test_copies_of_a_column_alarm_together_or_not_at_all(copies) -> None:
    rng = np.random.default_rng(1)
    before, quiet = rng.normal(size=1_000), rng.normal(size=400)
    names = [f"x{at}" for at in range(copies)]
    for now, drifts in ((quiet, False), (quiet + 1, True)):
        frames = [pd.DataFrame(dict.fromkeys(names, values)) for values in (before, now)]
        report = judge(*frames, dict.fromkeys(names, "number"))
        assert report.alarm is drifts
        assert len(report.drifted) == (copies if drifts else 0)


@pytest.mark.parametrize(
    ("before", "now"), [(400, 4_000), (4_000, 400), (100, 5_000), (400, 401)],
    ids=["larger window", "larger reference", "much larger window", "about the same"],
)  # fmt: skip
def test_reference_and_window_may_have_any_number_of_rows(before, now) -> None:
    rng = np.random.default_rng(2)
    reference, window = pd.DataFrame({"k": rng.normal(size=before)}), pd.DataFrame({"k": rng.normal(size=now)})
    assert judge(reference, window, {"k": "number"}).alarm is False
    report = judge(reference, window + 1, {"k": "number"})
    assert report.alarm is True
    assert (change_of(report, "k").reference_rows, change_of(report, "k").window_rows) == (before, now)


@pytest.mark.parametrize("rows", [0, 1, 29, 49])
def test_very_few_rows_say_nothing_however_they_look(rows) -> None:
    before, now = pd.DataFrame({"k": np.arange(500.0)}), pd.DataFrame({"k": np.full(rows, 1e6)})
    report = judge(before, now, {"k": "number"})
    assert report.alarm is None
    assert f"The window has {rows} rows, at least 50 are needed (drift.min_rows)" in report.reason
    assert judge(now, before, {"k": "number"}).alarm is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_with_few_values_among_enough_rows_is_not_compared_and_says_so(kind) -> None:
    few = column(VARIED[kind]).astype({"k": object})
    few.loc[20:, "k"] = None
    other = few.iloc[::-1].reset_index(drop=True)
    report = judge(few, other, {"k": kind}, rules=Drift(min_rows=50))
    assert not report.alarm
    assert "too few values: 20 here, 20 in the reference, 30 needed" in change_of(report, FIRST.get(kind, "k")).note
