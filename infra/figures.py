"""Figures as people read them: shares of 1 with their decimals, and values of a regression in whatever unit they come."""

import math
from collections.abc import Iterable

LARGE = 10_000
"""From here on decimals say nothing; thousands are parted."""


def tell(value: float, decimals: int = 4, *, sign: bool = False, beside: Iterable[float] = ()) -> str:
    """Return a number with so many decimals; without any where it is large, and to three digits where it would read as zero.

    Parameters
    ----------
    beside
        Numbers that stand beside it: where they do not read as zero, it may.

    >>> tell(0.81237), tell(-1234567.8), tell(0.0000123), tell(0.5, 3, sign=True)
    ('0.8124', '-1,234,568', '1.23e-05', '+0.500')
    >>> tell(0.0000123, 2, beside=[0.08])
    '0.00'
    """
    plus = "+" if sign else ""
    if math.isfinite(value) and abs(value) >= LARGE:
        return f"{value:{plus},.0f}"
    least = 0.5 * 10**-decimals
    if 0 < abs(value) < least and all(abs(other) < least for other in beside):
        return f"{value:{plus}.3g}"
    return f"{value:{plus}.{decimals}f}"
