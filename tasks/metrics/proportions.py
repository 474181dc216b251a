"""Two models' right and wrong answers on the same rows: tests and intervals that hold at small n.

Throughout, of n rows `b` are answered rightly by the candidate alone and `c` by the champion alone; the difference in
accuracy is (b - c) / n, and rows on which both are right or both wrong say nothing about it.
"""

from functools import lru_cache

import numpy as np
from scipy import optimize, special, stats

from tasks.metrics.answers import Floats

EXACT_UP_TO = 100
"""Up to so many rows the non-inferiority test is exact; above, its score statistic is near enough to normal."""


def mcnemar_p(b: int, c: int) -> float:
    """Return the one-sided exact p-value of "the candidate is no better".

    p = P(X >= b), X ~ Binomial(b + c, 1/2), given the number of discordant rows (McNemar 1947, Psychometrika 12; the
    exact form in Fagerland, Lydersen & Laake 2013, BMC Med. Res. Methodol. 13:91, section 2.3). The mid-p form, less
    conservative, is not used: it may exceed its level, and a promotion costs more than a wait.

    >>> round(mcnemar_p(7, 1), 4)
    0.0352
    """
    return float(stats.binom.sf(b - 1, b + c, 0.5))


def score_statistic(b: "int | Floats", c: "int | Floats", n: int, difference: float) -> Floats:
    """Return Tango's score statistic of H0: p_b - p_c = difference; large where the truth is above.

    z = (b - c - nD) / sqrt(n (2 q + D (1 - D))), with q the maximum-likelihood estimate of p_c under H0:
    q = (sqrt(B² - 4AC) - B) / 2A, A = 2n, B = -b - c + (2n - b + c) D, C = -c D (1 - D)
    (Tango 1998, Stat. Med. 17:891-908, section 3; the same test in Nam 1997, Biometrics 53, and recommended by
    Liu et al. 2002, Stat. Med. 21:231-245).
    """
    b, c, d = np.asarray(b, float), np.asarray(c, float), difference
    linear = -b - c + (2 * n - b + c) * d
    constant = -c * d * (1 - d)
    q = (np.sqrt(np.maximum(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * q + d * (1 - d))
    above = b - c - n * d
    with np.errstate(divide="ignore", invalid="ignore"):
        z = above / np.sqrt(np.maximum(variance, 0.0))
    return np.where(np.abs(above) < 1e-12, 0.0, z)


def tango_interval(b: int, c: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the two bounds of the difference, each at one-sided level `alpha`.

    The differences that the score statistic does not reject (Tango 1998, section 4). It keeps its level at small n
    and does not collapse when there is no discordant row, where Wald's interval is a point.

    >>> [round(x, 3) for x in tango_interval(1, 7, 21, 0.025)]
    [-0.517, -0.026]
    """
    z, seen, edge = float(stats.norm.isf(alpha)), (b - c) / n, 1 - 1e-12

    def solve(sign: int) -> float:
        def gap(d: float) -> float:
            return sign * float(score_statistic(b, c, n, d)) - z

        end = -sign * edge
        if gap(end) <= 0:
            return -float(sign)
        return float(optimize.brentq(gap, seen, end, xtol=1e-9))

    return solve(1), solve(-1)


def not_above_p(b: int, c: int, n: int, bound: float) -> float:
    """Return the one-sided p-value of H0: p_b - p_c <= bound.

    With bound = -margin this is the test of non-inferiority. Up to 100 rows it is the exact unconditional test that
    orders the outcomes by Tango's statistic, p = sup over p_c of P(z >= z seen | p_b - p_c = bound) (Hsueh, Liu & Chen
    2001, Biometrics 57:478-483): the normal one reaches a size of 3.3 % at a nominal 2.5 % and n = 30. Above, the
    normal one: its size stays below 2.9 %.
    """
    z = float(score_statistic(b, c, n, bound))
    if n <= EXACT_UP_TO and abs(bound) < 1:
        return _exact_p(b, c, n, bound)
    return float(stats.norm.sf(z))


@lru_cache(maxsize=4096)
def _exact_p(b: int, c: int, n: int, bound: float) -> float:
    all_b, all_c = np.divmod(np.arange((n + 1) ** 2), n + 1)
    possible = all_b + all_c <= n
    all_b, all_c = all_b[possible], all_c[possible]
    as_extreme = score_statistic(all_b, all_c, n, bound) >= float(score_statistic(b, c, n, bound)) - 1e-9
    x_b, x_c = all_b[as_extreme], all_c[as_extreme]
    x_rest = n - x_b - x_c
    ways = special.gammaln(n + 1) - sum(special.gammaln(x + 1) for x in (x_b, x_c, x_rest))
    p_c = np.linspace(max(0.0, -bound), (1 - bound) / 2, 101)[:, None]
    p_rest = np.maximum(1 - bound - 2 * p_c, 0.0)
    p_b = np.maximum(p_c + bound, 0.0)
    log_p = special.xlogy(x_b, p_b) + special.xlogy(x_c, p_c) + special.xlogy(x_rest, p_rest)
    return float(min(1.0, np.max(np.sum(np.exp(ways + log_p), axis=1))))


def wilson_interval(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the bounds of a share, each at one-sided level `alpha`.

    (p + z²/2n ± z sqrt(p (1-p) / n + z²/4n²)) / (1 + z²/n) (Wilson 1927, J. Am. Stat. Assoc. 22; recommended by Brown,
    Cai & DasGupta 2001, Stat. Sci. 16, section 4). 30 right of 30 is no proof of perfection:

    >>> [round(x, 3) for x in wilson_interval(30, 30, 0.025)]
    [0.886, 1.0]
    """
    z, p = float(stats.norm.isf(alpha)), hits / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def power_of_mcnemar(n: int, difference: float, discordance: float, alpha: float) -> float:
    """Return the exact chance that `mcnemar_p <= alpha` when the truth is `difference`.

    Σ_m Bin(m; n, ψ) P(X >= crit(m)), X ~ Binomial(m, (1 + D/ψ)/2), ψ = max(discordance, D)
    (Fagerland et al. 2013, section 3; the sum is cut where less than 1e-9 of the probability is left).
    """
    share = max(discordance, difference)
    low, high = stats.binom.ppf([5e-10, 1 - 5e-10], n, share)
    m = np.arange(int(low), int(high) + 1)
    needed = _needed(int(high), alpha)[m]
    reached = stats.binom.sf(needed - 1, m, min(1.0, (1 + difference / share) / 2))
    return float(np.sum(stats.binom.pmf(m, n, share) * reached))


@lru_cache(maxsize=64)
def _needed(largest: int, alpha: float) -> "np.ndarray":
    """Return for m = 0 … largest discordant rows the wins at which the exact test rejects."""
    return np.asarray(stats.binom.isf(alpha, np.arange(largest + 1), 0.5) + 1)


def detectable_difference(n: int, discordance: float, alpha: float, power: float = 0.8) -> float:
    """Return the smallest true difference in accuracy that these rows would show with this power.

    The root of `power_of_mcnemar`; inf where not even a difference of 1 would be seen.
    """
    if n < 1 or power_of_mcnemar(n, 1.0, 1.0, alpha) < power:
        return float("inf")
    return float(optimize.brentq(lambda d: power_of_mcnemar(n, d, discordance, alpha) - power, 1e-9, 1.0, xtol=1e-5))


def rows_needed(difference: float, discordance: float, alpha: float, power: float = 0.8) -> int:
    """Return how many rows show this difference in accuracy with this power.

    n = (z_a sqrt(ψ) + z_b sqrt(ψ - D²))² / D² (Miettinen 1968, Biometrics 24; Connor 1987, Biometrics 43:207-211).
    """
    share = max(discordance, difference)
    z_a, z_b = stats.norm.isf(alpha), stats.norm.ppf(power)
    return int(np.ceil((z_a * np.sqrt(share) + z_b * np.sqrt(share - difference**2)) ** 2 / difference**2))
