"""The statistics against other implementations of the same formulas, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from tasks.monitoring.differences import (
    Kept,
    adjust_p,
    compare_missing,
    compare_numbers,
    compare_values,
    keep_values,
    sd_of_shift,
)

P_VALUES = arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1))


@given(P_VALUES)
def test_adjusted_p_values_are_those_of_scipy(p):
    np.testing.assert_allclose(adjust_p(p), stats.false_discovery_control(p), atol=1e-12)


def test_adjusting_many_windows_at_once_is_adjusting_each():
    p = np.random.default_rng(0).random((7, 5))
    np.testing.assert_array_equal(adjust_p(p), [adjust_p(row) for row in p])


def test_the_ks_distance_on_single_values_is_scipy_s():
    rng = np.random.default_rng(1)
    a, b = rng.integers(8, size=150), rng.integers(6, size=400)
    seen = compare_numbers(np.bincount(a, minlength=8), np.bincount(b, minlength=8))
    expected = stats.ks_2samp(a, b)
    assert float(seen.effect) == pytest.approx(expected.statistic)
    assert float(seen.p) == pytest.approx(expected.pvalue, abs=0.02)


def test_chi_square_on_frequent_values_is_scipy_s():
    now, before = np.array([50, 30, 20]), np.array([400, 350, 250])
    seen = compare_values(np.append(now, 0), np.append(before, 0), Kept(np.array([True, True, True, False])))
    expected = stats.chi2_contingency([now, before], correction=False)
    assert float(seen.statistic) == pytest.approx(expected.statistic)
    # Twice the smaller of two tests; at these counts the variance is that of chi-square.
    assert float(seen.p) == pytest.approx(min(1, 2 * expected.pvalue), rel=0.05)


@pytest.mark.parametrize(("rare", "before"), [(0, 3), (1, 0), (4, 2), (9, 1)])
def test_new_and_rare_values_are_tested_exactly(rare, before):
    n, total = 200, 5_000
    now, reference = np.array([n - rare, rare]), np.array([total - before, before])
    seen = compare_values(now, reference, Kept(np.array([True, False])))
    fisher = stats.fisher_exact([[rare, n - rare], [before, total - before]], alternative="greater")
    assert float(seen.p) == pytest.approx(fisher.pvalue, rel=0.1)


@given(st.lists(st.integers(0, 200), min_size=2, max_size=8), st.lists(st.integers(1, 200), min_size=8, max_size=8))
def test_effects_are_shares_and_nothing_is_far_from_itself(now, before):
    now, before = np.array([*now, 1]), np.array(before[: len(now) + 1] + [1] * (len(now) + 1 - len(before)))
    kept = keep_values(before, 100)
    for compare in (compare_numbers, lambda a, b: compare_values(a, b, kept)):
        seen = compare(now, before)
        assert 0 <= float(seen.effect) <= 1
        assert 0 <= float(seen.p) <= 1
        assert float(compare(before, before).effect) == pytest.approx(0)


@given(st.permutations(range(5)))
def test_values_may_be_renamed(order):
    now, before = np.array([50, 10, 5, 30, 9]), np.array([40, 30, 5, 200, 1])
    order = list(order)
    kept = keep_values(np.append(before, 0), 100)
    renamed = keep_values(np.append(before[order], 0), 100)
    first = compare_values(np.append(now, 3), np.append(before, 0), kept)
    second = compare_values(np.append(now[order], 3), np.append(before[order], 0), renamed)
    np.testing.assert_allclose([float(x) for x in first], [float(x) for x in second])


def test_more_missing_values_are_never_a_smaller_effect_nor_a_larger_p():
    missing = np.arange(20, 300)
    seen = compare_missing(missing, 400, 50, 1_000)
    assert np.all(np.diff(seen.effect) > 0)
    assert np.all(np.diff(seen.p) <= 1e-12)


@pytest.mark.parametrize("d", [0.1, 0.3, 1.0])
def test_a_ks_distance_says_how_far_a_normal_was_moved(d):
    assert sd_of_shift(2 * stats.norm.cdf(d / 2) - 1) == pytest.approx(d)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shares", "n", "total"),
    [
        ([0.5, 0.5], 300, 20_000),
        ([0.97, 0.01, 0.01, 0.01], 200, 20_000),
        ([0.97, 0.01, 0.01, 0.01], 200, 500),
        ([1 / 150] * 150, 250, 2_000),
        ([1 / 3_000] * 3_000, 500, 2_000),
    ],
    ids=["two values", "rare ones", "a small reference", "many values", "identifiers"],
)
def test_values_that_did_not_change_are_called_different_as_seldom_as_promised(shares, n, total):
    rng, trials, p = np.random.default_rng(3), 3_000, []
    for _ in range(trials):
        before, now = (np.append(rng.multinomial(rows, shares), 0) for rows in (total, n))
        p.append(float(compare_values(now, before, keep_values(before, n * total / (n + total))).p))
    for level in (0.05, 0.01, 0.001):
        assert np.mean(np.array(p) <= level) <= level + 4 * np.sqrt(level / trials)
