"""How far a window's counts lie from the reference's, and how likely chance alone goes as far.

All functions take one window, shape (codes,), or many at once, shape (windows, codes). Throughout n are the window's
rows, N the reference's, and m = nN / (n + N) the rows of a window whose counts vary about a known reference as much
as these do about this one: sqrt(m) (F_n - G_N) tends to the same Brownian bridge as sqrt(m) (F_m - F) (van der Vaart &
Wellner 1996, Weak Convergence and Empirical Processes, section 3.7.1).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from tasks.monitoring.counting import Floats

Counts = npt.NDArray[np.int64] | npt.NDArray[np.float64]

NORMAL_FROM = 5.0
"""Expected rows from which a share is near enough to normal (Cochran 1954, Biometrics 10:417-451)."""


class Difference(NamedTuple):
    """Statistic, p-value and effect, each of shape () or (windows,)."""

    statistic: Floats
    p: Floats
    effect: Floats


def effective_rows(n: "Floats | float", reference: float) -> Floats:
    """Return m = nN / (n + N); 0 where either is 0."""
    n = np.asarray(n, dtype=np.float64)
    return np.asarray(np.divide(n * reference, n + reference, out=np.zeros_like(n), where=(n > 0) & (reference > 0)))


def compare_numbers(window: Counts, reference: Counts) -> Difference:
    """Return the two-sample Kolmogorov-Smirnov test on binned counts.

    D = max |F_n - G_N| over the edges of the bins (Smirnov 1939, Bull. Math. Univ. Moscou 2); p = Q((sqrt(m) + 0.12 +
    0.11 / sqrt(m)) D), Q(x) = 2 Σ (-1)^(k-1) exp(-2 k² x²) (Stephens 1970, J. R. Stat. Soc. B 32:115-122; Press et al.,
    Numerical Recipes, section 14.3). The maximum over edges is at most the one over all values, so that bins and ties
    make p too large, never too small (Conover 1972, J. Am. Stat. Assoc. 67:591-596). The effect is D: the largest share
    of rows by which the window lies below, or above, any value; of a normal shifted by d sd it is 2 Φ(d / 2) - 1.

    >>> float(compare_numbers(np.array([0, 30, 10]), np.array([10, 20, 10])).effect)
    0.25
    """
    n, total = _total(window), float(np.sum(reference))
    gap = np.cumsum(window, axis=-1) / np.maximum(n, 1)[..., None] - np.cumsum(reference) / max(total, 1.0)
    distance = np.max(np.abs(gap), axis=-1, initial=0.0)
    root = np.sqrt(np.maximum(effective_rows(n, total), 1.0))
    return Difference(distance, special.kolmogorov((root + 0.12 + 0.11 / root) * distance), distance)


def sd_of_shift(distance: float) -> float:
    """Return by how many sd a normal would be shifted to lie at this KS distance: 2 Φ⁻¹((1 + D) / 2).

    >>> round(sd_of_shift(0.3829), 2)
    1.0
    """
    return float(2 * stats.norm.ppf((1 + min(distance, 1 - 1e-12)) / 2))


class Kept(NamedTuple):
    """Which values stand for themselves, (codes,), and how many reference rows hold one that only just does."""

    mask: npt.NDArray[np.bool_]
    just: float = 0.0


def keep_values(reference: Counts, rows: float) -> Kept:
    """Return which values stand for themselves: at least one row expected among `rows`, at least 5 in the reference.

    The others are put together. Of values that occur fewer than 5 times, those that happen to occur more often than the
    rest would be picked, and would fall back in the window.
    The last count, of what is none of the values, never stands for itself: new values are among the rare ones.
    """
    counts = np.asarray(reference)
    least = max(np.ceil(float(counts.sum()) / rows - 1e-9), NORMAL_FROM)
    mask = counts >= least
    mask[-1] = False
    return Kept(mask, float(counts[mask & (counts <= least + 1)].sum()))


def compare_values(window: Counts, reference: Counts, kept: Kept) -> Difference:
    """Return the test of homogeneity of values, and the total variation distance.

    Two tests, twice the smaller p (Bonferroni). (1) Among the values that are kept, Pearson's chi-square Σ (a sqrt(N/n) -
    b sqrt(n/N))² / (a + b) (Press et al., Numerical Recipes, section 14.4), referred to the gamma distribution with the
    mean k - 1 and the variance 2 (k - 1) + (Σ 1/p - k² - 2k + 2) / m that it has at small expected counts (Haldane 1937,
    Biometrika 29:133-143). (2) More rows that are rare or new than were to be expected, given their total: binomial
    (Przyborowski & Wilenski 1940, Biometrika 31), exact for rare values, conservative otherwise.

    To be expected are not only the rows of the reference that hold rare values, but also those whose value would be rare
    without them (`kept.just`): a value seen t times is seen t - 1 times by its own rows (Good 1953, Biometrika 40:237-264,
    eq. 2; leaving one out, and one more for the error of that). Otherwise an identifier, new in each row, would always have
    changed.

    The effect is Σ |q - p| / 2 over the kept values and the rest as one: the share of rows that hold another value than
    they would have. Of the rest counts what lies outside the two expectations.

    >>> kept = Kept(np.array([True, True, False]))
    >>> float(compare_values(np.array([50, 50, 0]), np.array([80, 20, 0]), kept).effect)
    0.3
    """
    n, total = _total(window), float(np.sum(reference))
    a, b = window[..., kept.mask], np.asarray(reference, dtype=np.float64)[kept.mask]
    rare, rare_before = n - a.sum(axis=-1), total - float(b.sum())
    expected = rare_before + kept.just
    statistic, p_kept = _chi_square(a, b)
    p_rare = _more_than_chance(rare, expected, n, total)
    gaps = np.abs(a / np.maximum(n, 1)[..., None] - b / max(total, 1.0)).sum(axis=-1)
    share, low, high = rare / np.maximum(n, 1), rare_before / max(total, 1.0), expected / max(total, 1.0)
    effect = (gaps + np.maximum(0.0, np.maximum(share - high, low - share))) / 2
    p = np.minimum(1.0, 2 * np.minimum(p_kept, p_rare)) if len(b) > 1 else p_rare
    return Difference(statistic, np.asarray(p), np.asarray(effect))


def compare_missing(missing: Counts, n: "Counts | int", before: float, total: float) -> Difference:
    """Return the test of equal shares of missing values; the effect is their difference.

    z = (q - p) / sqrt(s (1 - s) (1/n + 1/N)), s the share in both together, two-sided (Pearson 1900 for two shares); where
    fewer than 5 are expected, twice the smaller tail of the binomial given their total (Przyborowski & Wilenski 1940).
    """
    missing = np.asarray(missing, dtype=np.float64)
    n = np.asarray(n, dtype=np.float64)
    together = (missing + before) / np.maximum(n + total, 1.0)
    gap = missing / np.maximum(n, 1.0) - before / max(total, 1.0)
    spread = np.sqrt(together * (1 - together) / np.maximum(effective_rows(n, total), 1e-9))
    z = np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0)
    exact = 2 * np.minimum(_more_than_chance(missing, before, n, total), _fewer_than_chance(missing, before, n, total))
    expected = np.minimum(together, 1 - together) * np.minimum(n, total)
    p = np.where(expected >= NORMAL_FROM, special.erfc(np.abs(z) / np.sqrt(2)), np.minimum(1.0, exact))
    return Difference(z, np.asarray(p), np.abs(gap))


def adjust_p(p: Floats) -> Floats:
    """Return the p-values adjusted over the last axis (Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57, section 3.1).

    q_(i) = min over j >= i of p_(j) k / j. Where nothing changed and the tests are independent or positively dependent, the
    chance of any q <= α is at most α (Simes 1986, Biometrika 73; Benjamini & Yekutieli 2001, Ann. Stat. 29).

    >>> adjust_p(np.array([0.01, 0.02, 0.9])).tolist()
    [0.03, 0.03, 0.9]
    """
    k = p.shape[-1]
    order = np.argsort(p, axis=-1)
    ranked = np.take_along_axis(p, order, axis=-1) * k / np.arange(1, k + 1)
    least = np.minimum(np.minimum.accumulate(ranked[..., ::-1], axis=-1)[..., ::-1], 1.0)
    adjusted = np.empty_like(least)
    np.put_along_axis(adjusted, order, least, axis=-1)
    return adjusted


def _total(window: Counts) -> Floats:
    return np.asarray(np.sum(window, axis=-1), dtype=np.float64)


def _chi_square(a: Counts, b: Floats) -> tuple[Floats, Floats]:
    """Return the statistic and its p; 0 and 1 where there are not two values."""
    n, total, k = _total(a), float(b.sum()), b.shape[-1]
    if k < 2 or total == 0:
        return np.zeros(n.shape), np.ones(n.shape)
    up, down = np.sqrt(total / np.maximum(n, 1)), np.sqrt(n / total)
    gaps = (a * up[..., None] - b * down[..., None]) ** 2
    both = a + b
    statistic = np.divide(gaps, both, out=np.zeros_like(gaps), where=both > 0).sum(axis=-1)
    present = b[b > 0] / total
    m = np.maximum(effective_rows(n, total), 1.0)
    variance = 2 * (k - 1) + (np.sum(1 / present) - k**2 - 2 * k + 2) / m
    scale = np.maximum(variance, 1e-9) / (2 * (k - 1))
    return statistic, np.where(n > 0, special.chdtrc((k - 1) / scale, statistic / scale), 1.0)


def _more_than_chance(some: Floats, before: float, n: Floats, total: float) -> Floats:
    """Return P(X >= some), X ~ Binomial(some + before, n / (n + total))."""
    return np.asarray(stats.binom.sf(some - 1, some + before, n / np.maximum(n + total, 1.0)))


def _fewer_than_chance(some: Floats, before: float, n: Floats, total: float) -> Floats:
    return np.asarray(stats.binom.cdf(some, some + before, n / np.maximum(n + total, 1.0)))
