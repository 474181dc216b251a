"""project.yaml as types: the science of one project.

The descriptions below are what the JSON Schema, the editor's completion and the error messages say.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from tasks.contracts.export import Export
from tasks.contracts.frozen import Contract
from tasks.contracts.imbalance import Balance, Calibrate, Decision
from tasks.contracts.metrics import OwnMetric
from tasks.contracts.networks import Cnn2d, Network
from tasks.contracts.preparation import Preparation
from tasks.contracts.study import Study
from tasks.contracts.tuning import ParameterName, Space, Tuning, check_search, check_tuning
from tasks.contracts.upkeep import GatePolicy, Monitoring, Retraining, TrainingRows
from tasks.contracts.values import Name, OpenShare, Positive, Reference, Share, Variable, one_of_keys, say_pattern


class Sql(Contract):
    """A query through SQLAlchemy."""

    query: str = Field(description="One SELECT; `:as_of` is bound to the run's as-of time.")
    url_env: Variable = Field(
        description="Name of the environment variable that holds the database URL (never the URL itself)."
    )


class Source(Contract):
    """Where the rows come from: exactly one of the four."""

    model_config = one_of_keys("function", "csv", "parquet", "sql")

    function: Reference | None = Field(
        None, description="`module:function` in the project's folder; returns a DataFrame."
    )
    csv: str | list[str] | None = Field(None, description="Path, glob or s3:// address of CSV files.")
    parquet: str | list[str] | None = Field(None, description="Path, glob or s3:// address of Parquet files.")
    sql: Sql | None = Field(None, description="A query through SQLAlchemy.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in ("function", "csv", "parquet", "sql") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of function, csv, parquet, sql; received {given or 'none'}")
        return self


ColumnType = Literal["number", "integer", "boolean", "category", "text", "datetime", "image"]

Pixels = Annotated[int, Field(ge=1, le=4096)]


class ImageSize(Contract):
    """What a model sees of a picture: others are scaled to it."""

    height: Pixels = Field(description="Rows of pixels.")
    width: Pixels = Field(description="Columns of pixels.")
    channels: Literal[1, 3] = Field(3, description="1: shades of grey; 3: red, green and blue.")


class Column(Contract):
    """The contract of one column."""

    type: ColumnType = Field(
        description="What the values are; category: one of a few values, text: words, image: a picture as the bytes of a PNG "
        "or JPEG file."
    )
    meaning: str = Field("", description="What the column says, in words.")
    unit: str = Field("", description="Unit of a number.")
    min: float | None = Field(None, description="Smallest allowed value, inclusive (number, integer).")
    max: float | None = Field(None, description="Largest allowed value, inclusive (number, integer).")
    allowed: list[str | int | float | bool] | None = Field(None, description="The only allowed values.")
    null_share: Share = Field(0.0, description="Largest allowed share of missing values.")
    unique: bool = Field(False, description="No value may occur twice.")
    max_length: Positive | None = Field(None, description="Longest allowed text, in characters.")
    size: ImageSize | None = Field(None, description="image: the size at which a model sees the pictures.")
    feature: bool = Field(True, description="False: kept, checked and sliced on, but never shown to a model.")
    known: Literal["before"] | None = Field(
        None,
        description="before: a person vouches that the value is known before the target, however well it predicts it or "
        "is mended later; the leak guard then lets it pass.",
    )

    @property
    def is_quotable(self) -> bool:
        """Whether messages may show its values: what people wrote is theirs, and a picture's bytes say nothing."""
        return self.type not in ("text", "image")


class Expectation(Contract):
    """One more Great Expectations check, in GX's own name and arguments."""

    expectation: str = Field(description="e.g. expect_column_pair_values_a_to_be_greater_than_b")
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="The check's arguments, as GX names them."
    )


class Validation(Contract):
    """What happens with rows that break the contract."""

    quarantine_share: Share = Field(
        0.0, description="Largest share of rows that may be set aside; above it the run stops."
    )
    min_rows: Positive = Field(20, description="Fewer different rows than this are not enough to say anything.")
    expectations: list[Expectation] = Field(
        default_factory=list, description="Checks beyond what the columns say, for rules across columns."
    )


class Split(Contract):
    """How rows become training and test rows, before anything is fitted."""

    method: Literal["random", "ordered", "grouped"] = Field(
        "random",
        description="random; ordered: the last rows by `column` (time) are the test; grouped: no group on both sides.",
    )
    test_share: OpenShare = Field(0.2, description="Share of the rows that test and never train.")
    seed: int = Field(42, description="Seed of the draw: the same rows and seed give the same split.")
    stratify: bool = Field(
        True,
        description="random only: keep the shares of the classes; a regression has none, and its default is false.",
    )
    column: str | None = Field(None, description="ordered: the time or rank column; grouped: the group column.")
    test_days: Annotated[float, Field(gt=0)] | None = Field(
        None, description="ordered by time: the last so many days are the test, instead of `test_share`."
    )

    @model_validator(mode="after")
    def _column_where_needed(self) -> Self:
        if self.method != "random" and self.column is None:
            raise ValueError(f"split method {self.method!r} needs `column`")
        if self.method != "ordered" and self.test_days is not None:
            raise ValueError("test_days needs split method 'ordered'")
        return self


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
    rule: Literal["best", "one_standard_error"] = Field(
        "one_standard_error",
        description="best: the highest mean; one_standard_error: the first listed within one standard error of the best.",
    )
    also_test: list[Name] = Field(
        default_factory=list,
        description="Candidates whose test figures are shown beside the chosen one's; they never influence the choice.",
    )


class Slice(Contract):
    """A part of the rows on which the candidate must hold as well."""

    column: str = Field(description="The column that cuts the rows into slices.")
    values: list[str | int | float | bool] | None = Field(
        None, description="Only these values; left out: each value is a slice."
    )


class Budgets(Contract):
    """Bounds on what serving costs."""

    latency_ms: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Median time to answer for one row, in milliseconds."
    )
    size_mb: Annotated[float, Field(gt=0)] | None = Field(None, description="Size of the artifact, in MB (10^6 bytes).")


class Evaluation(Contract):
    """What is measured on the test rows."""

    metric: str = Field("accuracy", description="The primary metric: it decides; the default of a regression is rmse.")
    also: list[str] = Field(default_factory=list, description="Metrics that are shown, with intervals.")
    metrics: list[OwnMetric] = Field(
        default_factory=list,
        description="Metrics of the project's own; their names may stand wherever a metric's does.",
    )
    positive: str | int | bool | None = Field(
        None, description="binary: the class that scores are for; default the last in sorted order."
    )
    bootstrap_draws: Annotated[int, Field(ge=100, le=100_000)] = Field(
        2_000, description="Resamples behind each interval; more make its ends steadier."
    )
    group: str | None = Field(None, description="Column whose rows are not independent: resampled together.")
    seed: int = Field(0, description="Seed of the resampling.")


class Gate(Contract):
    """When a candidate may replace the champion."""

    policy: GatePolicy = Field(
        "superiority",
        description="superiority: better, with confidence; non_inferiority: not worse than `margin`, with confidence.",
    )
    margin: Annotated[float, Field(ge=0)] = Field(
        0.01,
        description="Largest tolerated loss, in units of the metric; with rmse or mae those of the target, and to be given.",
    )
    alpha: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.025, description="One-sided error rate of the whole family of tests."
    )
    floors: dict[str, float] = Field(default_factory=dict, description="metric: worst allowed value on the test rows.")
    guards: dict[str, float] = Field(
        default_factory=dict, description="metric: largest tolerated loss against the champion."
    )
    slices: list[Slice] = Field(
        default_factory=list, description="Parts of the test rows on which the candidate may not fall behind."
    )
    slice_margin: Annotated[float, Field(ge=0)] = Field(
        0.05, description="Largest tolerated loss of the primary metric on a slice; to be given with rmse and mae."
    )
    min_slice_rows: Positive = Field(30, description="A smaller slice cannot be judged and holds the candidate back.")
    budgets: Budgets = Field(Budgets(), description="Bounds on what serving costs.")
    max_test_uses: Positive | None = Field(
        None, description="Hold when the same test rows have judged this many candidates."
    )


class Release(Contract):
    """What happens with a candidate that the gate lets go."""

    approval: Literal["none", "operator"] = Field(
        "none", description="operator: it waits until a person approves or refuses it; until then the champion stays."
    )


class Compute(Contract):
    """What training runs on."""

    device: Literal["cpu", "gpu"] = Field("cpu", description="gpu: training goes to a worker that has one.")
    threads: Positive = Field(2, description="CPU threads of one training; part of what makes it repeatable.")
    fallback: Literal["none", "cpu"] = Field(
        "none", description="cpu: train on the CPU where no GPU is to be had, and record it."
    )


class Schedule(Contract):
    """When retraining runs by itself."""

    cron: str = Field(description="Five fields: minute, hour, day of month, month, day of week.")
    timezone: str = Field("UTC", description="IANA name of the time zone in which `cron` is read.")


class ProjectSpec(Contract):
    """One project: what its data must look like, how its model is made and when a new one may replace it."""

    name: Name = Field(description="The folder's name.")
    description: str = Field("", description="What the model is for, in a sentence or two.")
    source: Source = Field(description="Where the rows come from: exactly one of the four.")
    columns: dict[str, Column] = Field(min_length=2, description="The contract of each column, by its name.")
    target: str = Field(description="The column to predict.")
    task: Literal["classification", "regression"] | None = Field(
        None,
        description="What is predicted, a class or a value; left out: a value where the target is of type number, else a class. "
        "A target of type integer may be declared a regression: where 3 lies between 2 and 4, as in counts.",
    )
    row_id: str | None = Field(None, description="Column that names a row; unique.")
    time: str | None = Field(None, description="Column that says when a row happened.")
    validation: Validation = Field(Validation(), description="What happens with rows that break the contract.")
    split: Split = Field(Split(), description="How rows become training and test rows, before anything is fitted.")
    training_rows: TrainingRows = Field(TrainingRows(), description="Which of the rows before the test rows train.")
    prepare: Preparation = Field(Preparation(), description="Cleaning and features by type of column.")
    candidates: dict[Name, Candidate] = Field(
        min_length=1, description="The ways to make the model, by name; the simplest first."
    )
    decision: Decision = Field(Decision(), description="From probabilities to the class that is answered.")
    tuning: Tuning = Field(
        Tuning(), description="How the parameters of candidates with `search` are found, on training rows only."
    )
    selection: Selection = Field(Selection(), description="How one candidate is chosen, on training rows only.")
    evaluation: Evaluation = Field(Evaluation(), description="What is measured on the test rows.")
    gate: Gate = Field(Gate(), description="When a candidate may replace the champion.")
    release: Release = Field(Release(), description="What happens with a candidate that the gate lets go.")
    monitoring: Monitoring | None = Field(
        None, description="How the model in use is watched; left out: it is not. Needs `row_id` and `time`."
    )
    retraining: Retraining = Field(Retraining(), description="What an alarm may start, and what stops it.")
    compute: Compute = Field(Compute(), description="What training runs on.")
    study: Study = Field(
        Study(), description="What `keepfit study` measures on the training rows; a run never reads it."
    )
    export: Export = Field(Export(), description="The chosen model as a file for other programs.")
    schedule: Schedule | None = Field(None, description="When retraining runs by itself; left out: only when asked.")
    seed: int = Field(0, description="Seed of everything that is random in training.")

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for where, column in self._columns_named():
            if column not in self.columns:
                raise ValueError(f"{where}: {column!r} is not among the columns: {', '.join(self.columns)}")
        check_tuning(self.tuning, self.candidates, holdout=self.selection.method == "holdout")
        if self.monitoring and not (self.row_id and self.time):
            raise ValueError(
                "monitoring: needs `row_id` and `time`, to join labels by the one and to cut windows by the other"
            )
        if self.training_rows.keep != "all" and not self.time:
            raise ValueError("training_rows: needs `time`, the column that says when a row happened")
        images = self.features_of("image")
        if images and len(self.features) > 1:
            raise ValueError(
                f"{images[0]}: a model that sees a picture sees nothing else; mark the other columns `feature: false`"
            )
        if images and any(self.preparation_of(name).steps for name in self.candidates):
            raise ValueError(
                f"prepare.steps: own steps add columns of numbers, and beside the picture {images[0]} there are none"
            )
        if not self.features:
            raise ValueError("no feature is left: every column is the target, an id or marked `feature: false`")
        self._require_inputs()
        self._require_new_names()
        return self

    @model_validator(mode="after")
    def _candidates_exist(self) -> Self:
        for name in self.selection.also_test:
            if name not in self.candidates:
                raise ValueError(
                    f"selection.also_test: {name!r} is not among the candidates: {', '.join(self.candidates)}"
                )
        curve = self.study.validation_curve
        if curve and curve.candidate not in self.candidates:
            raise ValueError(
                f"study.validation_curve.candidate: {curve.candidate!r} is not among the candidates: "
                f"{', '.join(self.candidates)}"
            )
        return self

    def _require_inputs(self) -> None:
        for name, one in self.candidates.items():
            architecture = one.network.architecture if one.network else None
            texts = self.features_of("text") if self.preparation_of(name).text.encode == "tokens" else []
            if architecture and architecture.reads == "words" and (len(texts), len(self.features)) != (1, 1):
                raise ValueError(
                    f"candidates.{name}: {architecture.name} reads the words of one text: expected one feature, of type "
                    "text, and `prepare: {text: {encode: tokens}}`"
                )
            if isinstance(architecture, Cnn2d):
                self._require_pixels(name, architecture)
            if architecture and architecture.reads == "numbers" and texts:
                raise ValueError(
                    f"candidates.{name}: {architecture.name} takes word numbers for amounts: `encode: tfidf`, or an "
                    "architecture that reads words"
                )

    def _require_pixels(self, name: str, architecture: Cnn2d) -> None:
        sizes = [column.size for column in self.features.values() if column.size]
        if not sizes and architecture.height is None:
            raise ValueError(f"candidates.{name}: cnn2d reads a column of type image; or give `height` and `width`")
        if sizes and architecture.height is not None:
            raise ValueError(
                f"candidates.{name}: height and width are those of the image: `size` of the column says them"
            )
        for size in sizes:
            architecture.require_pixels(size.height, size.width)

    def _require_new_names(self) -> None:
        preparations = {"prepare": self.prepare} | {
            f"candidates.{name}.prepare": one.prepare for name, one in self.candidates.items() if one.prepare
        }
        for where, prepare in preparations.items():
            taken = set(self.columns)
            for place, step in enumerate(prepare.steps):
                if again := sorted(taken & set(step.adds)):
                    raise ValueError(f"{where}.steps[{place}].adds: there is a column {again[0]!r} already")
                taken |= set(step.adds)

    @model_validator(mode="after")
    def _default_of_a_regression(self) -> Self:
        # What a section cannot know of itself: frozen, so put in place before anybody has seen it.
        if self.is_regression and "metric" not in self.evaluation.model_fields_set:
            object.__setattr__(self, "evaluation", self.evaluation.model_copy(update={"metric": "rmse"}))
        if self.is_regression and "stratify" not in self.split.model_fields_set:
            object.__setattr__(self, "split", self.split.model_copy(update={"stratify": False}))
        return self

    def _columns_named(self) -> list[tuple[str, str]]:
        named = [
            ("target", self.target),
            ("row_id", self.row_id),
            ("time", self.time),
            ("split.column", self.split.column),
        ]
        named.append(("evaluation.group", self.evaluation.group))
        named += [("gate.slices", part.column) for part in self.gate.slices]
        return [(where, column) for where, column in named if column is not None]

    @property
    def is_regression(self) -> bool:
        """Whether the target is a value, and not a class."""
        return self.task == "regression" or (self.task is None and self.columns[self.target].type == "number")

    @property
    def features(self) -> dict[str, Column]:
        """The columns that a model sees, in the order of the file."""
        left_out = {self.target, self.row_id, self.time}
        return {name: column for name, column in self.columns.items() if column.feature and name not in left_out}

    def features_of(self, *types: ColumnType) -> list[str]:
        """Return the names of the features of these types."""
        return [name for name, column in self.features.items() if column.type in types]

    def preparation_of(self, candidate: str) -> Preparation:
        """Return how this candidate's inputs are prepared."""
        return self.candidates[candidate].prepare or self.prepare


SpecSections = Mapping[str, JsonValue]
