"""What an estimator says when it is asked, in words that name the candidate and its values.

Some values only `predict` finds wrong, such as more neighbours than there are rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from infra.errors import TrainingFailed
from tasks.contracts.project import ProjectSpec


@contextmanager
def explaining_refusals(spec: ProjectSpec, name: str, rows: int) -> Iterator[None]:
    """Turn what the fitted candidate cannot answer within into TrainingFailed.

    Parameters
    ----------
    name
        One of `spec.candidates`.
    rows
        How many rows it was fitted on.

    Raises
    ------
    TrainingFailed
        The estimator raised instead of answering.
    """
    try:
        yield
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        given = ", ".join(f"{key} {value!r}" for key, value in spec.candidates[name].params.items())
        raise TrainingFailed(
            f"{spec.name}: candidates.{name}{f' with {given}' if given else ''} was fitted on {rows} rows and cannot answer: {error}",
            remedy="Look at the candidate's `params`, or at the spaces in `search`: not every value goes with so few rows.",
        ) from error
