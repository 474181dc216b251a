"""Small tables of answers, specs and descriptions of models for the tests of evaluation."""

from typing import Any

import numpy as np

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.candidates import Candidate
from tasks.contracts.columns import Column
from tasks.contracts.evaluation import ScoredModel, ScoredRows
from tasks.contracts.project import Evaluation, Gate, ProjectSpec, Source
from tasks.evaluation.answers import AnswerTable
from tasks.metrics.answers import Answers

CONTENT = {"candidate": "a" * 64, "champion": "b" * 64, "beside": "c" * 64}


def make_spec(*, evaluation: dict[str, Any] | None = None, **gate: Any) -> ProjectSpec:
    return ProjectSpec(
        name="demo",
        source=Source(function="demo:load"),
        columns={
            "x": Column(type="number"),
            "part": Column(type="category"),
            "film": Column(type="category"),
            "y": Column(type="category"),
        },
        target="y",
        candidates={"dummy": Candidate(estimator="sklearn.dummy.DummyClassifier")},
        evaluation=Evaluation(**(evaluation or {})),
        gate=Gate(**gate),
    )


def make_scored(rows: int, roles: tuple[str, ...] = ("candidate", "champion"), **changed: Any) -> ScoredRows:
    models = []
    for role in roles:
        given = {"artifact": CONTENT[role], "content": CONTENT[role], "latency_ms": 1.0, "size_bytes": 1_000_000}
        if role == "candidate":
            given |= changed
        models.append(ScoredModel(role=role, label=label_of(role), **given))
    answers = ArtifactRef(digest="d" * 64, size_bytes=1, media_type="application/vnd.apache.parquet")
    return ScoredRows(test_digest="e" * 64, answers=answers, models=tuple(models), classes=("no", "yes"), rows=rows)


def label_of(role: str) -> str:
    return {"candidate": "knn", "champion": "demo@1", "beside": "other"}[role]


def right_and_wrong(both: int, b: int, c: int, neither: int = 0, **more: Any) -> AnswerTable:
    """Return rows on which both models are right, the candidate alone, the champion alone, neither."""
    truth = np.arange(both + b + c + neither) % 2
    candidate = np.repeat([True, True, False, False], [both, b, c, neither])
    champion = np.repeat([True, False, True, False], [both, b, c, neither])
    return table_of(truth, np.where(candidate, truth, 1 - truth), np.where(champion, truth, 1 - truth), **more)


def table_of(truth: np.ndarray, candidate: np.ndarray, champion: np.ndarray | None = None, **more: Any) -> AnswerTable:
    models = [as_model("candidate", candidate)]
    if champion is not None:
        models.append(as_model("champion", champion))
    more.setdefault("comparable", np.ones(len(truth), dtype=bool))
    return AnswerTable(("no", "yes"), np.asarray(truth, dtype=np.int64), tuple(models), **more)


def as_model(role: str, answers: np.ndarray) -> Answers:
    """Return a model's labels, or labels and probabilities where probabilities of "yes" are given."""
    if answers.dtype.kind == "f":
        proba = np.column_stack([1 - answers, answers])
        return Answers(role, label_of(role), (answers > 0.5).astype(np.int64), proba)
    return Answers(role, label_of(role), answers.astype(np.int64))


def draw_pair(seed: int, n: int, apart: float = 2.0, edge: float = 0.0) -> AnswerTable:
    """Return two models whose scores share nine tenths of their noise; the candidate is better by `edge`."""
    rng = np.random.default_rng(seed)
    truth = np.r_[0, 1, rng.integers(2, size=n - 2)]
    shared = rng.standard_normal(n) * np.sqrt(0.9)
    scores = []
    for more in (edge, 0.0):
        score = (apart + more) * (truth - 0.5) + shared + rng.standard_normal(n) * np.sqrt(0.1)
        scores.append(1 / (1 + np.exp(-apart * score)))
    return table_of(truth, *scores)
