"""What was measured: one row a project, candidate and seed, in a file that is whole at every moment."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from benchmarks.results.subjects import Subject
from infra.projects import digest_module
from tasks.contracts.evaluation import MetricValue
from tasks.contracts.frozen import Contract

FILE = Path(__file__).parents[2] / "docs" / "results.json"


class Machine(Contract):
    """What the row was measured on."""

    processor: str
    cpu_count: int
    threads: int
    device: str
    load: Annotated[float, Field(ge=0)]
    """Load average of the last minute at the end of the fit, the fit itself included: above the threads, others worked too."""


class Row(Contract):
    """One fit, judged on the test rows."""

    project: str
    candidate: str
    seed: int
    key: str
    """Of everything that the candidate is made of, see `name_code`."""
    data: str
    """Digest of the training and the test rows."""
    train_rows: int
    test_rows: int
    figures: tuple[MetricValue, ...]
    parameters: int | None
    """Numbers that were learnt; None where they cannot be counted as such (trees, neighbours)."""
    fit_seconds: float
    epochs: int = 0
    epoch_seconds: float | None = None
    epoch_cpu_seconds: float | None = None
    machine: Machine
    versions: dict[str, str]
    commit: str
    measured: str
    """UTC, to the minute."""

    @property
    def place(self) -> tuple[str, str, int]:
        return self.project, self.candidate, self.seed


Rows = dict[tuple[str, str, int], Row]


def read_rows(path: Path) -> Rows:
    """Return the rows of the file by place; none where there is no file yet."""
    if not path.exists():
        return {}
    rows = [Row.model_validate(one) for one in json.loads(path.read_text(encoding="utf-8"))]
    return {row.place: row for row in rows}


def write_rows(rows: Rows, path: Path) -> None:
    """Put the rows in place of the file's at once: a reader, or a kill, sees the old ones or the new ones."""
    whole = json.dumps([rows[place].model_dump(mode="json") for place in sorted(rows)], indent=1, sort_keys=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(whole + "\n", encoding="utf-8")
    beside.replace(path)


def name_code(subject: Subject, candidate: str) -> str:
    """Return the digest of what the candidate is made of: its keys, those of the project that training reads, the Python of both.

    keepfit's own code is not in it: with every commit all rows, hours of work, would be out of date. Each row says of which
    commit it is, and `--again` measures anew.
    """
    spec = subject.spec
    parts = {
        "candidate": spec.candidates[candidate].model_dump(mode="json", exclude_defaults=True),
        "prepare": spec.preparation_of(candidate).model_dump(mode="json", exclude_defaults=True),
        "columns": {name: one.model_dump(mode="json", exclude_defaults=True) for name, one in spec.columns.items()},
        "split": spec.split.model_dump(mode="json", exclude_defaults=True),
        "decision": spec.decision.model_dump(mode="json", exclude_defaults=True),
        "metrics": subject.file.metrics,
        "code": _digest_functions(subject, candidate),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _digest_functions(subject: Subject, candidate: str) -> dict[str, str]:
    """Return the digest behind each function of the project that makes its rows or this candidate."""
    network, folder = subject.spec.candidates[candidate].network, subject.project.folder
    steps = [step.function for step in subject.spec.preparation_of(candidate).steps]
    named = [subject.spec.source.function, network.build if network else None, *steps]
    return {
        reference: digest_module(folder.path / f"{reference.partition(':')[0]}.py", f"projects.{folder.name}")
        for reference in named
        if reference
    }
