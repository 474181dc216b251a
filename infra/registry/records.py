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
BreakerState = Literal["open", "closed"]
TrialState = Literal["running", "complete", "pruned", "failed"]
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

    @property
    def window(self) -> str:
        """What the trigger speaks of, such as 2013-07; empty where nothing makes it one of its kind."""
        return (self.trigger_key or "").removeprefix(f"{self.trigger_kind}:")

    @property
    def trigger(self) -> str:
        """Kind and window in words."""
        return f"{self.trigger_kind} {self.window}" if self.window else self.trigger_kind


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


class BatchRow(Record):
    """The scored rows of a window. `rows` were scored and `quarantined_rows` set aside: together all that came in.

    `snapshot` is the content digest of the rows in `rows_blob`; `key` that of all rows as they came in. `findings` is
    what validation said of them.
    """

    project: str
    window: str
    start: datetime
    end: datetime
    version: int
    key: Digest
    snapshot: Digest
    rows_blob: ArtifactRef
    predictions_blob: ArtifactRef
    quarantine_blob: ArtifactRef | None
    rows: int
    quarantined_rows: int
    findings: Json
    as_of: datetime
    scored_at: datetime
    actor: str

    @property
    def label(self) -> str:
        return f"{self.project}/{self.window}"

    @property
    def model(self) -> str:
        return f"{self.project}@{self.version}"


class LabelDeliveryRow(Record):
    """Labels as they came in once; `id` counts up, `known_at` is when the world knew them."""

    id: int
    project: str
    digest: Digest
    blob: ArtifactRef
    rows: int
    known_at: datetime
    delivered_at: datetime
    actor: str


class WindowReportRow(Record):
    """What monitoring said of a window as of a time; `alarm` is None where it could not be told."""

    id: int
    project: str
    window: str
    as_of: datetime
    version: int | None
    status: str
    alarm: bool | None
    evidence: Json
    page: Digest | None
    at: datetime


class BreakerRow(Record):
    """One move of the breaker; while it is open no alarm retrains. `seq` counts 1, 2, 3, … a project."""

    project: str
    seq: int
    state: BreakerState
    why: str
    actor: str
    evidence: Json
    at: datetime


class AuditRow(Record):
    id: int
    at: datetime
    actor: str
    action: str
    project: str | None
    subject: str
    detail: Json


class StudyRow(Record):
    """A search of parameters; `key` is the digest of what it computes, `settings` whatever its stage needs to go on."""

    key: Digest
    project: str
    candidate: str
    settings: Json
    actor: str
    opened_at: datetime


class TrialRow(Record):
    """One trial of a study. While it is running `value` is None; `claims` counts how often somebody set about it.

    `scores` has a figure for each part of the rows that was judged, `curve` one for each epoch, where there are epochs.
    """

    study: Digest
    number: int
    params: Json
    state: TrialState
    scores: tuple[float, ...]
    curve: tuple[float, ...]
    value: float | None
    error: str
    claims: int
    worker: str
    claimed_at: datetime
    finished_at: datetime | None
    seconds: float | None


class TrialClaim(Record):
    """A trial that this process works on until its lease ends; `token` proves it."""

    study: Digest
    number: int
    params: Json
    token: str
