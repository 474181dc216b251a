"""Keys of project.yaml for rare classes and for what a probability is worth."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts.frozen import Contract

Calibrate = Literal["none", "sigmoid", "isotonic"]

Resample = Literal[
    "none",
    "over",
    "under",
    "smote",
    "borderline_smote",
    "adasyn",
    "tomek",
    "edited_nearest_neighbours",
    "smote_tomek",
]

NEIGHBOURS = 5
_WITH_NEIGHBOURS = ("smote", "borderline_smote", "adasyn", "edited_nearest_neighbours", "smote_tomek")
_CLEANING = ("tomek", "edited_nearest_neighbours")


class Balance(Contract):
    """What is done about classes of different size, to the rows that a fit sees and to no others."""

    weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class counts as much as any other, its rows by 1 / their number."
    )
    resample: Resample = Field(
        "none",
        description="over: rows of the smaller classes are drawn again, the plain way, for any kind of column; under: rows of "
        "the larger ones are left out, for data so large that it does not matter. The others measure how near rows are once "
        "`prepare` is done with them (numbers by their standard deviation; no text). smote: new rows between rare ones "
        "and their nearest (Chawla et al. 2002; categories by majority, SMOTE-NC), where few rare rows make a model learn them "
        "by heart; borderline_smote: only from those near other classes (Han, Wang & Mao 2005), for classes that meet along an "
        "edge; adasyn: the more, the more other classes are near (He et al. 2008), for classes that overlap, not for wrong "
        "labels; both take numbers alone. tomek: leaves out larger classes' rows that are nearest neighbours with a rare one "
        "(Tomek 1976); edited_nearest_neighbours: those whose neighbours are mostly of other classes (Wilson 1972), for noisy "
        "edges: both clean and do not balance. smote_tomek: smote, then both rows of each such pair (Batista et al. 2004).",
    )
    ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="How many rows the smallest class has against the largest afterwards, where rows are drawn, made or left "
        "out; 1: as many. Less bends probabilities less and costs less time.",
    )
    neighbours: Annotated[int, Field(ge=1, le=50)] = Field(
        NEIGHBOURS,
        description="How many nearest rows smote, borderline_smote, adasyn and smote_tomek (of the same class) and "
        "edited_nearest_neighbours (of all) look at.",
    )

    @model_validator(mode="after")
    def _only_what_fits(self) -> Self:
        if self.weights == "balanced" and self.resample != "none":
            raise ValueError("weights and resample do the same: choose one")
        if self.ratio != 1 and self.resample in ("none", *_CLEANING):
            raise ValueError(
                f"ratio says how far classes are evened out; resample {self.resample} does not even them out"
            )
        if self.neighbours != NEIGHBOURS and self.resample not in _WITH_NEIGHBOURS:
            raise ValueError(f"neighbours stands with resample {', '.join(_WITH_NEIGHBOURS)}; received {self.resample}")
        return self


class Costs(Contract):
    """What each kind of error costs, in any unit."""

    false_positive: Annotated[float, Field(gt=0)] = Field(description="Said positive, is not.")
    false_negative: Annotated[float, Field(gt=0)] = Field(description="Is positive, not said.")


class Decision(Contract):
    """From probabilities to the class that is answered (two classes)."""

    threshold: Literal["even", "tuned"] = Field(
        "even",
        description="even: the more probable class; tuned: positive from the probability on that was best for `costs`, or "
        "for `metric`, on training rows that the model was not fitted on: each fifth of them in turn; of a network the share that "
        "watches (`validation_share`, else a fifth), in one more training where it is refitted.",
    )
    metric: str | None = Field(
        None, description="tuned: a metric of labels; default evaluation.metric where it is one."
    )
    costs: Costs | None = Field(None, description="tuned: the mean cost decides instead of a metric.")

    @model_validator(mode="after")
    def _only_where_it_is_tuned(self) -> Self:
        if self.threshold == "even" and (self.metric or self.costs):
            raise ValueError("metric and costs stand with threshold tuned")
        if self.metric and self.costs:
            raise ValueError("the threshold is tuned for `metric` or for `costs`: choose one")
        return self
