"""Labels that are likely wrong: what models that were not fitted on a row think of its label."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from infra.errors import InsufficientData
from tasks.contracts.labelling import FlipTrial
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import Rows
from tasks.models.model import Array, ClassLabel, Floats, Load, class_labels
from tasks.models.partition import Positions, cross_validate
from tasks.models.recipes import fit_rows, stated_threads
from tasks.models.refusals import explaining_refusals

Codes = npt.NDArray[np.int64]
Told = Callable[[str, int, int], None]

FOLDS = 5
"""Where the project selects by one holdout: each row must be judged once."""
FLIPPED = 0.05
FEWEST_FLIPS = 5


class Judged(NamedTuple):
    """What models that were not fitted on these rows answered."""

    places: Positions
    """The rows that were judged, by their place among those given."""
    given: Codes
    """The code of the label that each has."""
    shares: Floats
    """Probabilities, shape (n, k), in the order of `classes`."""
    classes: tuple[ClassLabel, ...]


class Issue(NamedTuple):
    """A label that is likely wrong."""

    place: int
    given: int
    likely: int
    score: float


def judge_labels(name: str, spec: ProjectSpec, rows: Rows, load: Load, tell: Told) -> Judged:
    """Return what the candidate's recipe says of each row when it is fitted on the other folds.

    The folds are the project's own (`split`, `selection.folds`), once and not repeated. By time they are an expanding window:
    its first rows are judged by none.

    Parameters
    ----------
    tell
        Told of each fold.

    Raises
    ------
    InsufficientData
        Too few rows to part.
    """
    classes, given = np.unique(rows.target, return_inverse=True)
    folds = spec.selection.folds if spec.selection.method == "cross_validation" else FOLDS
    parted = cross_validate(rows.target, rows.by, spec.split, folds=folds, repeats=1, seed=spec.seed)
    answers = []
    with stated_threads(spec, rows):
        for done, (fit, judge) in enumerate(parted, start=1):
            model = fit_rows(name, spec, rows.take(fit), load=load, watch=False)
            shares = np.zeros((len(judge), len(classes)))
            # A fold may lack a class; its rows then get no share of it.
            known = np.searchsorted(classes, np.asarray(model.classes, dtype=classes.dtype))
            with explaining_refusals(spec, name, len(fit)):
                shares[:, known] = model.proba_inputs(rows.take(judge).inputs)
            answers.append(shares)
            tell("label issues", done, len(parted))
    places = np.concatenate([judge for _, judge in parted])
    return Judged(places, given[places], np.concatenate(answers), class_labels(classes))


def find_issues(judged: Judged) -> list[Issue]:
    """Return the labels that are likely wrong, the worst first, by confident learning.

    Northcutt, Jiang & Chuang 2021 (JAIR 70, section 3): a row counts as of class j where its probability of j reaches the mean
    that rows labelled j have; the counts estimate how many rows labelled i are of class j, and so many with the largest margin
    p_j - p_i are the errors (prune by noise rate). Ordered by the probability of their label. With cleanlab.
    """
    from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]  # noqa: PLC0415  seconds to import

    if len(np.unique(judged.given)) < 2:
        raise InsufficientData("Expected rows of two classes at least to judge labels by, received one.")
    found = find_label_issues(
        judged.given,
        judged.shares,
        return_indices_ranked_by="self_confidence",
        filter_by="prune_by_noise_rate",
        n_jobs=1,
    )
    likely = judged.shares.argmax(axis=1)
    # Where the most probable class is the label itself nothing speaks against it, whatever the thresholds say.
    return [
        Issue(
            int(judged.places[at]), int(judged.given[at]), int(likely[at]), float(judged.shares[at, judged.given[at]])
        )
        for at in found
        if likely[at] != judged.given[at]
    ]


def try_flipping(
    name: str, spec: ProjectSpec, rows: Rows, load: Load, tell: Told, *, before: list[Issue], seed: int
) -> FlipTrial | None:
    """Return how well labels that are flipped on purpose are found, in a copy of the rows; None where there are too few.

    Of the rows that were not listed before, each twentieth gets another class, any one alike; then all is done once more.
    """
    random = np.random.default_rng(seed)
    listed = {issue.place for issue in before}
    sound = np.array([place for place in range(len(rows)) if place not in listed], dtype=np.intp)
    count = round(FLIPPED * len(rows))
    if count < FEWEST_FLIPS or len(sound) < count:
        return None
    flipped = np.sort(random.choice(sound, count, replace=False))
    judged = judge_labels(name, spec, replace(rows, target=flip_labels(rows.target, flipped, random)), load, tell)
    wrong = set(flipped.tolist()) & set(judged.places.tolist())
    new = [issue.place for issue in find_issues(judged) if issue.place not in listed]
    first = new[: len(wrong)]
    return FlipTrial(
        flipped=len(wrong),
        found=len(wrong.intersection(new)),
        listed=len(new),
        first=len(first),
        right_of_first=len(wrong.intersection(first)),
    )


def flip_labels(target: Array, places: Positions, random: np.random.Generator) -> Array:
    """Return the labels with another class at these places, each of the others with the same chance."""
    classes, codes = np.unique(target, return_inverse=True)
    turned = codes.copy()
    turned[places] = (codes[places] + random.integers(1, len(classes), len(places))) % len(classes)
    return np.asarray(classes[turned])


def say_expectation(listed: int, trial: FlipTrial | None) -> str:
    """Return how many of the listed labels to expect to be wrong, in words."""
    nothing = "" if listed else "no label stands out"
    if trial is None:
        return nothing or "there was no trial: how many of these are right is not known. Look before you change any."
    share = trial.right_of_first / trial.first if trial.first else 0.0
    tried = (
        f"of {trial.flipped:,} labels flipped on purpose (in a copy), {trial.found:,} were listed; of the first "
        f"{trial.first:,} rows that this added to the list, {trial.right_of_first:,} were flipped ones"
    )
    if nothing:
        return f"{nothing}; {tried}."
    return (
        f"{tried}. If labels here are wrong by accident, about {share:.0%} of the list are wrong; where a row is hard for "
        "people too, fewer. Look before you change any."
    )


def frame_issues(issues: list[Issue], judged: Judged, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows of the issues with the label given, the likely one and the score, the worst first; no pictures."""
    shown = [name for name in columns if not frame[name].map(lambda cell: isinstance(cell, bytes)).any()]
    found = frame[shown].iloc[[issue.place for issue in issues]].reset_index(drop=True)
    facts: dict[str, list[Any]] = {
        "keepfit_place": [issue.place for issue in issues],
        "keepfit_given": [judged.classes[issue.given] for issue in issues],
        "keepfit_likely": [judged.classes[issue.likely] for issue in issues],
        "keepfit_score": [round(issue.score, 6) for issue in issues],
    }
    return pd.concat([found, pd.DataFrame(facts)], axis=1)
