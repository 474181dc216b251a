"""What the registry hands out: one frozen record a row, and the token that a fenced write shows.

Payloads are plain JSON: the registry knows nothing of the stages that wrote them.
"""

from datetime import datetime
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, JsonValue

from infra.artifacts.reference import ArtifactRef, Digest

RunState = Literal["running", "completed", "failed", "cancelled", "crashed"]
FinalState = Literal["completed", "failed", "cancelled"]
ReleaseKind = Literal["promote", "rollback"]
Json = dict[str, JsonValue]


class Fencing(NamedTuple):
    """Proof of a lease: a write that shows an older fence than the lease's own is refused."""

    run_id: str
    project: str
    fence: int


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Holder(Record):
    """The process that holds a lease. `boot_id` tells boots and process namespaces of one host apart."""

    host: str
    boot_id: str
    pid: int
    process_started_s: float


class RunGrant(Record):
    """A run that may write: its lease, and the dead runs that were found on the way to it."""

    run_id: str
    project: str
    fence: int
    lease_until: datetime
    crashed_run_ids: tuple[str, ...] = ()

    @property
    def fencing(self) -> Fencing:
        return Fencing(self.run_id, self.project, self.fence)


class RunRow(Record):
    run_id: str
    project: str
    flow: str
    trigger_kind: str
    trigger_key: str | None
    why: str
    parameters: Json
    actor: str
    state: RunState
    fence: int
    host: str
    pid: int
    started_at: datetime
    ended_at: datetime | None
    outcome: Json | None
    error: str | None


class StepRow(Record):
    key: str
    run_id: str
    project: str
    step: str
    result: Json
    blobs: tuple[Digest, ...]
    seconds: float
    committed_at: datetime


class VersionRow(Record):
    """A model version with its verdict: `payload` and `verdict` are whatever the caller registered."""

    project: str
    number: int
    key: str
    manifest: ArtifactRef
    content: Digest
    payload: Json
    verdict: Json
    decision: str
    test_digest: Digest
    run_id: str
    created_at: datetime

    @property
    def label(self) -> str:
        return f"{self.project}@{self.number}"


class ChampionRow(Record):
    """The version in use. Before the first release `seq` is 0 and `version` None."""

    project: str
    seq: int
    version: int | None
    since: datetime | None


class ReleaseRow(Record):
    """One move of the champion, from `previous` to `version`; `seq` counts 1, 2, 3, … a project."""

    project: str
    seq: int
    kind: ReleaseKind
    version: int
    previous: int | None
    why: str
    actor: str
    run_id: str | None
    evidence: Json
    at: datetime
    until: datetime | None = None


class AuditRow(Record):
    id: int
    at: datetime
    actor: str
    action: str
    project: str | None
    subject: str
    detail: Json
