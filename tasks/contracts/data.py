"""Snapshots, validation results and splits."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from infra.artifacts.reference import ArtifactRef, Digest
from tasks.contracts.frozen import Contract


class Snapshot(Contract):
    """An immutable copy of the data, named by the digest of its full content."""

    digest: Digest = Field(description="SHA-256 over canonical content, independent of the file format.")
    data: ArtifactRef = Field(description="The rows as Parquet.")
    rows: int
    columns: tuple[str, ...]
    source: str = Field(description="What was read, without secrets.")
    as_of: datetime
    taken_at: datetime
    is_new: bool = Field(True, description="False: the same content was known already.")
    as_scored: ArtifactRef | None = Field(
        None,
        description="The newest window of the rows as `monitoring.rows` gives them: what was known when they were scored.",
    )


class Check(Contract):
    """One expectation and its outcome."""

    expectation: str = Field(description="The name in Great Expectations.")
    column: str | None
    status: Literal["passed", "failed", "crashed", "warning"]
    detail: str = Field("", description="In words: expected and observed.")
    failed_rows: int = 0


class ValidationReport(Contract):
    """What the contract said of a snapshot. rows = accepted_rows + quarantined_rows."""

    snapshot: Digest
    accepted: ArtifactRef = Field(description="The rows that go on, as Parquet.")
    accepted_rows: int
    quarantined: ArtifactRef | None = Field(description="The rows set aside, each with its reasons, as Parquet.")
    quarantined_rows: int
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = Field((), description="Duplicates, unknown columns: look, but go on.")
    page: ArtifactRef = Field(description="The result as a readable HTML page.")
    result: ArtifactRef = Field(description="Great Expectations' own result as JSON.")


class SplitRef(Contract):
    """Which rows train and which rows test."""

    train: ArtifactRef = Field(description="The training rows, as Parquet, in order.")
    test: ArtifactRef = Field(description="The test rows, as Parquet, in order: frozen.")
    train_rows: int
    test_rows: int
    test_digest: Digest = Field(description="Canonical content digest of the test rows: what the use counter counts.")
    overlap_rows: int = Field(0, description="Test rows whose features also occur among the training rows.")
    left_out_rows: int = Field(
        0, description="Rows that neither train nor test: older than `training_rows` keeps, or within `split.gap`."
    )
    warnings: tuple[str, ...] = ()
