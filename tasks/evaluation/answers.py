"""The answers of all models on the same frozen rows, as numpy arrays: what every statistic reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import InsufficientData, IntegrityError, SpecError, name_values
from tasks.contracts.evaluation import ScoredRows
from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers, Codes, Floats, Label, Mask
from tasks.metrics.label_sets import read_sets
from tasks.metrics.registry import NONE_OF_ITS_OWN, Metric, find_positive

MAX_SLICES_OF_A_COLUMN = 50


@dataclass(frozen=True)
class AnswerTable:
    """Truth and answers on n rows, in one order.

    `truth` holds class codes (positions in `classes`), or values where `classes` is empty (regression). `comparable`
    is False on rows that the champion was trained on. `groups` are codes of rows that are not independent. `slices`
    maps `column=value` to the rows of that part.
    """

    classes: tuple[Label, ...]
    truth: Floats | Codes
    models: tuple[Answers, ...]
    comparable: Mask
    positive: int = 1
    groups: Codes | None = None
    slices: dict[str, Mask] = field(default_factory=dict)
    own: Mapping[str, Metric] = field(default_factory=dict)
    """The project's own metrics by name."""
    several: bool = False
    """The classes are labels of which a row may have several: truth and answers are codes of sets (`tasks.metrics.label_sets`)."""

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.truth)

    def of(self, role: str) -> Answers | None:
        """Return the answers of the model in this role, or None where there is no such model."""
        return next((model for model in self.models if model.role == role), None)

    def take(self, rows: Mask) -> "AnswerTable":
        """Return the table of these rows."""
        return replace(
            self,
            truth=self.truth[rows],
            models=tuple(model.take(rows) for model in self.models),
            comparable=self.comparable[rows],
            groups=None if self.groups is None else self.groups[rows],
            slices={name: mask[rows] for name, mask in self.slices.items()},
        )

    def require_measurable(self) -> None:
        """Refuse rows on which no metric means anything.

        Raises
        ------
        InsufficientData
            With fewer than two rows, or a classification whose rows all have one class.
        """
        remedy = "Give the project more data or a larger split.test_share."
        if self.n < 2:
            raise InsufficientData(f"Expected at least 2 test rows, received {self.n}.", remedy=remedy)
        if self.several and len(np.unique(self.truth)) < 2:
            raise InsufficientData(
                f"Expected test rows of at least 2 sets of labels, received {self.n} rows of one.", remedy=remedy
            )
        if self.classes and len(np.unique(self.truth)) < 2:
            only = self.classes[int(self.truth[0])]
            raise InsufficientData(
                f"Expected test rows of at least 2 classes, received {self.n} rows of the class {only!r} alone.",
                remedy=remedy,
            )


def read_answers(
    frame: pd.DataFrame, scored: ScoredRows, spec: ProjectSpec, own: Mapping[str, Metric] = NONE_OF_ITS_OWN
) -> AnswerTable:
    """Return the answers of the Parquet frame that `ScoredRows` describes.

    Parameters
    ----------
    frame
        Columns `row`, `truth`, `comparable`, `column:<name>` for slice and group columns, and per model `<role>:<label>:predicted`
        and, where it gives scores, `<role>:<label>:p:<class>`.
    own
        The project's own metrics, from `tasks.metrics.own.load_own`.

    Raises
    ------
    IntegrityError
        If rows are missing, repeated or in another order, or an answer column is missing.
    SpecError
        If a slice or group column is missing, or the positive class is none of the classes.
    """
    _check_rows(frame, scored)
    several = bool(spec.labels)
    encode = read_sets if several else _encode
    classes = scored.classes if several else _all_classes(frame["truth"], scored.classes)
    truth = encode(frame["truth"], classes) if classes else frame["truth"].to_numpy(np.float64)
    if classes and np.any(truth < 0):
        raise IntegrityError(f"Expected a true class in every test row, {int(np.sum(truth < 0))} are missing.")
    if not classes and not np.all(np.isfinite(truth)):
        raise IntegrityError(
            f"Expected a true value in every test row, {int(np.sum(~np.isfinite(truth)))} are missing or infinite."
        )
    models = tuple(_read_model(frame, model.role, model.label, classes, encode) for model in scored.models)
    comparable = (
        frame["comparable"].to_numpy(np.bool_) if "comparable" in frame.columns else np.ones(len(frame), np.bool_)
    )
    return AnswerTable(
        classes=classes,
        truth=truth,
        models=models,
        comparable=comparable,
        positive=find_positive(spec.evaluation.positive, classes),
        groups=_groups(frame, spec),
        slices=_slices(frame, spec),
        own=own,
        several=several,
    )


def _check_rows(frame: pd.DataFrame, scored: ScoredRows) -> None:
    remedy = "Score the test rows again: nothing may add, drop or reorder them."
    for name in ("row", "truth"):
        if name not in frame.columns:
            raise IntegrityError(f"Answers: expected a column {name!r}, received {name_values(frame.columns)}.")
    if len(frame) != scored.rows:
        raise IntegrityError(f"Answers: expected {scored.rows} rows, received {len(frame)}.", remedy=remedy)
    if not np.array_equal(frame["row"].to_numpy(), np.arange(len(frame))):
        raise IntegrityError("Answers: expected rows 0, 1, 2, … in order, received another order.", remedy=remedy)


def _all_classes(truth: "pd.Series[str]", known: Sequence[Label]) -> tuple[Label, ...]:
    """Return the models' classes, then those that only the test rows have (no model can answer them)."""
    if not known:
        return ()
    unseen = set(truth.dropna().tolist()) - set(known)
    return (*known, *sorted(unseen, key=repr))


def _encode(values: "pd.Series[str]", classes: Sequence[Label]) -> Codes:
    index = pd.Index(list(classes), dtype=object)
    return np.asarray(index.get_indexer(pd.Index(values.astype(object), dtype=object)), dtype=np.int64)


def _read_model(
    frame: pd.DataFrame,
    role: str,
    label: str,
    classes: Sequence[Label],
    encode: Callable[[Any, Sequence[Label]], Codes],
) -> Answers:
    prefix = f"{role}:{label}:"
    if f"{prefix}predicted" not in frame.columns:
        raise IntegrityError(f"Answers: the column {prefix}predicted is missing.")
    answered = frame[f"{prefix}predicted"]
    if not classes:
        return Answers(role, label, answered.to_numpy(np.float64))
    columns = {name: f"{prefix}p:{name}" for name in classes}
    if not any(column in frame.columns for column in columns.values()):
        return Answers(role, label, encode(answered, classes))
    proba = np.zeros((len(frame), len(classes)))
    for code, column in enumerate(columns.values()):
        if column in frame.columns:
            proba[:, code] = frame[column].to_numpy(np.float64)
    return Answers(role, label, encode(answered, classes), proba)


def _column(frame: pd.DataFrame, column: str, where: str) -> "pd.Series[str]":
    name = f"column:{column}"
    if name not in frame.columns:
        raise SpecError(f"{where}: the column {column!r} is not among the scored rows' columns.")
    return frame[name]


def _groups(frame: pd.DataFrame, spec: ProjectSpec) -> Codes | None:
    if spec.evaluation.group is None:
        return None
    values = _column(frame, spec.evaluation.group, "evaluation.group")
    # A row without a group is its own group: fewer assumptions than one group of all of them.
    codes = np.asarray(pd.factorize(values, sort=True)[0], dtype=np.int64)
    missing = codes < 0
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(int(missing.sum()))
    return codes


def _slices(frame: pd.DataFrame, spec: ProjectSpec) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for part in spec.gate.slices:
        values = _column(frame, part.column, "gate.slices")
        names: list[object] = (
            list(part.values) if part.values is not None else sorted(values.dropna().unique(), key=repr)
        )
        if len(names) > MAX_SLICES_OF_A_COLUMN:
            raise SpecError(
                f"gate.slices: {part.column!r} has {len(names)} values, at most {MAX_SLICES_OF_A_COLUMN} can be slices.",
                remedy="Name the values that matter under `values`.",
            )
        for name in names:
            masks[f"{part.column}={name}"] = (values == name).fillna(False).to_numpy(np.bool_)
        if part.values is None and values.isna().any():
            masks[f"{part.column} missing"] = values.isna().to_numpy(np.bool_)
    return masks
