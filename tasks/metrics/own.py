"""Metrics that a project brings with it: called once a draw, and held to what project.yaml says of them."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infra.errors import SpecError
from tasks.contracts.metrics import OwnMetric
from tasks.metrics.answers import Answers, Codes, Floats
from tasks.metrics.registry import Metric

Load = Callable[[str], Callable[..., Any]]
"""Resolves `module:function` in the project's folder."""


def load_own(described: Iterable[OwnMetric], load: Load) -> Mapping[str, Metric]:
    """Return the project's own metrics by name; nothing is loaded where there are none."""
    return {one.name: _describe(one, load(one.function)) for one in described}


def _describe(one: OwnMetric, function: Callable[..., Any]) -> "CalledMetric":
    low, high = one.range
    return CalledMetric(
        name=one.name,
        direction=one.direction,
        low=-math.inf if low is None else low,
        high=math.inf if high is None else high,
        uses=one.uses,
        formula=function,
        function=one.function,
    )


@dataclass(frozen=True)
class CalledMetric(Metric):
    """A metric whose formula takes rows and gives one number; `function` is its name in the project's folder."""

    function: str = ""

    def measure(self, truth: Codes | Floats, answers: Answers, weights: Floats, k: int, positive: int) -> Floats:
        """Return one value a draw, NaN where it is undefined; see `Metric.measure`.

        Weights are whole numbers in every use: a row that counts twice is given twice.

        Raises
        ------
        SpecError
            The function failed, or gave something else than a number of its declared range.
        """
        truth, given = self._arrange(truth, answers, k, positive)
        rows = np.arange(len(truth))
        drawn = (np.repeat(rows, draw.astype(np.int64)) for draw in weights)
        return np.array([self._call(truth[each], given[each]) for each in drawn], dtype=np.float64)

    def value(self, truth: Codes | Floats, answers: Answers, k: int, positive: int) -> float:
        """Return the metric on all rows; NaN where an answer is missing.

        Raises
        ------
        SpecError
            As in `measure`, or it is undefined on all rows: a single draw may be odd, all rows may not.
        """
        value = super().value(truth, answers, k, positive)
        if math.isnan(value) and len(truth) and not answers.has_gaps():
            raise self._refuse(f"expected a number on {len(truth):,} rows, received NaN")
        return value

    def _arrange(self, truth: Any, answers: Answers, k: int, positive: int) -> tuple[Any, Any]:
        """Return truth and answers as the function takes them: of two classes the positive one is 1."""
        if self.uses == "values":
            return truth, answers.predicted
        given = answers.predicted if self.uses == "labels" or answers.proba is None else answers.proba
        if k != 2:
            return truth, given
        is_positive = (truth == positive).astype(np.int64)
        if self.uses == "scores":
            return is_positive, given[:, positive]
        return is_positive, (given == positive).astype(np.int64)

    def _call(self, truth: Any, given: Any) -> float:
        try:
            value = float(self.formula(truth, given))
        except Exception as error:
            raise self._refuse(f"expected a number, received {type(error).__name__}: {error}") from error
        if not math.isnan(value) and not self.low <= value <= self.high:
            raise self._refuse(f"expected a number from {self.low:g} to {self.high:g} (`range`), received {value:g}")
        return value

    def _refuse(self, what: str) -> SpecError:
        return SpecError(
            f"evaluation.metrics: {self.name} ({self.function}): {what}.",
            remedy="Mend the function, or what project.yaml says of it.",
        )
