"""Small projects and rows that the tests of validation share."""

from typing import Any

import numpy as np
import pandas as pd

from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column, Validation
from tasks.contracts.project import ProjectSpec, Source

COLUMNS = {
    "id": Column(type="integer", feature=False),
    "size": Column(type="number", min=0, max=10),
    "count": Column(type="integer", min=0, null_share=0.5),
    "shade": Column(type="category", allowed=["red", "blue"]),
    "note": Column(type="text", max_length=5, null_share=1),
    "wet": Column(type="boolean"),
    "at": Column(type="datetime", feature=False),
    "kind": Column(type="category", allowed=["a", "b"]),
}


def make_spec(columns: dict[str, Column] | None = None, target: str = "kind", **validation: Any) -> ProjectSpec:
    """Return a project with these columns."""
    columns = columns or COLUMNS
    return ProjectSpec(
        name="p",
        source=Source(function="data:read"),
        columns=columns,
        target=target,
        row_id="id" if "id" in columns else None,
        validation=Validation(**{"min_rows": 5, **validation}),
        candidates={"dummy": Candidate(estimator="sklearn.dummy.DummyClassifier")},
    )


def make_rows(rows: int = 40) -> pd.DataFrame:
    """Return rows that keep the contract of COLUMNS."""
    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "size": rng.uniform(0, 10, rows),
            "count": pd.array(rng.integers(0, 9, rows), dtype="Int64"),
            "shade": rng.choice(["red", "blue"], rows),
            "note": [f"n{i % 9}" for i in range(rows)],
            "wet": rng.random(rows) < 0.5,
            "at": pd.date_range("2024-01-01", periods=rows, tz="UTC"),
            "kind": np.where(np.arange(rows) % 2 == 0, "a", "b"),
        }
    )
