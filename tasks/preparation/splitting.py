"""Training and test rows, parted before anything is fitted. Never touches a value."""

import numpy as np
import pandas as pd

from infra.errors import InsufficientData, name_values
from tasks.contracts.project import ProjectSpec
from tasks.models.partition import Positions, hold_out, hold_out_days, read_order
from tasks.models.weights import read_age_days


def split_rows(frame: pd.DataFrame, spec: ProjectSpec) -> tuple[Positions, Positions]:
    """Return the positions of the training rows (those that `training_rows` keeps) and of the test rows.

    `random` is scikit-learn's `train_test_split` to the row and its order; `ordered` gives the last rows by
    `split.column` to the test (`test_days`: those of the last so many days), and rows of one value never to both
    sides; rows within `split.gap` before the test are in neither part; `grouped` never parts a group.

    Raises
    ------
    InsufficientData
        A side is empty, has one class only, or the test has a class that training never sees; for a regression: the target
        is one value among the training rows; for sets of labels: all training rows have a label, or none has.
    """
    target = frame[spec.target].to_numpy()
    if frame[spec.target].isna().any():
        raise InsufficientData(
            f"Expected a target in every row, received {int(frame[spec.target].isna().sum())} without {spec.target!r}.",
            remedy="Validate first: a target needs `null_share: 0`.",
        )
    by = read_order(frame[spec.split.column]) if spec.split.column and spec.split.method != "random" else None
    if by is not None and spec.split.test_days is not None:
        train, test = hold_out_days(by, spec.split, spec.split.test_days)
    else:
        train, test = hold_out(target, by, spec.split, share=spec.split.test_share, seed=spec.split.seed)
    train = _keep_recent(frame, train, spec)
    if spec.labels:
        _require_labels(frame, spec, train, test)
    elif spec.is_regression:
        _require_values(target[train])
    else:
        _require_classes(target[train], target[test])
    return train, test


def _keep_recent(frame: pd.DataFrame, train: Positions, spec: ProjectSpec) -> Positions:
    """Leave out what is older than the last `training_rows.days` before the newest training row."""
    days = spec.training_rows.days
    if spec.training_rows.keep != "last" or days is None or spec.time is None:
        return train
    kept = read_age_days(frame[spec.time].iloc[train], "training_rows") < days
    return train[kept]


def _require_values(train: np.ndarray) -> None:
    if len(train) == 0 or (train == train[0]).all():
        raise InsufficientData(
            f"Expected at least two values of the target among the training rows, received {name_values(train[:1].tolist())} "
            f"in {len(train)} rows.",
            remedy="More rows are needed, or another split (`split.method`, `split.test_share`).",
        )


def _require_labels(frame: pd.DataFrame, spec: ProjectSpec, train: Positions, test: Positions) -> None:
    """Ask for rows with and without each label to train on, and for two different sets to test on."""
    for name in spec.labels:
        having, rows = int(frame[name].iloc[train].sum()), len(train)
        if having in (0, rows):
            raise InsufficientData(
                f"Expected training rows with and without the label {name!r}, received {having} with it of {rows}.",
                remedy="More rows are needed, another split, or leave the label out of `labels`.",
            )
    if frame[spec.target].iloc[test].nunique() < 2:
        raise InsufficientData(
            f"Expected at least two sets of labels among the {len(test)} test rows, received one.",
            remedy="More rows are needed, or another split (`split.method`, `split.test_share`).",
        )


def _require_classes(train: np.ndarray, test: np.ndarray) -> None:
    known, judged = set(np.unique(train).tolist()), set(np.unique(test).tolist())
    for side, classes, rows in (("training", known, len(train)), ("test", judged, len(test))):
        if len(classes) < 2:
            raise InsufficientData(
                f"Expected at least two classes among the {side} rows, received {name_values(sorted(classes))} "
                f"in {rows} rows.",
                remedy="More rows are needed, or another split (`split.method`, `split.test_share`).",
            )
    if unseen := judged - known:
        raise InsufficientData(
            f"The test rows have classes that no training row has: {name_values(sorted(unseen))}.",
            remedy="More rows of them are needed, or `split.stratify: true`.",
        )
