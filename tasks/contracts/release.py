"""Versions, releases and the outcome of a run."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.data import Snapshot, SplitRef, ValidationReport
from tasks.contracts.evaluation import Decision, EvaluationReport, Verdict
from tasks.contracts.frozen import Contract
from tasks.contracts.models import FitReport, ModelRef
from tasks.contracts.values import Name


class CodeState(Contract):
    """Which code made a version."""

    commit: str | None = Field(description="Git commit; None outside a repository.")
    dirty_diff: ArtifactRef | None = Field(None, description="The uncommitted changes, where there were any.")
    lock: Digest | None = Field(description="Digest of requirements.lock.")
    project_code: Digest = Field(description="Digest of the project's own Python files.")


class Manifest(Contract):
    """Everything that produced a version."""

    project: Name
    model: ModelRef
    snapshot: Snapshot
    split: SplitRef
    spec: ArtifactRef
    validation: ValidationReport
    fit: FitReport
    evaluation: EvaluationReport
    code: CodeState


class VersionRef(Contract):
    """A registered model version."""

    project: Name
    number: int
    manifest: ArtifactRef
    content: Digest
    created_at: datetime

    @property
    def label(self) -> str:
        return f"{self.project}@{self.number}"


class ReportRef(Contract):
    """The page that people read."""

    page: ArtifactRef
    label: str


class Proposal(Contract):
    """A version that may go and waits for a person: what the gate said of it, against which champion."""

    project: Name
    number: int
    content: Digest
    run_id: str = Field(description="The run that judged it first against this champion.")
    verdict: Verdict
    evaluation: EvaluationReport
    report: ArtifactRef = Field(description="The version's page.")

    @property
    def label(self) -> str:
        return f"{self.project}@{self.number}"


class ReleaseOutcome(Contract):
    """What became of a verdict."""

    released: bool
    proposal: Proposal | None = Field(None, description="Set where the version waits for a person.")
    version: str
    seq: int = Field(description="Sequence number of the champion after this.")
    detail: str = ""


class RunOutcome(Contract):
    """What a run says at its end."""

    run_id: str
    project: Name
    decision: Decision
    version: str | None
    champion: str | None
    released: bool
    verdict: Verdict
    evaluation: EvaluationReport
    fit: FitReport
    snapshot: Snapshot
    report: ArtifactRef | None = None
    status: Literal["released", "waiting", "held", "rejected", "unchanged", "dry_run"]
    seconds: float
