"""How much each training row counts: less the older it is, where the project asks for that (`training_rows: decay`)."""

from typing import Any

import numpy as np
import pandas as pd

from infra.errors import InsufficientData
from tasks.contracts.project import ProjectSpec
from tasks.models.model import Floats
from tasks.models.partition import read_order


def read_ages(frame: pd.DataFrame, spec: ProjectSpec) -> Floats | None:
    """Return how much older than the newest row each row is, in half-lives, shape (n,); None where all count alike.

    Parameters
    ----------
    frame
        Training rows with the project's `time`.
    spec
        The project: `time` and `training_rows.half_life_days`.

    Raises
    ------
    InsufficientData
        A row has no time.
    """
    half_life_days = spec.training_rows.half_life_days
    if spec.training_rows.keep != "decay" or half_life_days is None or spec.time is None:
        return None
    return read_age_days(frame[spec.time], "training_rows") / half_life_days


def read_age_days(times: "pd.Series[Any]", asked_by: str) -> Floats:
    """Return how many days older than the newest row each row is, shape (n,).

    Raises
    ------
    InsufficientData
        A row has no time.
    """
    if missing := int(times.isna().sum()):
        raise InsufficientData(
            f"{asked_by}: expected a value of {times.name!r} in every row; {missing} of {len(times)} are missing.",
            remedy=f"Give the column {times.name!r} `null_share: 0`.",
        )
    values = read_order(times)
    return np.asarray((values.max() - values) / np.timedelta64(1, "D"), dtype=np.float64)


def weigh(ages: Floats) -> Floats:
    """Return weights of mean 1, halved with each half-life: w_i = 2^-(a_i - min a) n / Σ 2^-(a_j - min a).

    The mean is 1 so that a candidate's regularisation means what it means without weights; ages are taken from the
    youngest of these rows, so that a fold of old rows does not weigh nothing.

    Parameters
    ----------
    ages
        In half-lives, shape (n,).

    >>> weigh(np.array([0.0, 1.0])).round(3).tolist()
    [1.333, 0.667]
    """
    weights = np.exp2(ages.min() - ages)
    return np.asarray(weights / weights.mean(), dtype=np.float64)
