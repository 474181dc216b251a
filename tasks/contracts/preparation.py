"""Section `prepare` of project.yaml: what is done to columns before a model sees them, fitted on training rows only."""

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from tasks.contracts.frozen import Contract
from tasks.contracts.values import Positive, Reference, Share

TimePart = Literal["hour", "weekday", "day", "month", "dayofyear", "year"]


class NumberPreparation(Contract):
    """Columns of type number, integer and boolean."""

    outliers: Literal["keep", "clip"] = Field(
        "keep",
        description="clip: what lies beyond `fence` times the distance between the quartiles of the training rows, outside "
        "of them, is set on that fence (Tukey 1977): where single wild values pull means and linear models.",
    )
    fence: Annotated[float, Field(gt=0)] = Field(
        3.0, description="outliers clip: where the fences stand; 1.5 is Tukey's for outside values, 3 for far out ones."
    )
    impute: Literal["none", "median", "mean", "zero", "nearest"] = Field(
        "median",
        description="What stands in for a missing number; nearest: the mean of the five nearest rows (slow beyond some "
        "ten thousand rows); none: for estimators that take missing values.",
    )
    missing_indicator: bool = Field(
        False, description="Add a column that says where a number was missing: when its absence means something."
    )
    transform: Literal["none", "power", "quantile"] = Field(
        "none",
        description="power: near to a normal (Yeo and Johnson 2000), for skewed amounts; quantile: the place among the "
        "training rows, as a normal: no value is an outlier any more.",
    )
    scale: Literal["none", "standard", "robust", "minmax"] = Field(
        "none", description="standard: for distances and linear models; robust: with outliers; none: for trees."
    )


class CategoryPreparation(Contract):
    """Columns of type category."""

    impute: Literal["none", "most_frequent", "missing"] = Field(
        "missing", description="missing: a category of its own."
    )
    encode: Literal["one_hot", "ordinal", "target"] = Field(
        "one_hot",
        description="one_hot: a column a value; ordinal: one number, for trees with many values; target: the target's mean of "
        "each value, drawn to the overall mean where rows are few and fitted across folds (Micci-Barreca 2001), for many values.",
    )
    min_share: Share = Field(0.0, description="one_hot, ordinal: rarer categories are put together as one.")

    @model_validator(mode="after")
    def _target_draws_rare_ones_by_itself(self) -> Self:
        if self.encode == "target" and self.min_share > 0:
            raise ValueError(
                "min_share stands with encode one_hot or ordinal; target draws rare categories to the mean"
            )
        return self


class TextPreparation(Contract):
    """Columns of type text."""

    encode: Literal["tfidf", "tokens"] = Field(
        "tfidf", description="tfidf: a sparse matrix for classical models; tokens: padded word numbers for a network."
    )
    vocabulary: Positive = Field(10_000, description="Number of words kept, by frequency in the training rows.")
    length: Positive = Field(200, description="tokens: each text is cut or padded to this many words, or terms.")
    ngrams: Annotated[int, Field(ge=1, le=5)] = Field(
        1,
        description="Longest sequence of words that counts as one term, among the `vocabulary`. tokens: for average_embedding, "
        "which then sees 'not good' (fastText: Joulin et al. 2017); each sequence stands behind the word that it ends with, so "
        "that twice the `length` sees as many words.",
    )


class DatetimePreparation(Contract):
    """Columns of type datetime: no model takes a time as it is, so their parts are its features."""

    parts: Annotated[list[TimePart], Field(min_length=1)] = Field(
        ["hour", "weekday", "month"], description="Which parts, all in UTC."
    )
    cyclic: bool = Field(
        False, description="Each part but the year as a point on a circle (two columns), so that 23 h is next to 0 h."
    )


class FeatureSelection(Contract):
    """Fewer columns for the model, chosen on the training rows."""

    method: Literal["none", "variance", "univariate", "information", "model"] = Field(
        "none",
        description="variance: leave constant columns out; univariate: the `keep` highest F statistics; information: the "
        "`keep` highest mutual information (also what is not linear; slower); model: the `keep` that matter most to a forest.",
    )
    keep: Positive = Field(20, description="univariate, information, model: how many columns stay.")


AddedType = Literal["number", "boolean", "category", "text", "datetime"]


class OwnStep(Contract):
    """A function of the project that makes columns out of features, each row out of itself."""

    function: Reference = Field(
        description="`module:function(frame, **params) -> frame` in the project's folder: gets the features (and what the steps "
        "before added), returns the columns of `adds`, as many rows in the same order. Each row's answer comes from that row "
        "alone: this is checked in every fit, since a mean over the rows would carry what is judged into what learns. The "
        "model records its source, and is not loaded with another: give a changed function a module of its own."
    )
    params: dict[str, JsonValue] = Field(default_factory=dict, description="Arguments of the function, by name.")
    adds: dict[str, AddedType] = Field(
        min_length=1,
        description="The columns that it returns and what each holds; they are prepared like columns of that type, and may "
        "lack values.",
    )


class Preparation(Contract):
    """Cleaning and features by type of column; always inside the estimator's pipeline, fitted on its training rows only."""

    steps: list[OwnStep] = Field(
        default_factory=list,
        description="The project's own functions, in this order, before all else: for what no kind below can say, such as the "
        "ratio of two columns.",
    )
    number: NumberPreparation = Field(NumberPreparation(), description="Columns of type number, integer and boolean.")
    category: CategoryPreparation = Field(CategoryPreparation(), description="Columns of type category.")
    text: TextPreparation = Field(TextPreparation(), description="Columns of type text.")
    datetime: DatetimePreparation = Field(DatetimePreparation(), description="Columns of type datetime.")
    select: FeatureSelection = Field(
        FeatureSelection(), description="Fewer columns for the model, chosen on the training rows."
    )
