"""What is watched: columns of a table of rows, and the measures that each is seen through."""

from collections.abc import Sequence
from typing import Literal

from tasks.contracts.columns import ColumnType
from tasks.contracts.frozen import Contract
from tasks.contracts.monitoring import Aspect
from tasks.contracts.project import ProjectSpec

MAX_SCORES = 10
"""With more classes the predicted class alone is watched: so many scores would each be nearly always zero."""

Part = Literal["", "hour", "weekday", "month", "brightness", "contrast", "detail"]
Kind = Literal["number", "values", "text"]


class Watched(Contract):
    """One column that is held against the reference."""

    column: str
    type: ColumnType
    aspect: Aspect = "feature"


class Measure(Watched):
    """One view of a column: its numbers, its values, its texts, a part of its times, or a measure of its pictures."""

    part: Part = ""

    @property
    def name(self) -> str:
        """The column's name, with the part of the time or the measure of the picture where it is one."""
        return f"{self.column} ({self.part})" if self.part else self.column

    @property
    def kind(self) -> Kind:
        """How it is counted."""
        if self.type == "text":
            return "text"
        return "number" if self.type in ("number", "integer", "image") else "values"

    @property
    def is_first(self) -> bool:
        """Whether it is the first of its column, by which what is said of the column is said once."""
        return self.part in ("", "hour", "brightness")


def watch_features(spec: ProjectSpec) -> tuple[Watched, ...]:
    """Return the columns that the model sees."""
    return tuple(Watched(column=name, type=column.type) for name, column in spec.features.items())


def watch_target(spec: ProjectSpec) -> tuple[Watched, ...]:
    """Return the target; whole numbers are classes in a classification, and numbers in a regression; of a set each label."""
    if spec.labels:
        return tuple(Watched(column=name, type="boolean", aspect="target") for name in spec.labels)
    kind = spec.columns[spec.target].type
    if spec.is_regression:
        kind = "number"
    elif kind in ("integer", "text"):
        kind = "category"
    return (Watched(column=spec.target, type=kind, aspect="target"),)


def watch_predictions(
    columns: Sequence[str], *, regression: bool = False, labels: Sequence[str] = ()
) -> tuple[Watched, ...]:
    """Return what is watched of a table of answers: the predicted class, and the scores; of a regression the value.

    Of two scores the last is enough: they add up to 1. Of sets of labels each label is watched by itself, and its score.

    Parameters
    ----------
    columns
        The names in the table: `prediction`, and `p_<class>` where the model gives scores.
    regression
        The predictions are values.
    labels
        The predictions are sets of these.

    Examples
    --------
    >>> [each.column for each in watch_predictions(["id", "prediction", "p_no", "p_yes", "version"])]
    ['prediction', 'p_yes']
    """
    if labels:
        scored = [f"p_{name}" for name in labels if len(labels) <= MAX_SCORES]
        return (
            *(Watched(column=name, type="boolean", aspect="prediction") for name in labels),
            *(Watched(column=name, type="number", aspect="prediction") for name in scored),
        )
    scores = [name for name in columns if name.startswith("p_")]
    kept = scores[-1:] if len(scores) == 2 else scores if len(scores) <= MAX_SCORES else []
    return (
        Watched(column="prediction", type="number" if regression else "category", aspect="prediction"),
        *(Watched(column=name, type="number", aspect="prediction") for name in kept),
    )


def list_measures(watched: Sequence[Watched]) -> tuple[Measure, ...]:
    """Return the measures of these columns: one each; three of times (`PARTS`) and of pictures (`measure_images`)."""
    parts: dict[str, tuple[Part, ...]] = {
        "datetime": ("hour", "weekday", "month"),
        "image": ("brightness", "contrast", "detail"),
    }
    return tuple(
        Measure(column=each.column, type=each.type, aspect=each.aspect, part=part)
        for each in watched
        for part in parts.get(each.type, ("",))
    )
