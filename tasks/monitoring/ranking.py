"""What of a window's changes people read first."""

from tasks.contracts.monitoring import Change, DriftReport


def rank_changes(drift: DriftReport) -> list[Change]:
    """Return all changes: what drifted in the report's order, then the others by how near they are to counting."""
    place = {name: at for at, name in enumerate(drift.drifted)}

    def rank(change: Change) -> tuple[bool, int, float]:
        near = (change.effect or 0.0) / (change.threshold or 1.0)
        return not change.drifted, place.get(change.name, len(place)) if change.drifted else 0, -near

    return sorted(drift.changes, key=rank)


def choose_columns(drift: DriftReport, most: int) -> list[Change]:
    """Return what is worth a picture: of each column that drifted one change, what matters most to the champion first.

    Parameters
    ----------
    most
        How many at most.
    """
    first: dict[tuple[str, str], Change] = {}
    for change in rank_changes(drift):
        if change.drifted:
            first.setdefault((change.aspect, change.name), change)
    return sorted(first.values(), key=lambda each: -(each.importance or 0.0))[:most]
