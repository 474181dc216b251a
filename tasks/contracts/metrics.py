"""Which metrics there are, by name, for what is checked before anything heavy is imported; and those a project brings with it.

What they are is in `tasks.metrics.registry`; a test holds the two against each other.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Reference

OF_CLASSES = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "f1_macro", "mcc", "log_loss", "brier", "roc_auc", "pr_auc",
)  # fmt: skip
OF_VALUES = ("mae", "rmse", "r2")
OF_SETS = (
    "label_f1_micro", "label_f1_macro", "label_f1_samples", "subset_accuracy", "hamming_loss", "ranking_loss",
    "ranking_precision",
)  # fmt: skip

IN_UNITS_OF_THE_TARGET = ("mae", "rmse")
"""No margin fits all of them: a project says its own."""


class OwnMetric(Contract):
    """A metric of the project's own; its name may stand wherever the name of a metric does."""

    name: str = Field(min_length=1, max_length=40, description="Its name in project.yaml and in every table.")
    function: Reference = Field(
        description="`module:function(truth, answers) -> float` in the project's folder, both as NumPy arrays of n rows in any "
        "order. labels: classes as whole numbers, of two the positive one as 1; scores: truth as for labels, and the "
        "probability of the positive class, of more than two classes one column a class; values: numbers.",
    )
    direction: Literal["higher", "lower"] = Field(description="Which is better.")
    range: Annotated[list[float | None], Field(min_length=2, max_length=2)] = Field(
        description="Least and greatest value that it can have; null: no bound. A value outside is an error."
    )
    uses: Literal["labels", "scores", "values"] = Field(
        description="What it reads: the answered class, the probabilities, or a regression's value."
    )

    @model_validator(mode="after")
    def _from_low_to_high(self) -> Self:
        low, high = self.range
        if low is not None and high is not None and low >= high:
            raise ValueError(f"expected a range from the least value to the greatest, received [{low:g}, {high:g}]")
        return self
