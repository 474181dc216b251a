import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.registry import METRICS
from tasks.metrics.resampling import draw_weights, gather, tail_p, widen
from tests.tasks.evaluation.builders import draw_pair, right_and_wrong, table_of

BOOTSTRAPPED = ["balanced_accuracy", "f1", "mcc", "log_loss", "roc_auc", "pr_auc"]


def interval(name, table, **more):
    return measure_with_interval(METRICS[name], table, table.models[0], draws=500, **more)


@pytest.mark.parametrize("name", ["accuracy", *BOOTSTRAPPED])
def test_an_interval_holds_its_value_and_stays_in_the_metric_s_range(name):
    metric = METRICS[name]
    for seed in range(5):
        seen = interval(name, draw_pair(seed, 60))
        assert metric.low <= seen.low <= seen.value <= seen.high <= metric.high
        assert seen.low < seen.high


@pytest.mark.parametrize("name", BOOTSTRAPPED)
def test_the_same_seed_gives_the_same_interval_in_any_order_of_rows(name):
    table = draw_pair(3, 80)
    order = np.random.default_rng(0).permutation(80)
    assert interval(name, table.take(order), seed=7) == interval(name, table, seed=7)
    assert interval(name, table, seed=8) != interval(name, table, seed=7)


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1", "mcc", "roc_auc", "pr_auc"])
def test_no_error_among_thirty_rows_is_no_proof_of_perfection(name):
    truth = np.arange(30) % 2
    table = table_of(truth, np.where(truth == 1, 0.9, 0.1))
    seen = interval(name, table)
    assert seen.value == 1.0
    assert 0.7 < seen.low < 0.97


@pytest.mark.parametrize("name", ["f1", "roc_auc"])
def test_groups_of_one_row_give_the_plain_interval_up_to_noise(name):
    table = draw_pair(5, 150)
    alone = interval(name, table)
    grouped = interval(name, type(table)(**{**vars(table), "groups": np.arange(150)}))
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high), abs=0.02)


def test_rows_that_move_together_widen_the_interval():
    table = draw_pair(5, 50)
    ten_times = table.take(np.repeat(np.arange(50), 10))
    grouped = type(table)(**{**vars(ten_times), "groups": np.repeat(np.arange(50), 10)})
    wide, narrow = interval("f1", grouped), interval("f1", ten_times)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    # f1 and roc_auc of the whole stand for the truth of samples from it.
    whole = draw_pair(0, 20_000)
    rng = np.random.default_rng(1)
    for name in ("f1", "roc_auc"):
        truth = METRICS[name].value(whole.truth, whole.models[0], 2, 1)
        inside = 0
        for _ in range(150):
            seen = interval(name, whole.take(rng.integers(20_000, size=80)))
            inside += seen.low <= truth <= seen.high
        assert inside / 150 >= 0.9


def test_nan_answers_give_nan_throughout():
    table = right_and_wrong(20, 5, 5)
    table.models[0].predicted[3] = -1
    seen = interval("accuracy", table)
    assert np.isnan([seen.value, seen.low, seen.high]).all()


def test_a_nan_metric_survives_json():
    table = right_and_wrong(20, 5, 5)
    table.models[0].predicted[3] = -1
    seen = interval("accuracy", table)
    assert np.isnan(type(seen).model_validate_json(seen.model_dump_json()).value)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.booleans())
@settings(max_examples=40)
def test_every_draw_holds_as_many_units_as_the_sample(seed, n, grouped):
    rng = np.random.default_rng(seed)
    table = table_of(rng.integers(2, size=n), rng.integers(2, size=n))
    groups = rng.integers(max(1, n // 3), size=n) if grouped else None
    sample = gather(METRICS["f1"], table.truth, table.models, k=2, positive=1, groups=groups)
    assert sample.counts.sum() == n
    units = n if groups is None else len(np.unique(groups))
    assert sample.units == units
    for weights in draw_weights(sample, 20, seed, units):
        if groups is None:
            np.testing.assert_array_equal(weights.sum(axis=1), n)
        else:
            first_rows = [np.flatnonzero(sample.groups == g)[0] for g in range(units)]
            picks = weights[:, first_rows] / sample.counts[first_rows]
            np.testing.assert_array_equal(picks.sum(axis=1), units)


@pytest.mark.parametrize("units", [5, 30, 1_000])
def test_widening_and_its_p_value_are_inverse(units):
    share = widen(0.025, units)
    assert share <= 0.025
    assert tail_p(round(share * 1_000_001) - 1, 1_000_000, units) == pytest.approx(0.025, rel=1e-3)
