"""Keys of project.yaml for rare classes and for what a probability is worth."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts.frozen import Contract

Calibrate = Literal["none", "sigmoid", "isotonic"]


class Balance(Contract):
    """What is done about classes of different size, to the rows that a fit sees and to no others."""

    weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: each class counts as much as any other, its rows by 1 / their number."
    )
    resample: Literal["none", "over", "under"] = Field(
        "none",
        description="over: rows of the smaller classes are drawn again until all are as large; under: rows of the larger "
        "ones are left out, for data so large that it does not matter.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.weights == "balanced" and self.resample != "none":
            raise ValueError("weights and resample do the same: choose one")
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
        "for `metric`, on training rows that the model was not fitted on.",
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
