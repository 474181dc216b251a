"""Labels that somebody poisoned (FAULTS.md row 13): no model from them is released, the same run on clean rows releases one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.artifacts.store import open_store
from infra.registry.registry import open_registry
from tests.flows.conftest import Place
from tests.flows.watched import make_visits, make_watched

pytestmark = [pytest.mark.engine, pytest.mark.slow]

NEIGHBOUR = "{estimator: sklearn.neighbors.KNeighborsClassifier, params: {n_neighbors: 1}}"
"""Believes each label, as large models do."""


def poison(rows: pd.DataFrame, share: float) -> pd.DataFrame:
    """Flip this share of the labels, of the rows that will train: the first three fifths by time."""
    random = np.random.default_rng(13)
    training = np.arange(len(rows)) < 0.6 * len(rows)
    flipped = training & (random.random(len(rows)) < share)
    other = rows["label"].map({"left": "right", "right": "left"})
    assert 0.25 < flipped.sum() / training.sum() < 0.35, "the fault"
    return rows.assign(label=np.where(flipped, other, rows["label"]))


def test_a_third_of_the_labels_flipped_is_refused_with_evidence_and_clean_rows_are_released(
    place: Place, tmp_path: Path
) -> None:
    folder = make_watched(place, tmp_path / "projects")
    spec = (
        (folder / "project.yaml").read_text().replace("{estimator: sklearn.linear_model.LogisticRegression}", NEIGHBOUR)
    )
    (folder / "project.yaml").write_text(spec.replace("policy: superiority", "policy: non_inferiority, margin: 0.05"))
    clean = make_visits(1_500, "2013-06-01", 30, sharpness=12.0)
    clean.to_csv(folder / "history.csv", index=False)

    def run(as_of: str) -> dict[str, Any]:
        told = place.answer("run", "visits", "--as-of", as_of)
        assert isinstance(told, dict)
        return told

    assert run("2013-06-20")["champion"] == "visits@1"
    poison(clean, 0.3).to_csv(folder / "history.csv", index=False)
    refused = run("2013-07-01")
    assert (refused["status"], refused["decision"], refused["champion"]) == ("rejected", "REJECT", "visits@1")
    shown = place.answer("show", "visits@2")
    assert isinstance(shown, dict)
    (primary,) = [check for check in shown["verdict"]["checks"] if check["kind"] == "primary"]
    assert primary["status"] == "fail"
    assert primary["difference"] < -0.15
    with open_registry(place.database) as registry:
        assert registry.champion("visits").version == 1
        assert [row.version for row in registry.history("visits")] == [1]
        assert registry.runs("visits")[0].state == "completed"
        store = open_store(place.store)
        assert all(store.has(ref) for ref in registry.known_blobs()), "the evidence is kept, the poisoned rows with it"

    clean.to_csv(folder / "history.csv", index=False)
    released = run("2013-07-01")
    assert (released["status"], released["champion"]) == ("released", "visits@3")
