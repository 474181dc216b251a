"""project.yaml as types: the science of one project.

The descriptions below are what the JSON Schema, the editor's completion and the error messages say.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from tasks.contracts.candidates import Candidate, Selection
from tasks.contracts.columns import Column, ColumnType, Validation
from tasks.contracts.compute import Compute, Schedule
from tasks.contracts.export import Export
from tasks.contracts.frozen import Contract
from tasks.contracts.imbalance import Decision
from tasks.contracts.metrics import OwnMetric
from tasks.contracts.networks import Cnn2d, EfficientNetLite0
from tasks.contracts.preparation import Preparation
from tasks.contracts.study import Study
from tasks.contracts.tuning import Tuning, check_tuning
from tasks.contracts.upkeep import GatePolicy, Monitoring, Retraining, TrainingRows
from tasks.contracts.values import (
    JOINED_BY,
    NO_LABELS,
    Name,
    OpenShare,
    Positive,
    Reference,
    Span,
    Variable,
    one_of_keys,
)

MOST_LABELS = 50
"""A set of labels is a whole number below 2^53, which a float holds exactly."""


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
        description="random only: keep the shares of the classes; a regression and a multilabel project have none, and their "
        "default is false.",
    )
    column: str | None = Field(None, description="ordered: the time or rank column; grouped: the group column.")
    test_days: Annotated[float, Field(gt=0)] | None = Field(
        None, description="ordered by time: the last so many days are the test, instead of `test_share`."
    )
    gap: Span | None = Field(
        None,
        description="ordered: at least so many rows (5), or so long a time (1d, 12h, 30min, 2w), lie between what is fitted and what "
        "judges, in the test and in every fold; rows in it do neither. For truths that are known later than their rows, or "
        "features that look back: without it the last training rows have seen into the test.",
    )

    @model_validator(mode="after")
    def _column_where_needed(self) -> Self:
        if self.method != "random" and self.column is None:
            raise ValueError(f"split method {self.method!r} needs `column`")
        if self.method != "ordered" and self.test_days is not None:
            raise ValueError("test_days needs split method 'ordered'")
        if self.method != "ordered" and self.gap is not None:
            raise ValueError("gap needs split method 'ordered'")
        return self


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

    metric: str = Field(
        "accuracy",
        description="The primary metric: it decides; the default of a regression is rmse, of a multilabel project label_f1_micro.",
    )
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


class ProjectSpec(Contract):
    """One project: what its data must look like, how its model is made and when a new one may replace it."""

    name: Name = Field(description="The folder's name.")
    description: str = Field("", description="What the model is for, in a sentence or two.")
    source: Source = Field(description="Where the rows come from: exactly one of the four.")
    columns: dict[str, Column] = Field(min_length=2, description="The contract of each column, by its name.")
    target: str = Field(
        description="The column to predict; of a multilabel project what the set of its `labels` is called."
    )
    task: Literal["classification", "multilabel", "regression"] | None = Field(
        None,
        description="What is predicted: a class, any number of labels at once, or a value; left out: a value where the target is of "
        "type number, else a class. A target of type integer may be declared a regression: where 3 lies between 2 and 4, as in "
        "counts.",
    )
    labels: Annotated[list[str], Field(max_length=MOST_LABELS)] = Field(
        default_factory=list,
        description="multilabel: the columns of type boolean that say which labels a row has; it may have several, all or none. "
        "Answers and labels then name the set, such as rain+wind or none, and each label has a probability of its own.",
    )
    row_id: str | None = Field(None, description="Column that names a row; unique.")
    time: str | None = Field(None, description="Column that says when a row happened.")
    validation: Validation = Field(Validation(), description="What happens with rows that break the contract.")
    split: Split = Field(Split(), description="How rows become training and test rows, before anything is fitted.")
    training_rows: TrainingRows = Field(TrainingRows(), description="Which of the rows before the test rows train.")
    prepare: Preparation = Field(
        Preparation(),
        description="Cleaning and features by type of column. For a network it is learnt from rows that hold at most 16.8 million "
        "values (rows times columns; a text counts as 200): of more, from a draw of so many by `seed`.",
    )
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
    def _labels_fit(self) -> Self:
        if (self.task == "multilabel") != bool(self.labels) or len(self.labels) == 1 or self.target in self.labels:
            raise ValueError("task multilabel needs two `labels` at least, and a `target` that names their set")
        for at, name in enumerate(self.labels):
            if name in self.labels[:at]:
                raise ValueError(f"labels: {name!r} stands here a second time")
            if name not in self.columns or self.columns[name].type != "boolean" or self.columns[name].null_share:
                raise ValueError(f"labels: {name!r} is no column of type boolean with null_share 0")
            if JOINED_BY in name or name in NO_LABELS or name.startswith("p_"):
                raise ValueError(f"labels: {name!r} means something else beside the answers: rename the column")
        if self.labels:
            # To all that counts, parts or keeps rows the set is a column like others: it is made of the labels.
            derived = Column(type="category", feature=False, meaning="The labels of the row.")
            object.__setattr__(self, "columns", {**self.columns, self.target: derived})
        return self

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
            if isinstance(architecture, EfficientNetLite0) and not self.features_of("image"):
                raise ValueError(f"candidates.{name}: {architecture.name} reads a column of type image")
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
    def _defaults_of_the_task(self) -> Self:
        # What a section cannot know of itself: frozen, so put in place before anybody has seen it.
        if not (self.is_regression or self.labels):
            return self
        if "metric" not in self.evaluation.model_fields_set:
            metric = "rmse" if self.is_regression else "label_f1_micro"
            object.__setattr__(self, "evaluation", self.evaluation.model_copy(update={"metric": metric}))
        if "stratify" not in self.split.model_fields_set:
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
    def target_columns(self) -> tuple[str, ...]:
        """The columns that hold the truth where it comes from: the labels of a set, or the target."""
        return tuple(self.labels) or (self.target,)

    @property
    def features(self) -> dict[str, Column]:
        """The columns that a model sees, in the order of the file."""
        left_out = {self.target, self.row_id, self.time, *self.labels}
        return {name: column for name, column in self.columns.items() if column.feature and name not in left_out}

    def features_of(self, *types: ColumnType) -> list[str]:
        """Return the names of the features of these types."""
        return [name for name, column in self.features.items() if column.type in types]

    def of_label(self, name: str) -> "ProjectSpec":
        """Return the project that predicts this one of the labels from the same features."""
        columns = {**self.features, name: self.columns[name]}
        return self.model_copy(update={"target": name, "task": "classification", "labels": [], "columns": columns})

    def preparation_of(self, candidate: str) -> Preparation:
        """Return how this candidate's inputs are prepared."""
        return self.candidates[candidate].prepare or self.prepare


SpecSections = Mapping[str, JsonValue]
