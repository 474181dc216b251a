"""From a frame to what estimators take: columns by name, one dtype a type. Learns nothing from the rows."""

from collections.abc import Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import ContractBroken, SpecError, name_values
from tasks.contracts.columns import ImageSize
from tasks.contracts.project import ProjectSpec
from tasks.images import decode_images
from tasks.metrics.label_sets import read_sets
from tasks.models.model import Array, Floats
from tasks.models.own_steps import OwnStep, answer_rowwise
from tasks.models.partition import read_order
from tasks.models.stored import Stored, hold
from tasks.models.weights import read_ages, weigh

Inputs = Array | pd.DataFrame
"""What `InputColumns.read` returns: a matrix where all features are numbers, pixels where it is a picture, else a frame."""


@dataclass(frozen=True)
class InputColumns:
    """The features that a model was fitted on, by kind.

    Their order in the frame does not matter; further columns are ignored.
    """

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    complete: bool = True
    """No number may be missing, so nothing is imputed."""
    images: tuple[str, ...] = ()
    """At most one, and then nothing else."""
    pixels: tuple[int, ...] = ()
    """Height, width and channels of a picture as a model sees it."""
    truths: tuple[str, ...] = ()
    """Those of the numbers that are truth values; only a fit asks."""
    steps: tuple[OwnStep, ...] = ()
    """The project's own functions, which add columns."""

    @classmethod
    def of(cls, spec: ProjectSpec) -> "InputColumns":
        """Return the columns that the project's models see."""
        numbers = tuple(spec.features_of("number", "integer", "boolean"))
        return cls(
            numbers=numbers,
            categories=tuple(spec.features_of("category")),
            texts=tuple(spec.features_of("text")),
            times=tuple(spec.features_of("datetime")),
            complete=all(spec.columns[name].null_share == 0 for name in numbers),
            **_describe_images(spec),
            truths=tuple(spec.features_of("boolean")),
        )

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.numbers, *self.categories, *self.texts, *self.times, *self.images)

    @property
    def are_numbers(self) -> bool:
        """All numbers: the estimator gets a plain matrix."""
        return not (self.categories or self.texts or self.times or self.images)

    def read(self, frame: pd.DataFrame) -> Inputs:
        """Return the inputs.

        float64 of shape (n, k) where all are numbers, uint8 of shape (n, height, width, channels) where it is a picture,
        a frame of known dtypes otherwise.

        Raises
        ------
        ContractBroken
            A column is not there, a number cannot be read or is infinite, or a picture cannot be read.
        """
        if absent := [name for name in self.names if name not in frame.columns]:
            raise ContractBroken(
                f"Expected the columns {name_values(self.names, 10)}; {name_values(absent)} not among the "
                f"{len(frame.columns)} received.",
                remedy="Give every column that the model was fitted on.",
            )
        if self.images:
            return self._read_images(frame[self.images[0]])
        matrix = self._matrix(frame)
        if self.are_numbers:
            return matrix
        read: dict[str, Any] = {name: matrix[:, at] for at, name in enumerate(self.numbers)}
        read |= {name: _categories(frame[name]) for name in self.categories}
        read |= {name: _texts(frame[name]) for name in self.texts}
        read |= {name: _times(frame[name]) for name in self.times}
        return pd.DataFrame(read)

    @property
    def widened(self) -> "InputColumns":
        """The columns after the project's own steps: what preprocessing sees."""
        columns = self
        for step in self.steps:
            columns = columns._with(InputColumns._added(step))
        return columns

    def derive(self, inputs: Inputs, *, guarded: bool = False) -> Inputs:
        """Return inputs with the columns that the project's own steps add; the same inputs where there are no steps.

        Parameters
        ----------
        inputs
            What `read` returned.
        guarded
            In a fit: a step that answers a row by other rows is refused.

        Raises
        ------
        SpecError, ContractBroken
            A step does not keep its contract.
        """
        if not self.steps:
            return inputs
        if inputs.ndim != 2:
            raise SpecError(
                f"prepare.steps: {self.steps[0].function} takes columns; the features of this project are none (a picture).",
                remedy="Leave `steps` out; what pictures need belongs into the network or the source.",
            )
        table = self._as_frame(inputs)
        for step in self.steps:
            added, columns = answer_rowwise(step, table) if guarded else step.answer(table), InputColumns._added(step)
            table = table.join(columns._as_frame(columns.read(added)))
        return table.to_numpy() if self.widened.are_numbers else table

    @classmethod
    def _added(cls, step: OwnStep) -> "InputColumns":
        def of(*types: str) -> tuple[str, ...]:
            return tuple(name for name, kind in step.adds.items() if kind in types)

        return cls(
            numbers=of("number", "boolean"),
            categories=of("category"),
            texts=of("text"),
            times=of("datetime"),
            complete=not of("number"),
            truths=of("boolean"),
        )

    def _with(self, other: "InputColumns") -> "InputColumns":
        """Return these columns and the others behind those of their kind, without steps."""
        return replace(
            self,
            numbers=(*self.numbers, *other.numbers),
            categories=(*self.categories, *other.categories),
            texts=(*self.texts, *other.texts),
            times=(*self.times, *other.times),
            complete=self.complete and other.complete,
            truths=(*self.truths, *other.truths),
            steps=(),
        )

    def _as_frame(self, inputs: Inputs) -> pd.DataFrame:
        if isinstance(inputs, pd.DataFrame):
            return inputs.reset_index(drop=True)
        return pd.DataFrame(inputs, columns=list(self.numbers))

    def require_rows(self, inputs: Sized) -> None:
        """Refuse an empty batch: estimators differ in what they make of it."""
        if len(inputs) == 0:
            raise ContractBroken("Expected at least one row to predict, received none.")

    def require_numbers(self, inputs: Inputs) -> None:
        """Refuse missing numbers where the model was never shown any."""
        if not self.complete or not self.numbers:
            return
        matrix = inputs[list(self.numbers)].to_numpy() if isinstance(inputs, pd.DataFrame) else inputs
        if missing := [name for at, name in enumerate(self.numbers) if np.isnan(matrix[:, at]).any()]:
            raise ContractBroken(
                f"Expected a number in every row of {name_values(missing)}, received missing values.",
                remedy="Fill them in, or allow them in project.yaml (`null_share`) and train again.",
            )

    def _read_images(self, column: pd.Series) -> Array:
        cells = column.to_list()
        height, width, channels = self.pixels
        size = ImageSize(height=height, width=width, channels=3 if channels == 3 else 1)
        pixels, readable = decode_images(cells, size)
        if not readable.all():
            raise ContractBroken(
                f"Expected a picture in every row of {column.name!r}, PNG or JPEG; {int((~readable).sum())} of {len(cells)} "
                "cannot be read.",
                remedy="Give the bytes of whole files, in a Parquet file or from a function.",
            )
        return pixels

    def _matrix(self, frame: pd.DataFrame) -> Array:
        matrix = np.empty((len(frame), len(self.numbers)))
        for at, name in enumerate(self.numbers):
            try:
                matrix[:, at] = frame[name].to_numpy(dtype=float, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ContractBroken(f"Expected numbers in {name!r}: {error}") from error
            if np.isinf(matrix[:, at]).any():
                raise ContractBroken(f"Expected finite numbers in {name!r}, received infinity.")
        return matrix


def _describe_images(spec: ProjectSpec) -> dict[str, Any]:
    names = spec.features_of("image")
    size = spec.features[names[0]].size if names else None
    return {"images": tuple(names), "pixels": (size.height, size.width, size.channels)} if size else {}


def _categories(column: pd.Series) -> Array:
    # By distinct value: 1, 1.0 and "1" are one category, so that a missing value elsewhere (which turns a
    # column of integers into floats) does not rename all the others.
    codes, values = pd.factorize(column)
    labels = np.array([*(_category(value) for value in values), np.nan], dtype=object)
    return labels[codes]


def _category(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _texts(column: pd.Series) -> Array:
    return column.astype(object).where(column.notna(), "").astype(str).to_numpy(dtype=object)


def _times(column: pd.Series) -> pd.Series:
    try:
        return pd.to_datetime(column, utc=True).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise ContractBroken(f"Expected dates and times in {column.name!r}: {error}") from error


def read_target(frame: pd.DataFrame, spec: ProjectSpec) -> Array:
    """Return the target, shape (n,): each row's class as its own type (bool, int64 or str), or a regression's value (float64).

    Sets of labels are their codes (uint64, see `tasks.metrics.label_sets`). What parts rows tells classes from the others by
    this dtype: see `partition.has_classes`.
    """
    if spec.labels:
        return read_sets(frame[spec.target], spec.labels).astype(np.uint64)
    kind, column = spec.columns[spec.target].type, frame[spec.target]
    if spec.is_regression and kind in ("number", "integer"):
        return column.to_numpy(dtype=np.float64)
    if kind == "boolean":
        return column.to_numpy(dtype=bool)
    if kind == "integer":
        return column.to_numpy(dtype=np.int64)
    if kind in ("category", "text"):
        return column.astype(object).map(_category).to_numpy(dtype=object)
    expected = (
        "number or integer for a regression" if spec.is_regression else "boolean, integer or category for classes"
    )
    raise SpecError(
        f"{spec.name}: expected a target of type {expected}, received {kind} ({spec.target!r}).",
        remedy="Leave `task` out, or give the target as what it is.",
    )


@dataclass(frozen=True)
class Undecoded:
    """The pictures of a frame, decoded as they are looked at."""

    columns: InputColumns
    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, part: slice) -> Inputs:
        return self.columns.read(self.frame.iloc[part])


def take_inputs(inputs: Inputs | Stored, positions: Array) -> Inputs | Stored:
    """Return the inputs at these positions, in this order; from a file, they stay there."""
    if isinstance(inputs, Stored):
        return inputs.take(positions)
    return inputs.iloc[positions] if isinstance(inputs, pd.DataFrame) else inputs[positions]


@dataclass(frozen=True)
class StoredTable:
    """Rows whose features lie in a file, because they would take too much memory; the columns that part, weigh and teach do not."""

    lean: pd.DataFrame
    """The columns that are no inputs, among them target, split column and time."""
    inputs: Stored
    source: Path
    """The Parquet file of all columns."""

    def __len__(self) -> int:
        return len(self.lean)

    def take(self, positions: Array) -> "StoredTable":
        """Return the rows at these positions, in this order."""
        return StoredTable(self.lean.iloc[positions].reset_index(drop=True), self.inputs.take(positions), self.source)


Table = pd.DataFrame | StoredTable
"""Rows with all their columns."""


def take_rows(table: Table, positions: Array) -> Table:
    """Return the table's rows at these positions, in this order; what lies in a file stays there."""
    if isinstance(table, StoredTable):
        return table.take(positions)
    return table.iloc[positions].reset_index(drop=True)


def lean_columns(table: Table) -> pd.DataFrame:
    """Return the table's rows with at least target, split column and time."""
    return table.lean if isinstance(table, StoredTable) else table


@dataclass(frozen=True)
class Rows:
    """Rows ready to fit or judge on: inputs, their classes or values, what they may be parted by, and how old they are."""

    inputs: Inputs | Stored
    target: Array
    by: Array | None
    ages: Floats | None = None
    """In half-lives; None: all rows count alike."""

    @classmethod
    def read(cls, table: Table, spec: ProjectSpec) -> "Rows":
        """Return the rows of a table that holds features, target and, where they are asked for, split column and time."""
        lean = lean_columns(table)
        column = spec.split.column if spec.split.method != "random" else None
        by = read_order(lean[column]) if column in lean.columns else None
        inputs = table.inputs if isinstance(table, StoredTable) else InputColumns.of(spec).read(table)
        return cls(inputs, read_target(lean, spec), by, read_ages(lean, spec))

    def take(self, positions: Array) -> "Rows":
        """Return the rows at these positions, in this order; inputs in a file stay there."""
        by, ages = (None if values is None else values[positions] for values in (self.by, self.ages))
        return Rows(take_inputs(self.inputs, positions), self.target[positions], by, ages)

    @property
    def held(self) -> "Rows":
        """The rows with their inputs in memory."""
        return replace(self, inputs=hold(self.inputs)) if isinstance(self.inputs, Stored) else self

    @property
    def weights(self) -> Floats | None:
        """How much each row counts in a fit on just these rows; None: all alike."""
        return None if self.ages is None else weigh(self.ages)

    def __len__(self) -> int:
        return len(self.target)
