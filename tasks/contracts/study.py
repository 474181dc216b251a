"""Section `study` of project.yaml: what `keepfit study` fits to tell bias, variance and luck apart."""

from typing import Annotated

from pydantic import Field

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Name, Positive


class LearningCurveSpec(Contract):
    """Scores at growing numbers of training rows."""

    points: Annotated[int, Field(ge=2, le=12)] | None = Field(
        None,
        description="At how many numbers of rows, each twice the one before, the last all of them; left out: 6, or 3 where a "
        "network is studied, since each point is a training. More points reach further down, not further up.",
    )


class ValidationCurveSpec(Contract):
    """Scores over the values of one parameter: too little freedom at one end, too much at the other."""

    candidate: Name = Field(description="Whose parameter.")
    parameter: Annotated[str, Field(min_length=1)] = Field(
        description="One of the estimator's (or of the build function's) `params`, such as n_neighbors, C or max_depth."
    )
    values: Annotated[list[str | int | float | bool], Field(min_length=2)] = Field(
        description="What it is set to, in the order of the picture; spread wide, best by a constant factor."
    )


class Study(Contract):
    """What `keepfit study` measures on the training rows; a run never reads it."""

    learning_curve: LearningCurveSpec = Field(
        LearningCurveSpec(), description="Scores at growing numbers of training rows: would more data help?"
    )
    validation_curve: ValidationCurveSpec | None = Field(
        None, description="Scores over the values of one parameter; left out: none is drawn."
    )
    folds: Annotated[int, Field(ge=3, le=50)] | None = Field(
        None,
        description="Parts of the training rows, made as `split` says; left out: 5, or 3 where a network is studied.",
    )
    repeats: Positive | None = Field(
        None,
        description="How often they are made anew (not with split ordered); left out: 2, or 1 where a network is studied. "
        "More tell smaller differences apart, up to what the rows can say at all.",
    )
    seeds: Annotated[int, Field(ge=1, le=50)] = Field(
        3, description="Each candidate is refitted with so many seeds: what of its score is luck. 1: not asked."
    )
    matters: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="The smallest difference of the metric that matters to you; left out: a fiftieth of what the best "
        "candidate is better than the dummy.",
    )
    nested: bool = Field(
        False,
        description="true: also the whole selection within outer folds, for an honest score of the procedure where many "
        "candidates were tried; takes `folds` times as long as a run's selection.",
    )
