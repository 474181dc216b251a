"""Keys of project.yaml for the ways to make the model, and for the choice between them."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from tasks.contracts.frozen import Contract
from tasks.contracts.imbalance import Balance, Calibrate
from tasks.contracts.networks import Network
from tasks.contracts.preparation import Preparation
from tasks.contracts.tuning import ParameterName, Space, check_search
from tasks.contracts.values import Name, OpenShare, Positive, Span, one_of_keys, say_pattern


class Candidate(Contract):
    """One way to make the model: a scikit-learn estimator or a Keras network."""

    model_config = one_of_keys("estimator", "network")

    estimator: (
        Annotated[
            str,
            StringConstraints(pattern=r"^sklearn(\.[a-z_]+)+\.[A-Z]\w*$"),
            say_pattern("the dotted path of a scikit-learn class, such as sklearn.linear_model.LogisticRegression"),
        ]
        | None
    ) = Field(None, description="Dotted path of a scikit-learn estimator.")
    network: Network | None = Field(None, description="A Keras network, by name or built by a function of the project.")
    params: dict[str, JsonValue] = Field(
        default_factory=dict, description="Arguments of the estimator or of the build function."
    )
    search: dict[ParameterName, Space] = Field(
        default_factory=dict,
        description="Parameters whose values are found in trials on the training rows (`tuning`): a name is an argument, as in "
        "`params`; a path such as prepare.number.scale or network.batch_size is a key of the candidate.",
    )
    prepare: Preparation | None = Field(None, description="Instead of the project's `prepare`.")
    balance: Balance = Field(Balance(), description="What is done about classes of different size.")
    calibrate: Calibrate = Field(
        "none",
        description="What is made of an estimator's probabilities, learnt across five folds of the training rows: sigmoid, a "
        "curve of two parameters (few rows); isotonic, any rising one (a thousand rows and more).",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.estimator is None) == (self.network is None):
            raise ValueError("expected exactly one of estimator, network")
        if self.network is not None and self.calibrate != "none":
            raise ValueError("calibrate stands with `estimator`: five more trainings of a network are too dear")
        if self.network and self.network.architecture and self.params:
            raise ValueError("params is for `estimator` and `build`; those of an architecture stand beside its name")
        return self

    @model_validator(mode="after")
    def _search_fits(self) -> Self:
        if self.search:
            check_search(type(self), self, self.prepare or Preparation())
        return self


class Selection(Contract):
    """How one candidate is chosen, on training rows only."""

    method: Literal["cross_validation", "holdout"] = Field(
        "cross_validation", description="holdout: one cut, where a fit is too dear to be made `folds` times."
    )
    folds: Annotated[int, Field(ge=2, le=50)] = Field(5, description="cross_validation: number of parts.")
    repeats: Positive = Field(1, description="cross_validation: with other cuts; steadies the choice on few rows.")
    holdout_share: OpenShare = Field(0.2, description="holdout: share of the training rows that judge.")
    window: Span | None = Field(
        None,
        description="split.method ordered: a fold is fitted on no more than the last so many rows (1000), or so long a time (90d), "
        "before the rows that judge it, so that all folds are fitted on as much; left out: on all that is older. Goes with "
        "`training_rows: {keep: last}`, which does so with the model itself.",
    )
    rule: Literal["best", "one_standard_error"] = Field(
        "one_standard_error",
        description="best: the highest mean; one_standard_error: the first listed within one standard error of the best.",
    )
    also_test: list[Name] = Field(
        default_factory=list,
        description="Candidates whose test figures are shown beside the chosen one's; they never influence the choice.",
    )
