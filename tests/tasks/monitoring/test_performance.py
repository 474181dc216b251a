import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.project import Evaluation, ProjectSpec, Source
from tasks.contracts.upkeep import Monitoring, Performance
from tasks.monitoring.performance import measure_performance


def spec_of(metric="accuracy", **performance):
    return ProjectSpec(
        name="demo",
        source=Source(function="demo:load"),
        columns={
            "id": Column(type="integer"),
            "at": Column(type="datetime"),
            "x": Column(type="number"),
            "y": Column(type="category"),
        },
        target="y",
        row_id="id",
        time="at",
        candidates={"dummy": Candidate(estimator="sklearn.dummy.DummyClassifier")},
        evaluation=Evaluation(metric=metric, bootstrap_draws=300),
        monitoring=Monitoring(performance=Performance(**performance)),
    )


def matured(right, n, seed=0):
    """Rows of which a share is answered rightly, with scores to match."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(["no", "yes"], n)
    says = np.where(np.arange(n) < right * n, truth, np.where(truth == "yes", "no", "yes"))
    p = np.where(says == "yes", 0.9, 0.1)
    return pd.DataFrame({"truth": truth, "prediction": says, "p_no": 1 - p, "p_yes": p})


def measure(rows, spec, *, expected=0.9, due=None, scored=None, classes=("no", "yes")):
    due = len(rows) if due is None else due
    return measure_performance(rows, spec, classes=classes, scored=scored or due, due=due, expected=expected)


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss"])
@pytest.mark.parametrize(("right", "fell"), [(0.6, True), (0.9, False)])
def test_a_clear_fall_is_found_whichever_way_the_metric_points(metric, right, fell):
    spec = spec_of(metric, margin=0.02)
    expected = measure(matured(0.9, 1_000), spec, expected=None).value
    report = measure(matured(right, 1_000, seed=1), spec, expected=expected)
    assert report.fell is fell
    assert ("not proven" in report.reason) is not fell


def test_a_fall_within_the_margin_or_within_chance_is_none():
    assert measure(matured(0.85, 5_000), spec_of(margin=0.06)).fell is False
    assert measure(matured(0.86, 250), spec_of(margin=0.02)).fell is False
    assert measure(matured(0.86, 25_000), spec_of(margin=0.02)).fell is True


@pytest.mark.parametrize(
    ("known", "due", "why"),
    [(0, 0, "No label is due yet"), (199, 199, "min_rows"), (800, 1_000, "min_matured")],
    ids=["none due", "too few", "too small a share"],
)
def test_immature_labels_raise_nothing(known, due, why):
    report = measure(matured(0.1, known), spec_of(), due=due, scored=1_000)
    assert report.fell is None
    assert why in report.reason
    assert (report.rows, report.due, report.matured) == (1_000, due, known)


def test_without_a_value_on_test_rows_nothing_can_have_fallen():
    report = measure(matured(0.5, 500), spec_of(), expected=None)
    assert report.fell is None
    assert report.value == pytest.approx(0.5)


def test_one_class_alone_leaves_the_area_undefined():
    rows = matured(0.9, 500)
    report = measure(rows[rows.truth == "yes"], spec_of("roc_auc"))
    assert report.fell is None
    assert "undefined" in report.reason


def test_a_class_that_the_champion_never_saw_counts_against_it():
    rows = matured(1.0, 600)
    rows.loc[:99, "truth"] = "maybe"
    assert measure(rows, spec_of()).value == pytest.approx(500 / 600)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(220)))
def test_the_order_in_which_labels_arrive_does_not_count(order):
    rows, spec = matured(0.8, 220), spec_of("roc_auc")
    assert measure(rows.iloc[list(order)], spec) == measure(rows, spec)
