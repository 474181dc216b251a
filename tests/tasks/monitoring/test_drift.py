"""What counts as drift, and what does not: each kind of column, the edges, and the laws of the verdict."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.errors import DataError
from tasks.contracts.upkeep import Drift
from tasks.monitoring.drift import Held, decide_drift
from tests.tasks.monitoring.builders import change_of, judge, reference_of, window_of

MIXED = {"x": "number", "k": "integer", "c": "category", "b": "boolean"}
WORDS = [
    "the",
    "plane",
    "was",
    "late",
    "again",
    "and",
    "nobody",
    "at",
    "the",
    "gate",
    "could",
    "say",
    "why",
    "it",
    "rained",
    "in",
    "the",
    "morning",
]


def mixed(seed, n, *, shift=0.0, p=0.5):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "x": rng.normal(shift, 1, n),
            "k": rng.poisson(3, n),
            "c": rng.choice(["a", "b", "c"], n),
            "b": rng.random(n) < p,
        }
    )


def numbers(values):
    return pd.DataFrame({"x": np.asarray(values, dtype=float)})


def test_nothing_changed_is_no_alarm_and_says_of_how_many_tests():
    report = judge(mixed(0, 3_000), mixed(1, 800), MIXED)
    assert report.alarm is False
    assert report.drifted == ()
    assert "None of 4 tests" in report.reason


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("x", lambda rows: rows.assign(x=rows.x + 1)),
        ("x", lambda rows: rows.assign(x=rows.x * 2.5)),
        ("k", lambda rows: rows.assign(k=rows.k + 1)),
        ("c", lambda rows: rows.assign(c=np.where(np.arange(len(rows)) % 3 == 0, "new", rows.c))),
        ("b", lambda rows: rows.assign(b=np.arange(len(rows)) % 5 == 0)),
        ("x", lambda rows: rows.assign(x=rows.x.where(np.arange(len(rows)) % 4 != 0))),
    ],
    ids=["moved", "spread", "counts moved", "a new category", "another share", "a quarter missing"],
)
def test_the_column_that_changed_and_no_other_drifts(name, changed):
    report = judge(mixed(0, 3_000), changed(mixed(1, 800)), MIXED)
    assert report.alarm is True
    assert report.drifted == (name,)


def test_a_change_that_is_significant_and_too_small_to_matter_is_silent():
    report = judge(mixed(0, 200_000), mixed(1, 200_000, shift=0.02), MIXED)
    assert change_of(report, "x").p < 1e-4
    assert report.alarm is False


def test_a_change_that_is_large_and_may_be_chance_is_silent():
    rng = np.random.default_rng(4)
    report = judge(numbers(rng.normal(size=3_000)), numbers(rng.normal(0.25, 1, 60)), {"x": "number"})
    assert change_of(report, "x").effect > 0.05
    assert report.alarm is False


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(300)), st.floats(0, 1))
def test_the_order_of_a_window_s_rows_does_not_count(order, shift):
    before = mixed(0, 1_000)
    now = mixed(1, 300, shift=shift)
    assert judge(before, now, MIXED) == judge(before, now.iloc[list(order)], MIXED)


@settings(max_examples=15, deadline=None)
@given(st.permutations(["a", "b", "c", "new"]))
def test_categories_may_be_renamed(names):
    before, now = mixed(0, 1_000), mixed(1, 300)
    now.loc[:40, "c"] = "new"
    to = dict(zip(["a", "b", "c", "new"], names, strict=True))
    first = judge(before, now, MIXED)
    second = judge(before.assign(c=before.c.map(to)), now.assign(c=now.c.map(to)), MIXED)
    assert [(each.effect, each.drifted) for each in first.changes] == [
        (pytest.approx(each.effect), each.drifted) for each in second.changes
    ]


def test_more_shift_is_never_less_effect():
    before, now = mixed(0, 2_000), mixed(1, 500)
    effects = [
        change_of(judge(before, now.assign(x=now.x + shift), MIXED), "x").effect for shift in np.linspace(0.2, 3, 8)
    ]
    assert effects == sorted(effects)


def test_one_category_named_in_three_ways_is_one():
    before = pd.DataFrame({"c": np.arange(900) % 3})
    for now in (before.astype(float), before.astype(str), before.astype("Int64")):
        assert change_of(judge(before, now, {"c": "category"}), "c").effect == 0


@pytest.mark.parametrize(
    ("before", "now", "drifts", "note"),
    [
        ([5.0] * 500, [5.0] * 300, False, "constant"),
        ([5.0] * 500, [6.0] * 300, True, "higher"),
        (np.arange(500.0), [np.nan] * 300, True, "all missing here"),
        ([np.nan] * 500, np.arange(300.0), True, "all missing in the reference"),
        ([np.nan] * 500, [np.nan] * 300, False, "all missing here and in the reference"),
        (np.arange(500.0), [np.inf] * 300, True, "300 infinite"),
        (np.arange(500.0), [np.nan] * 290 + [1.0] * 10, True, "too few values"),
        (np.r_[np.zeros(900), np.arange(100.0)], np.r_[np.zeros(270), np.arange(30.0) * 3.3], False, "shift"),
        (np.r_[np.zeros(900), np.arange(100.0)], np.full(300, 1e-9), True, "higher"),
    ],
    ids=[
        "constant",
        "another constant",
        "all missing",
        "was all missing",
        "always missing",
        "all infinite",
        "nearly all missing",
        "ties",
        "ties moved by a hair",
    ],
)
def test_odd_numbers_have_a_defined_answer(before, now, drifts, note):
    report = judge(numbers(before), numbers(now), {"x": "number"})
    assert report.alarm is drifts
    assert any(note in each.note for each in report.changes)


def test_a_constant_category_that_gets_a_new_value_drifts():
    before = pd.DataFrame({"c": ["a"] * 500})
    now = pd.DataFrame({"c": ["a"] * 250 + ["b"] * 50})
    report = judge(before, now, {"c": "category"})
    assert report.drifted == ("c",)
    assert "16.7% of the rows hold values that are new" in change_of(report, "c").note


def test_an_identifier_as_category_is_new_in_every_window_and_no_drift():
    before = pd.DataFrame({"c": [f"id-{at}" for at in range(3_000)]})
    now = pd.DataFrame({"c": [f"id-{at}" for at in range(3_000, 3_500)]})
    assert judge(before, now, {"c": "category"}).alarm is False


def test_times_are_compared_by_hour_weekday_and_month_as_far_as_the_window_shows_them():
    rng = np.random.default_rng(0)
    year = pd.to_datetime("2013-01-01", utc=True) + pd.to_timedelta(rng.integers(365 * 24 * 60, size=4_000), unit="min")
    fortnight = pd.to_datetime("2013-03-01", utc=True) + pd.to_timedelta(rng.integers(14 * 24, size=700), unit="h")
    at_night = fortnight.normalize() + pd.to_timedelta(rng.integers(6, size=700), unit="h")
    before = pd.DataFrame({"t": year})
    assert judge(before, pd.DataFrame({"t": fortnight}), {"t": "datetime"}).alarm is False
    report = judge(before, pd.DataFrame({"t": at_night}), {"t": "datetime"})
    assert report.drifted == ("t (hour)",)
    assert "too short to show every month" in change_of(report, "t (month)").note
    one_day = fortnight.hour.to_numpy() * pd.Timedelta(hours=1) + pd.Timestamp("2013-03-04", tz="UTC")
    assert change_of(judge(before, pd.DataFrame({"t": one_day}), {"t": "datetime"}), "t (hour)").test == "chi2"


def test_missing_times_are_one_change_of_the_column_however_short_the_window():
    before = pd.DataFrame({"t": pd.date_range("2013-01-01", periods=2_000, freq="h", tz="UTC")})
    now = before[:20].sample(300, replace=True, random_state=0).reset_index(drop=True)
    now.loc[::2, "t"] = pd.NaT
    report = judge(before, now, {"t": "datetime"})
    assert [(each.name, each.test) for each in report.changes if each.drifted] == [("t", "nulls")]


def texts(seed, n, words=WORDS):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"t": [" ".join(rng.choice(words, rng.integers(5, 15))) for _ in range(n)]})


@pytest.mark.parametrize(
    ("now", "test"),
    [
        (texts(1, 400, [*WORDS, *WORDS, "invoice", "payment", "overdue"]), "vocabulary"),
        (texts(1, 400, [word for word in WORDS if word not in ("plane", "gate", "rained")]), "domain classifier"),
        (texts(1, 400) + " " + texts(2, 400), "length"),
    ],
    ids=["new words", "lost words", "longer"],
)
def test_texts_that_changed_drift(now, test):
    report = judge(texts(0, 600), now, {"t": "text"})
    assert report.alarm is True
    assert change_of(report, "t", test).drifted


def test_texts_that_did_not_change_seldom_drift():
    alarms = [judge(texts(seed, 300), texts(seed + 100, 200), {"t": "text"}).alarm for seed in range(8)]
    assert sum(alarms) <= 1


def test_a_column_that_matters_little_is_shown_and_raises_no_alarm():
    rules = Drift(min_rows=50, min_importance=0.05)
    before, now = mixed(0, 2_000), mixed(1, 500, shift=1)
    report = judge(before, now, MIXED, rules=rules, importances={"x": 0.01, "k": 0.9})
    assert report.alarm is False
    assert report.drifted == ("x",)
    assert "matter little" in report.reason
    assert judge(before, now, MIXED, rules=rules, importances={"x": 0.06}).alarm is True


@pytest.mark.parametrize(
    ("before", "now", "why"), [(2_000, 199, "window"), (150, 2_000, "reference"), (None, 2_000, "no reference")]
)
def test_what_cannot_be_told_is_unknown_and_never_no_drift(before, now, why):
    reference = reference_of(mixed(0, before or 300), MIXED)
    window = window_of(mixed(1, now, shift=5), reference)
    report = decide_drift(reference if before else None, window, Drift(min_rows=200))
    assert report.alarm is None
    assert why in report.reason
    assert report.drifted == ()


def test_a_missing_column_is_the_data_s_fault():
    with pytest.raises(DataError, match="missing: 'c'"):
        judge(mixed(0, 300), mixed(1, 300).drop(columns="c"), MIXED)


def test_predictions_are_held_against_rows_of_their_own():
    before, now = reference_of(mixed(0, 2_000), MIXED), mixed(1, 500)
    rng = np.random.default_rng(2)
    scores_before = reference_of(numbers(rng.random(700)), {"x": "number"})
    scores = window_of(numbers(rng.random(500) ** 2), scores_before)
    report = decide_drift(before, window_of(now, before), Drift(), beside=[Held(scores_before, scores)])
    assert report.alarm is True
    assert [each.reference_rows for each in report.changes if each.drifted] == [700]


def test_too_few_predictions_are_said_and_do_not_hide_the_rest():
    before, now = reference_of(mixed(0, 2_000), MIXED), mixed(1, 500, shift=1)
    few = reference_of(numbers(np.arange(30.0)), {"x": "number"})
    beside = [Held(few, window_of(numbers(np.arange(500.0)), few))]
    report = decide_drift(before, window_of(now, before), Drift(), beside=beside)
    assert report.drifted == ("x",)
    assert "The reference has 30 rows" in report.changes[-1].note


def test_the_same_seed_gives_the_same_report():
    before, now = mixed(0, 900), mixed(1, 300)
    assert judge(before, now, MIXED, seed=3) == judge(before, now, MIXED, seed=3)


def test_a_summary_survives_its_json():
    reference = reference_of(mixed(0, 500), MIXED)
    assert type(reference).model_validate_json(reference.model_dump_json()) == reference
