"""What is shown by itself where a class is rare: figures that a model which never answers it cannot have."""

from collections.abc import Mapping
from typing import NamedTuple

IMBALANCE = 10
"""From how many rows of the largest class to one of the smallest on, among the training rows."""

SHOWN = {2: ("pr_auc", "balanced_accuracy")}
SHOWN_OF_MANY = ("balanced_accuracy", "f1_macro")


class Rarity(NamedTuple):
    """How much rarer the rarest class is than the most frequent one."""

    rarest: str
    commonest: str
    times: float
    share: float
    """Of the most frequent class among all rows."""
    classes: int

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is shown beside what the project asks for."""
        return SHOWN.get(self.classes, SHOWN_OF_MANY)


def find_rarity(class_prior: Mapping[str, float]) -> Rarity | None:
    """Return how rare the rarest class is, where the imbalance is over 1:10; else None.

    Parameters
    ----------
    class_prior
        Share of each class among the training rows; empty for a regression.
    """
    if len(class_prior) < 2:
        return None
    rarest, commonest = (
        min(class_prior, key=lambda name: class_prior[name]),
        max(class_prior, key=lambda name: class_prior[name]),
    )
    # 1e-9: ten to one, made of two shares, may come out a last digit above ten.
    if class_prior[commonest] <= IMBALANCE * class_prior[rarest] * (1 + 1e-9):
        return None
    times = class_prior[commonest] / class_prior[rarest] if class_prior[rarest] else float("inf")
    return Rarity(rarest, commonest, times, class_prior[commonest], len(class_prior))


def explain(rarity: Rarity, added: tuple[str, ...], primary: str) -> tuple[str, ...]:
    """Return in sentences why these figures are shown, and a warning where accuracy decides.

    Parameters
    ----------
    added
        The metrics that the project did not ask for.
    primary
        The project's `evaluation.metric`.
    """
    seen = f"1 training row of class {rarity.rarest} stands against {rarity.times:.3g} of class {rarity.commonest}"
    said = []
    if added:
        said.append(
            f"{seen}: {' and '.join(added)} {'is' if len(added) == 1 else 'are'} shown as well, since a model that never "
            "answers the rare class does badly there. Nothing is decided by it unless evaluation.metric says so."
        )
    if primary == "accuracy":
        said.append(
            f"Look: accuracy decides, and {seen}: always answering {rarity.commonest} is right in {rarity.share:.1%}. "
            f"Consider evaluation.metric: {rarity.metrics[0]} or {rarity.metrics[1]}."
        )
    return tuple(said)
