"""Figures as people read them: shares of 1 with their decimals, and values of a regression in whatever unit they come."""

import math

LARGE = 10_000
"""From here on decimals say nothing; thousands are parted."""


def tell(value: float, decimals: int = 4, *, sign: bool = False) -> str:
    """Return a number with so many decimals; without any where it is large, and to three digits where it would read as zero.

    >>> tell(0.81237), tell(-1234567.8), tell(0.0000123), tell(0.5, 3, sign=True)
    ('0.8124', '-1,234,568', '1.23e-05', '+0.500')
    """
    plus = "+" if sign else ""
    if math.isfinite(value) and abs(value) >= LARGE:
        return f"{value:{plus},.0f}"
    if 0 < abs(value) < 0.5 * 10**-decimals:
        return f"{value:{plus}.3g}"
    return f"{value:{plus}.{decimals}f}"
