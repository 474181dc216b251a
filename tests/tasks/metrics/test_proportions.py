"""Reference values are from the literature named at each; sizes are computed, not simulated, where they can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tasks.metrics.proportions import (
    detectable_difference,
    mcnemar_p,
    not_above_p,
    power_of_mcnemar,
    rows_needed,
    score_statistic,
    tango_interval,
    wilson_interval,
)


def test_mcnemar_matches_the_published_airway_example():
    # Bentur et al. 2009 in Fagerland, Lydersen & Laake 2013: 7 against 1, two-sided exact p = 0.0703.
    assert 2 * mcnemar_p(7, 1) == pytest.approx(0.0703, abs=5e-5)


def test_tango_matches_his_published_example():
    # Tango 1998: 44 pairs, one discordant; 90 % interval and test of non-inferiority at 0.1.
    assert tango_interval(0, 1, 44, 0.05) == pytest.approx((-0.096, 0.037), abs=5e-4)
    assert float(score_statistic(0, 1, 44, -0.1)) == pytest.approx(1.709, abs=1e-3)


def test_tango_matches_the_published_airway_example():
    # Fagerland, Lydersen & Laake 2014: 1 against 7 of 21, 95 % interval -0.517 to -0.026.
    assert tango_interval(1, 7, 21, 0.025) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_without_a_discordant_row_tango_has_its_closed_form():
    z2 = stats.norm.isf(0.025) ** 2
    assert tango_interval(0, 0, 30, 0.025)[0] == pytest.approx(-z2 / (30 + z2), abs=1e-6)


def test_wilson_matches_brown_cai_dasgupta():
    assert wilson_interval(0, 10, 0.025) == pytest.approx((0.0, 0.2775), abs=1e-4)


counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 60))


@given(counts)
@settings(max_examples=60)
def test_swapping_the_models_mirrors_the_interval(cells):
    b, c, rest = cells
    n = b + c + rest + 1
    low, high = tango_interval(b, c, n, 0.025)
    assert tango_interval(c, b, n, 0.025) == pytest.approx((-high, -low), abs=1e-6)
    assert low - 1e-9 <= (b - c) / n <= high + 1e-9


@given(counts, st.sampled_from([0.01, 0.05, 0.1]))
@settings(max_examples=40)
def test_one_more_win_instead_of_a_loss_never_looks_worse(cells, margin):
    b, c, rest = cells
    n = b + c + rest + 2
    assert mcnemar_p(b + 1, c) <= mcnemar_p(b, c + 1) + 1e-12
    assert not_above_p(b + 1, c, n, -margin) <= not_above_p(b, c + 1, n, -margin) + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 60])
@pytest.mark.parametrize("margin", [0.01, 0.1])
def test_the_exact_test_of_non_inferiority_keeps_its_level(n, margin):
    b, c = np.divmod(np.arange((n + 1) ** 2), n + 1)
    b, c = b[b + c <= n], c[b + c <= n]
    # Only tables that the normal test would nearly accept can matter.
    near = score_statistic(b, c, n, -margin) > 1.7
    rejected = [
        (x, y) for x, y in zip(b[near], c[near], strict=True) if not_above_p(int(x), int(y), n, -margin) <= 0.025
    ]
    for p_c in np.linspace(margin, (1 + margin) / 2, 37):
        p_b = p_c - margin
        cells = [(x, y, n - x - y) for x, y in rejected]
        size = sum(stats.multinomial.pmf(cells, n, [p_b, p_c, max(0.0, 1 - p_b - p_c)]))
        assert size <= 0.025 + 1e-3


def test_the_normal_test_agrees_with_the_exact_one_where_they_meet():
    exact = not_above_p(8, 6, 100, -0.05)
    assert float(stats.norm.sf(score_statistic(8, 6, 100, -0.05))) == pytest.approx(exact, abs=0.02)


def test_the_power_is_what_simulation_says():
    n, difference, discordance = 400, 0.05, 0.1
    rng = np.random.default_rng(0)
    m = rng.binomial(n, discordance, 4_000)
    wins = rng.binomial(m, (1 + difference / discordance) / 2)
    simulated = np.mean([mcnemar_p(int(b), int(d - b)) <= 0.025 for b, d in zip(wins, m, strict=True)])
    assert power_of_mcnemar(n, difference, discordance, 0.025) == pytest.approx(simulated, abs=0.03)


@pytest.mark.parametrize("n", [30, 1_000, 25_000])
def test_the_detectable_difference_has_the_power_it_claims(n):
    seen = detectable_difference(n, 0.08, 0.025)
    assert power_of_mcnemar(n, seen, 0.08, 0.025) == pytest.approx(0.8, abs=0.02)


def test_five_rows_can_show_nothing():
    assert detectable_difference(5, 0.0, 0.025) == float("inf")


def test_rows_needed_and_detectable_difference_are_inverse():
    difference = detectable_difference(5_000, 0.08, 0.025)
    assert rows_needed(difference, 0.08, 0.025) == pytest.approx(5_000, rel=0.05)
