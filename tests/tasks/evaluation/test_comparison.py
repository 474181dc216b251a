import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation.comparison import MIN_GROUPS, compare
from tasks.metrics.answers import Answers
from tasks.metrics.multiplicity import holm
from tasks.metrics.proportions import mcnemar_p
from tasks.metrics.registry import METRICS
from tests.tasks.evaluation.builders import draw_pair, right_and_wrong, table_of

NAMES = ["accuracy", "f1", "mcc", "log_loss", "brier", "roc_auc", "pr_auc"]


def held(name, table, **more):
    return compare(METRICS[name], table, *table.models[:2], draws=400, **more)


def swapped(table):
    return type(table)(**{**vars(table), "models": table.models[::-1]})


@pytest.mark.parametrize("name", NAMES)
def test_swapping_the_models_mirrors_the_comparison(name):
    table = draw_pair(2, 70, edge=0.5)
    there, back = held(name, table), held(name, swapped(table))
    assert back.difference == pytest.approx(-there.difference, abs=1e-12)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.03)
    assert back.p_worse == pytest.approx(there.p_better, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name):
    table = draw_pair(4, 60)
    order = np.random.default_rng(1).permutation(60)
    there, here = held(name, table), held(name, table.take(order))
    for field in ("difference", "low", "high", "p_better", "p_worse", "detectable"):
        assert getattr(here, field) == pytest.approx(getattr(there, field), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_positive_is_better_whatever_the_metric_s_direction(name):
    seen = held(name, draw_pair(0, 600, edge=2.0))
    assert seen.difference > 0
    assert seen.p_better <= 0.025 < seen.p_worse


@pytest.mark.slow
@pytest.mark.parametrize("name", ["f1", "balanced_accuracy", "roc_auc", "log_loss"])
def test_an_equal_model_is_seldom_called_better(name):
    for n in (30, 120):
        better = sum(held(name, draw_pair(seed, n), seed=seed).p_better <= 0.025 for seed in range(150))
        # Binomial(150, 0.025) is above 10 once in 500 times.
        assert better <= 10


def test_a_few_wins_and_no_loss_prove_no_more_to_the_bootstrap_than_to_the_exact_test():
    for wins in range(1, 5):
        seen = held("balanced_accuracy", right_and_wrong(30 - wins, wins, 0))
        assert mcnemar_p(wins, 0) > 0.025
        assert seen.p_better > 0.025


def test_models_that_agree_on_thirty_rows_are_not_shown_to_be_equal_within_a_hundredth():
    for name in ("accuracy", "f1", "mcc"):
        assert held(name, right_and_wrong(28, 0, 0, 2), margin=0.01).p_better > 0.025


def test_the_bootstrap_agrees_with_mcnemar_where_there_are_many_rows():
    table = right_and_wrong(800, 70, 50, 80)
    grouped = type(table)(**{**vars(table), "groups": np.arange(1_000)})
    assert held("accuracy", grouped).p_better == pytest.approx(held("accuracy", table).p_better, abs=0.03)


def test_rows_of_one_group_are_not_counted_as_independent():
    table = right_and_wrong(10, 8, 2)
    many = table.take(np.repeat(np.arange(20), 10))
    grouped = type(table)(**{**vars(many), "groups": np.repeat(np.arange(20), 10)})
    assert held("accuracy", many).p_better < 0.001
    assert held("accuracy", grouped).p_better > 0.025


def test_an_equal_model_is_seldom_called_better_on_grouped_rows():
    better = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(15), 20)
        truth = rng.integers(2, size=300)
        tilt = np.repeat(rng.normal(0, 0.08, 15), 20)
        draw = rng.random(300)
        first, second = draw < 0.1 + tilt, draw > 0.9 + tilt
        table = table_of(truth, np.where(first, 1 - truth, truth), np.where(second, 1 - truth, truth), groups=groups)
        better += held("accuracy", table, seed=seed).p_better <= 0.025
    # Binomial(200, 0.025) is above 12 once in 500 times; McNemar, blind to groups, says so four times as often.
    assert better <= 12


def test_too_few_groups_say_nothing():
    table = right_and_wrong(60, 20, 0, 10, groups=np.arange(90) % (MIN_GROUPS - 1))
    seen = held("accuracy", table)
    assert "only 9 independent groups" in seen.reason
    assert seen.p_better == seen.p_worse == 1.0


def test_a_class_too_rare_to_resample_is_named():
    truth = np.r_[np.zeros(40, dtype=int), 1]
    p = np.linspace(0.1, 0.9, 41)
    seen = held("roc_auc", table_of(truth, p, p[::-1].copy()))
    assert "a class is too rare" in seen.reason


def test_nan_answers_compare_to_nothing():
    table = right_and_wrong(20, 5, 5)
    table.models[0].predicted[0] = -1
    seen = held("accuracy", table)
    assert np.isnan(seen.difference)
    assert seen.p_better == 1.0


@pytest.mark.parametrize("name", ["mae", "rmse", "r2"])
def test_a_better_regression_is_seen(name):
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 2, 200)
    models = (
        Answers("candidate", "a", truth + rng.normal(0, 0.5, 200)),
        Answers("champion", "b", truth + rng.normal(0, 1, 200)),
    )
    table = type(draw_pair(0, 5))((), truth, models, np.ones(200, dtype=bool), positive=-1)
    assert held(name, table).p_better <= 0.025
    assert held(name, swapped(table)).p_worse <= 0.025


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(p_values)
def test_holm_lies_between_no_adjustment_and_bonferroni(values):
    for raw, adjusted in zip(values, holm(values), strict=True):
        assert raw <= adjusted <= min(1.0, len(values) * raw) or adjusted == pytest.approx(min(1.0, len(values) * raw))


@given(p_values, st.data())
def test_holm_is_monotone_in_each_p_value(values, data):
    place = data.draw(st.integers(0, len(values) - 1))
    raised = list(values)
    raised[place] = data.draw(st.floats(values[place], 1))
    assert all(after >= before - 1e-12 for before, after in zip(holm(values), holm(raised), strict=True))


def test_holm_matches_a_worked_example():
    # Holm 1979, section 3, with four tests: 4 x 0.005, then 3 x 0.011, 2 x 0.02, 1 x 0.04 made monotone.
    assert holm([0.02, 0.04, 0.005, 0.011]) == pytest.approx([0.04, 0.04, 0.02, 0.033])


@given(st.integers(0, 10_000), st.sampled_from(["f1", "roc_auc"]))
@settings(max_examples=10)
def test_the_same_seed_gives_the_same_comparison(seed, name):
    table = draw_pair(seed, 40)
    # As text, where NaN equals itself.
    assert repr(held(name, table, seed=seed)) == repr(held(name, table, seed=seed))
