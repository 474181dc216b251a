"""One model's answers as numpy arrays: what every metric reads."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Label = str | int | float | bool
Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """One model's answers.

    `predicted` holds class codes (n,), -1 where the model gave none; for a regression, values. `proba` is (n, k) in
    the order of the table's classes, or None where the model gives labels only.
    """

    role: str
    label: str
    predicted: Floats | Codes
    proba: Floats | None = None

    def has_gaps(self) -> bool:
        """Return whether any answer is missing or not finite."""
        missing = bool(np.any(self.predicted < 0)) if self.predicted.dtype.kind == "i" else False
        broken = not np.all(np.isfinite(self.predicted))
        return missing or broken or (self.proba is not None and not np.all(np.isfinite(self.proba)))

    def take(self, rows: Mask) -> "Answers":
        """Return the answers on these rows."""
        proba = None if self.proba is None else self.proba[rows]
        return replace(self, predicted=self.predicted[rows], proba=proba)
