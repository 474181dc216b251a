"""What of a window's changes people read first."""

from tasks.contracts.monitoring import Change, DriftReport

HARDLY = 0.005
"""A share of the champion's importance that is shown as 0 %."""


def rank_changes(drift: DriftReport) -> list[Change]:
    """Return all changes: what drifted in the report's order, then the others by how near they are to counting."""
    place = {name: at for at, name in enumerate(drift.drifted)}

    def rank(change: Change) -> tuple[bool, int, float]:
        near = (change.effect or 0.0) / (change.threshold or 1.0)
        return not change.drifted, place.get(change.name, len(place)) if change.drifted else 0, -near

    return sorted(drift.changes, key=rank)


def choose_columns(drift: DriftReport, most: int) -> list[Change]:
    """Return what is worth a picture: of each column that drifted one change, what matters most to the champion first.

    Predictions and targets, which have no importance, come before what it hardly looks at.

    Parameters
    ----------
    most
        How many at most.
    """
    first: dict[tuple[str, str], Change] = {}
    for change in rank_changes(drift):
        if change.drifted:
            first.setdefault((change.aspect, change.name), change)
    return sorted(first.values(), key=lambda each: -(HARDLY if each.importance is None else each.importance))[:most]


def tell_p(p: float) -> str:
    """Return a p-value as people read it.

    >>> tell_p(3e-156), tell_p(0.01234)
    ('<0.0001', '0.0123')
    """
    return "<0.0001" if p < 1e-4 else f"{p:.3g}"
