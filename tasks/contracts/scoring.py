"""What scoring a window and a delivery of labels come to."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from infra.artifacts.reference import Digest
from tasks.contracts.frozen import Contract
from tasks.contracts.monitoring import Window
from tasks.contracts.values import Name


class BatchOutcome(Contract):
    """A window's batch. Rows in = rows + quarantined_rows."""

    project: Name
    window: Window
    version: str = Field(description="The model that answered, e.g. flights@3.")
    rows: int = Field(description="Rows that were scored.")
    quarantined_rows: int = Field(description="Rows set aside, with their reasons.")
    reasons: dict[str, int] = Field(description="Why rows were set aside: rows by reason; a row may have several.")
    problem: str = Field("", description="Why the batch was set aside whole; empty: it was not.")
    warnings: tuple[str, ...] = Field((), description="What was odd about the rows and broke no rule.")
    snapshot: Digest = Field(description="Content digest of the scored rows.")
    as_of: datetime
    scored_at: datetime
    status: Literal["scored", "known", "set_aside"] = Field(
        description="known: this window with these rows was a batch already; set_aside: nothing could be scored."
    )

    @property
    def label(self) -> str:
        return f"{self.project}/{self.window.name}"


class WindowMaturity(Contract):
    """How much of a window can be judged: matured n of N due (of M scored)."""

    window: str
    scored: int
    due: int
    matured: int
    arrived: int = Field(0, description="Labels of this delivery that speak of this window.")


class LabelsOutcome(Contract):
    """What became of a delivery of labels. Received = kept + known + repeated + without_truth."""

    project: Name
    known_at: datetime = Field(description="When the world knew these labels.")
    received: int
    kept: int = Field(description="Labels that say something new.")
    known: int = Field(description="Labels that were known just so already.")
    repeated: int = Field(description="Rows of the delivery that say again what another one says.")
    without_truth: int = Field(description="Rows whose truth is missing: not known yet.")
    corrections: int = Field(description="Of the kept ones, those that say otherwise than what was known.")
    unknown: int = Field(description="Of the kept ones, those whose row was not scored; they count once it is.")
    unknown_ids: tuple[str, ...] = Field((), description="The first of these ids.")
    windows: tuple[WindowMaturity, ...] = Field(description="Each scored window, by time.")
