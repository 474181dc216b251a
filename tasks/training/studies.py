"""A study: the search for one candidate's values on given rows. Whoever knows its project and rows can work on it."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from infra.registry.records import TrialRow
from tasks.contracts.project import ProjectSpec
from tasks.contracts.tuning import Space, TrialRecord
from tasks.metrics.registry import Metric
from tasks.training.proposals import batch_size, count_trials

APART = {"description", "source", "validation", "gate", "release", "monitoring", "retraining", "schedule"}
"""Sections that no trial reads."""
APART_BELOW = {
    "selection": {"rule", "also_test"},
    "tuning": {"workers", "workers_on"},
    "evaluation": {"also", "bootstrap_draws", "group", "seed"},
}


@dataclass(frozen=True)
class Study:
    """One search, as everybody who works on it sees it."""

    key: str
    spec: ProjectSpec
    """With `selection` as trials are judged."""
    candidate: str
    metric: str
    sign: int
    """1 where a higher figure is better, -1 where a lower one is."""

    @classmethod
    def of(cls, spec: ProjectSpec, candidate: str, key: str, metric: Metric) -> "Study":
        """Return the study of this candidate under its key, judged by this metric."""
        return cls(key, judge_trials(spec), candidate, metric.name, metric.sign)

    @property
    def search(self) -> Mapping[str, Space]:
        """The spaces of the parameters, by name."""
        return self.spec.candidates[self.candidate].search

    @property
    def seed(self) -> int:
        """What its draws begin from; another one for each candidate."""
        seed = self.spec.seed if self.spec.tuning.seed is None else self.spec.tuning.seed
        return int.from_bytes(hashlib.sha256(f"{seed}:{self.candidate}".encode()).digest()[:4], "big")

    @property
    def trials(self) -> int:
        """How many trials it has."""
        return count_trials(self.search, self.spec.tuning)

    def batches(self) -> Iterator[range]:
        """Yield the numbers of each batch."""
        size = batch_size(self.search, self.spec.tuning)
        for start in range(0, self.trials, size):
            yield range(start, min(start + size, self.trials))

    def open_batch(self, records: Sequence[TrialRecord]) -> range | None:
        """Return the numbers of the first batch that is not finished; None: the study is."""
        done = {record.number for record in records}
        return next((numbers for numbers in self.batches() if not done.issuperset(numbers)), None)

    def find_best(self, records: Sequence[TrialRecord]) -> TrialRecord | None:
        """Return the complete trial with the best figure, of equals the first; None where none is complete."""
        complete = [record for record in records if record.state == "complete" and record.value is not None]
        return max(complete, key=lambda one: (self.sign * (one.value or 0.0), -one.number), default=None)

    def turned(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Return the trials with figures that are better the higher they are."""
        if self.sign > 0:
            return list(records)
        return [
            one.model_copy(
                update={
                    "scores": tuple(-score for score in one.scores),
                    "value": None if one.value is None else -one.value,
                }
            )
            for one in records
        ]


def judge_trials(spec: ProjectSpec) -> ProjectSpec:
    """Return the project with the folds of its trials in the place of those of its selection."""
    if spec.tuning.folds is None:
        return spec
    folds = {"folds": spec.tuning.folds, "repeats": 1}
    return spec.model_copy(update={"selection": spec.selection.model_copy(update=folds)})


def name_study(spec: ProjectSpec, candidate: str, rows: str, made_by: str) -> str:
    """Return the SHA-256 of what a study computes: two of one name have the same trials.

    Parameters
    ----------
    rows
        Digest of the training rows.
    made_by
        Digest of the code that makes trials: keepfit's own, its lock and the project's.
    """
    plain = spec.model_dump(mode="json", exclude=APART)
    for section, names in APART_BELOW.items():
        plain[section] = {name: value for name, value in plain[section].items() if name not in names}
    plain["candidates"] = {candidate: plain["candidates"][candidate]}
    parts = json.dumps([candidate, rows, made_by, plain], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()


def read_records(rows: Sequence[TrialRow]) -> list[TrialRecord]:
    """Return the trials that have ended, by number."""
    return [
        TrialRecord(
            number=row.number,
            params=row.params,
            state=row.state,
            scores=row.scores,
            curve=row.curve,
            value=row.value,
            error=row.error,
        )
        for row in rows
        if row.state != "running"
    ]
