"""What identifies a run and why it was started."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.frozen import Contract
from tasks.contracts.values import Name

TriggerKind = Literal["operator", "schedule", "drift", "performance"]


class Trigger(Contract):
    """Why a run started. Two triggers with one key make one effective run."""

    kind: TriggerKind = Field("operator", description="Who or what asked for this run.")
    why: str = Field("", description="In words; kept with the run.", max_length=500)
    window: str = Field(
        "", description="What the trigger speaks of, e.g. 2013-07; empty for an operator's run.", max_length=100
    )


class RunContext(Contract):
    """What every step of a run is told: whose run it is, under which lease, with which spec."""

    project: Name
    run_id: str
    fence: int = Field(description="The lease's token; a write with an older one is refused.")
    spec: ArtifactRef = Field(description="The project's spec as JSON, as of the run's start.")
    code: Digest = Field(description="Digest of the project's own Python files.")
    as_of: datetime
