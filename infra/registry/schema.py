"""The tables of the registry, as SQLAlchemy sees them; how they came about stands in `migrations`."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import BaseModel
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from infra.registry.admission import encode_json

SCHEMA_VERSION: Final = "0004"
"""The newest revision in `migrations/versions`, kept here so that opening a current registry need not load Alembic."""

VERSION_TABLE: Final = "keepfit_schema"
"""Not Alembic's default name: the database may be shared with a program that uses Alembic too."""


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in and out; SQLite keeps no zone, PostgreSQL answers in the session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CanonicalJson(TypeDecorator[object]):
    """JSON as text with sorted keys: the same bytes in both databases (jsonb would reorder and renumber)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else encode_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:  # noqa: ARG002
        return None if value is None else json.loads(value)


Counter = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

run = Table(
    "run",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("flow", String, nullable=False),
    Column("trigger_kind", String, nullable=False),
    Column("trigger_key", String),
    # trigger_key while the run is effective; NULL (which UNIQUE lets repeat) once it crashed or may be retried.
    Column("effective_key", String),
    Column("why", Text, nullable=False),
    Column("parameters", CanonicalJson, nullable=False),
    Column("actor", String, nullable=False),
    Column("state", String, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("host", String, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("outcome", CanonicalJson),
    Column("error", Text),
    UniqueConstraint("project", "effective_key"),
    UniqueConstraint("project", "fence"),
    CheckConstraint("state IN ('running', 'completed', 'failed', 'cancelled', 'crashed')", name="state"),
    Index(None, "started_at"),
)

lease = Table(
    "lease",
    metadata,
    Column("project", String, primary_key=True),
    Column("fence", BigInteger, nullable=False),
    Column("run_id", String, ForeignKey("run.run_id")),
    Column("host", String),
    Column("boot_id", String),
    Column("pid", BigInteger),
    Column("process_started_s", Double),
    Column("taken_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
)

step = Table(
    "step",
    metadata,
    Column("id", Counter, primary_key=True),
    Column("key", String, nullable=False),
    Column("run_id", String, ForeignKey("run.run_id"), nullable=False),
    Column("project", String, nullable=False),
    Column("step", String, nullable=False),
    Column("result", CanonicalJson, nullable=False),
    Column("blobs", CanonicalJson, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("committed_at", UtcDateTime, nullable=False),
    UniqueConstraint("key"),
    Index(None, "run_id"),
)

blob = Table(
    "blob",
    metadata,
    Column("digest", String, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String, nullable=False),
    Column("known_at", UtcDateTime, nullable=False),
)

model_version = Table(
    "model_version",
    metadata,
    Column("project", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", String, nullable=False),
    Column("manifest", String, ForeignKey("blob.digest"), nullable=False),
    Column("content", String, nullable=False),
    Column("payload", CanonicalJson, nullable=False),
    Column("run_id", String, ForeignKey("run.run_id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("project", "key"),
)

verdict = Table(
    "verdict",
    metadata,
    Column("project", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("decision", String, nullable=False),
    Column("test_digest", String, nullable=False),
    Column("evidence", CanonicalJson, nullable=False),
    ForeignKeyConstraint(["project", "number"], ["model_version.project", "model_version.number"]),
)

test_use = Table(
    "test_use",
    metadata,
    Column("project", String, primary_key=True),
    Column("test_digest", String, primary_key=True),
    Column("content", String, primary_key=True),
    Column("run_id", String, ForeignKey("run.run_id"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

champion = Table(
    "champion",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("version", Integer),
    Column("since", UtcDateTime),
    ForeignKeyConstraint(["project", "version"], ["model_version.project", "model_version.number"]),
)

release = Table(
    "release",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("request", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("previous", Integer),
    Column("why", Text, nullable=False),
    Column("actor", String, nullable=False),
    Column("run_id", String, ForeignKey("run.run_id")),
    Column("evidence", CanonicalJson, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("request"),
    CheckConstraint("kind IN ('promote', 'rollback')", name="kind"),
    ForeignKeyConstraint(["project", "version"], ["model_version.project", "model_version.number"]),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Counter, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("project", String),
    Column("subject", String, nullable=False),
    Column("detail", CanonicalJson, nullable=False),
    Index(None, "project", "id"),
)


batch = Table(
    "batch",
    metadata,
    Column("project", String, primary_key=True),
    Column("window", String, primary_key=True),
    Column("start", UtcDateTime, nullable=False),
    Column("end", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", String, nullable=False),
    Column("snapshot", String, nullable=False),
    Column("rows_blob", String, ForeignKey("blob.digest"), nullable=False),
    Column("predictions_blob", String, ForeignKey("blob.digest"), nullable=False),
    Column("quarantine_blob", String, ForeignKey("blob.digest")),
    Column("rows", BigInteger, nullable=False),
    Column("quarantined_rows", BigInteger, nullable=False),
    Column("findings", CanonicalJson, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("scored_at", UtcDateTime, nullable=False),
    Column("actor", String, nullable=False),
    ForeignKeyConstraint(["project", "version"], ["model_version.project", "model_version.number"]),
    Index(None, "project", "start"),
)

label_delivery = Table(
    "label_delivery",
    metadata,
    # The order of the deliveries: of two labels known at one time, the later delivery's counts.
    Column("id", Counter, primary_key=True),
    Column("project", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("blob", String, ForeignKey("blob.digest"), nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("known_at", UtcDateTime, nullable=False),
    Column("delivered_at", UtcDateTime, nullable=False),
    Column("actor", String, nullable=False),
    UniqueConstraint("project", "digest"),
)

window_report = Table(
    "window_report",
    metadata,
    Column("id", Counter, primary_key=True),
    Column("project", String, nullable=False),
    Column("window", String, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("version", Integer),
    Column("status", String, nullable=False),
    Column("alarm", Boolean),
    Column("evidence", CanonicalJson, nullable=False),
    Column("page", String, ForeignKey("blob.digest")),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("project", "window", "as_of"),
    ForeignKeyConstraint(["project", "version"], ["model_version.project", "model_version.number"]),
)

breaker = Table(
    "breaker",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("request", String, nullable=False),
    Column("state", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("actor", String, nullable=False),
    Column("evidence", CanonicalJson, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    UniqueConstraint("request"),
    CheckConstraint("state IN ('open', 'closed')", name="state"),
)

study = Table(
    "study",
    metadata,
    Column("key", String, primary_key=True),
    Column("project", String, nullable=False),
    Column("candidate", String, nullable=False),
    Column("settings", CanonicalJson, nullable=False),
    Column("actor", String, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Index(None, "project", "opened_at"),
)

trial = Table(
    "trial",
    metadata,
    Column("study", String, ForeignKey("study.key"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("params", CanonicalJson, nullable=False),
    Column("state", String, nullable=False),
    Column("scores", CanonicalJson, nullable=False),
    Column("curve", CanonicalJson, nullable=False),
    Column("value", Double),
    Column("error", Text, nullable=False),
    # Whoever claimed it last: only that claim can finish it.
    Column("token", String, nullable=False),
    Column("claims", Integer, nullable=False),
    Column("worker", String, nullable=False),
    Column("host", String, nullable=False),
    Column("boot_id", String, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("process_started_s", Double, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("seconds", Double),
    CheckConstraint("state IN ('running', 'complete', 'pruned', 'failed')", name="state"),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    # What the training computes: two processes that compute the same share it.
    Column("key", String, primary_key=True),
    Column("project", String, nullable=False),
    # Not a known blob: the next checkpoint takes its place, and the sweeper takes what is left.
    Column("digest", String, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("media_type", String, nullable=False),
    Column("saved_at", UtcDateTime, nullable=False),
    Index(None, "digest"),
)


def columns_of(table: Table, record: type[BaseModel]) -> list[ColumnElement[Any]]:
    """Return the columns of a table that a record has fields for, in the record's order."""
    return [table.c[name] for name in record.model_fields]
