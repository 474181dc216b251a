"""What monitoring says of one window: its drift, its figures, and one verdict."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.columns import ColumnType
from tasks.contracts.frozen import Contract

Status = Literal["FINE", "WATCH", "RETRAIN", "BROKEN DATA", "UNKNOWN"]
Aspect = Literal["feature", "prediction", "target"]


class Window(Contract):
    """The rows from `start` (inclusive) up to `end` (exclusive), in UTC; windows of one length partition time."""

    name: str = Field(description="2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day).")
    start: datetime
    end: datetime


class Change(Contract):
    """One feature, or the predictions, or the target, of a window against the reference."""

    name: str
    aspect: Aspect
    type: ColumnType
    test: str = Field(description="e.g. ks, chi2, domain classifier, nulls; 'none' where none could be made.")
    statistic: float | None = None
    p: float | None = Field(None, description="Of the test alone.")
    p_adjusted: float | None = Field(
        None, description="Over all that were tested together (Benjamini and Hochberg 1995)."
    )
    effect: float | None = Field(None, description="Size of the change, in the units that `effect_name` says.")
    effect_name: str = ""
    threshold: float | None = Field(None, description="Smallest effect that counts, calibrated on the reference.")
    reference_rows: int = 0
    window_rows: int = 0
    importance: float | None = Field(None, description="Share of the champion's importance, 0 to 1.")
    drifted: bool = False
    note: str = Field("", description="In words: new categories, all missing, constant, too few rows.")


class DriftReport(Contract):
    """All changes of one window, and whether they are an alarm."""

    reference: str = Field(description="What the window was held against, in words.")
    reference_digest: Digest | None = Field(description="Of the reference's rows; None: there is no reference.")
    window_rows: int
    changes: tuple[Change, ...]
    drifted: tuple[str, ...] = Field(description="Names of what drifted, the largest effect over its threshold first.")
    alarm: bool | None = Field(
        description="Whether this window alone alarms; None: it cannot be told, `reason` says why."
    )
    reason: str
    false_alarm_rate: float


class PerformanceReport(Contract):
    """The champion's figures on the matured rows of a window."""

    metric: str
    rows: int = Field(description="N: rows that were scored.")
    due: int = Field(description="Rows whose label is due by now.")
    matured: int = Field(description="n: rows whose label is due and known.")
    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = Field(None, description="The champion's value on its test rows.")
    fell: bool | None = Field(
        description="Whether it is worse than expected beyond the margin; None: not to be told yet."
    )
    reason: str


class MonitorReport(Contract):
    """The verdict on one window, with its reasons and the next step."""

    project: str
    window: Window
    as_of: datetime
    champion: str
    status: Status
    reasons: tuple[str, ...]
    next_step: str
    scored_rows: int
    quarantined_rows: int
    drift: DriftReport | None
    performance: PerformanceReport | None
    page: ArtifactRef | None = Field(None, description="Evidently's report on a sample, as HTML.")
    picture: ArtifactRef | None = Field(None, description="What drifted, beside its reference, as PNG.")
