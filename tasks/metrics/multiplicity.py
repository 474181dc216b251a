"""Several tests at once: p-values adjusted so that the whole family keeps its level."""


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjusted p-values, in the order given: reject where they are <= alpha.

    Sorted upwards, p'_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)) (Holm 1979, Scand. J. Stat. 6:65-70).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    m, adjusted, largest = len(p_values), [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(m), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (m - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
