"""What a study found: curves, spreads, differences between candidates, and a diagnosis of each in words."""

from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.frozen import Contract
from tasks.contracts.models import FoldDifference
from tasks.contracts.values import Name

Finding = Literal[
    "over-fitted",
    "under-fitted",
    "more data would help",
    "not told apart from the dummy",
    "behind another candidate",
    "as good as these data allow",
    "not told apart",
]


class CurvePoint(Contract):
    """Scores at one number of rows, or at one value of a parameter: one a fold, in the metric's own unit."""

    rows: int = Field(description="Rows that each fold fitted on, their mean.")
    setting: str = Field("", description="The parameter's value as text; empty on a learning curve.")
    training: tuple[float, ...] = Field(description="On rows that it was fitted on.")
    validation: tuple[float, ...] = Field(description="On rows that it never saw: the same ones at every point.")
    training_mean: float
    training_error: float = Field(description="Corrected standard error of the mean (Nadeau and Bengio 2003).")
    validation_mean: float
    validation_error: float


class LearningCurve(Contract):
    """One candidate at growing numbers of rows, the smallest first; the last point is all rows of a fold."""

    candidate: str
    points: tuple[CurvePoint, ...]


class ValidationCurve(Contract):
    """One candidate over the values of one parameter."""

    candidate: str
    parameter: str
    points: tuple[CurvePoint, ...]
    best: str = Field(description="The value with the best mean.")
    detail: str = Field(description="In words: which values cannot be told from the best, and where to look next.")


class Luck(Contract):
    """How much of a candidate's score is the seed, and how much the rows that happened to judge."""

    candidate: str
    seeds: int = Field(description="How many seeds it was refitted with, its own included.")
    seed_std: float = Field(description="Standard deviation over the seeds on the same fold.")
    fold_std: float = Field(description="Standard deviation over the folds with the same seed.")
    detail: str


class Diagnosis(Contract):
    """What is wrong with a candidate, or that nothing is, and the figures that say so."""

    candidate: str
    findings: tuple[Finding, ...] = Field(
        description="The first is the headline; none claims more than its test showed."
    )
    reasons: tuple[str, ...] = Field(
        description="A sentence with its figures for each of the questions that were asked."
    )
    next_step: str
    mean: float = Field(description="Validation score at all rows.")
    error: float = Field(description="Its corrected standard error.")
    training_mean: float
    difference: FoldDifference | None = Field(None, description="To the best candidate; none for the best itself.")


class NestedEstimate(Contract):
    """The honest score of the whole procedure: what was chosen within each outer fold, judged on the rows of that fold."""

    scores: tuple[float, ...]
    mean: float
    error: float = Field(description="Corrected standard error.")
    chosen: tuple[str, ...] = Field(description="The candidate that each outer fold chose.")
    naive_candidate: str = Field(description="The one with the best mean over a run's own folds.")
    naive_mean: float = Field(description="That mean: optimistic, the more candidates there are.")
    naive_error: float
    detail: str


class CandidateStudy(Contract):
    """A study of a project's candidates on its training rows alone."""

    project: Name
    metric: str
    direction: Literal["higher", "lower"]
    rows: int = Field(description="Training rows; a test row was never read.")
    folds: int
    parted: str = Field(description="How the rows were parted, in words.")
    dummy: float = Field(description="The mean score of the dummy, which knows the classes' shares and no feature.")
    matters: float = Field(description="The smallest difference that counts.")
    best: str = Field(description="The candidate with the best mean.")
    diagnoses: tuple[Diagnosis, ...]
    curves: tuple[LearningCurve, ...]
    validation_curve: ValidationCurve | None = None
    luck: tuple[Luck, ...] = ()
    nested: NestedEstimate | None = None
    seconds: float
    pictures: dict[str, ArtifactRef] = Field(default_factory=dict, description="title: PNG")
    page: ArtifactRef | None = Field(None, description="The page that people read.")
