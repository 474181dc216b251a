"""The registry's first schema: runs, leases, steps, blobs, versions, releases, audit.

Release and audit rows are append-only: triggers refuse UPDATE and DELETE on both databases.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

APPEND_ONLY = {
    "release": "(project = NEW.project AND seq = NEW.seq) OR request = NEW.request",
    "audit": "id = NEW.id",
}
"""Each append-only table, and when a new row meets one that is there."""


def upgrade() -> None:
    """Create the tables and their triggers."""
    _create_runs()
    _create_ledger()
    _create_versions()
    _create_releases()
    for table in APPEND_ONLY:
        if op.get_bind().dialect.name == "sqlite":
            _guard_sqlite(table)
        else:
            _guard_postgresql(table)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _name(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _counter() -> sa.Column[Any]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _create_runs() -> None:
    op.create_table(
        "run",
        _name("run_id"),
        _name("project"),
        _name("flow"),
        _name("trigger_kind"),
        _name("trigger_key", nullable=True),
        _name("effective_key", nullable=True),
        _text("why"),
        _text("parameters"),
        _name("actor"),
        _name("state"),
        _number("fence"),
        _name("host"),
        _number("pid"),
        _time("started_at"),
        _time("ended_at", nullable=True),
        _text("outcome", nullable=True),
        _text("error", nullable=True),
        sa.PrimaryKeyConstraint("run_id", name="pk_run"),
        sa.UniqueConstraint("project", "effective_key", name="uq_run_project_effective_key"),
        sa.UniqueConstraint("project", "fence", name="uq_run_project_fence"),
        sa.CheckConstraint("state IN ('running', 'completed', 'failed', 'cancelled', 'crashed')", name="ck_run_state"),
    )
    op.create_index("ix_run_started_at", "run", ["started_at"])
    op.create_table(
        "lease",
        _name("project"),
        _number("fence"),
        _name("run_id", nullable=True),
        _name("host", nullable=True),
        _name("boot_id", nullable=True),
        _number("pid", nullable=True),
        sa.Column("process_started_s", sa.Double()),
        _time("taken_at", nullable=True),
        _time("expires_at", nullable=True),
        sa.PrimaryKeyConstraint("project", name="pk_lease"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_lease_run_id"),
    )


def _create_ledger() -> None:
    op.create_table(
        "step",
        _counter(),
        _name("key"),
        _name("run_id"),
        _name("project"),
        _name("step"),
        _text("result"),
        _text("blobs"),
        sa.Column("seconds", sa.Double(), nullable=False),
        _time("committed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_step"),
        sa.UniqueConstraint("key", name="uq_step_key"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_step_run_id"),
    )
    op.create_index("ix_step_run_id", "step", ["run_id"])
    op.create_table(
        "blob",
        _name("digest"),
        _number("size_bytes"),
        _name("media_type"),
        _time("known_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_blob"),
    )


def _create_versions() -> None:
    op.create_table(
        "model_version",
        _name("project"),
        sa.Column("number", sa.Integer(), nullable=False),
        _name("key"),
        _name("manifest"),
        _name("content"),
        _text("payload"),
        _name("run_id"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("project", "number", name="pk_model_version"),
        sa.UniqueConstraint("project", "key", name="uq_model_version_project_key"),
        sa.ForeignKeyConstraint(["manifest"], ["blob.digest"], name="fk_model_version_manifest"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_model_version_run_id"),
    )
    op.create_table(
        "verdict",
        _name("project"),
        sa.Column("number", sa.Integer(), nullable=False),
        _name("decision"),
        _name("test_digest"),
        _text("evidence"),
        sa.PrimaryKeyConstraint("project", "number", name="pk_verdict"),
        _version_key("verdict", "number"),
    )
    op.create_table(
        "test_use",
        _name("project"),
        _name("test_digest"),
        _name("content"),
        _name("run_id"),
        _time("at"),
        sa.PrimaryKeyConstraint("project", "test_digest", "content", name="pk_test_use"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_test_use_run_id"),
    )


def _create_releases() -> None:
    op.create_table(
        "champion",
        _name("project"),
        _number("seq"),
        sa.Column("version", sa.Integer()),
        _time("since", nullable=True),
        sa.PrimaryKeyConstraint("project", name="pk_champion"),
        _version_key("champion", "version"),
    )
    op.create_table(
        "release",
        _name("project"),
        _number("seq"),
        _name("request"),
        _name("kind"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer()),
        _text("why"),
        _name("actor"),
        _name("run_id", nullable=True),
        _text("evidence"),
        _time("at"),
        sa.PrimaryKeyConstraint("project", "seq", name="pk_release"),
        sa.UniqueConstraint("request", name="uq_release_request"),
        sa.CheckConstraint("kind IN ('promote', 'rollback')", name="ck_release_kind"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_release_run_id"),
        _version_key("release", "version"),
    )
    op.create_table(
        "audit",
        _counter(),
        _time("at"),
        _name("actor"),
        _name("action"),
        _name("project", nullable=True),
        _name("subject"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_project_id", "audit", ["project", "id"])


def _version_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project", column],
        ["model_version.project", "model_version.number"],
        name=f"fk_{table}_project_{column}",
    )


def _guard_sqlite(table: str) -> None:
    # INSERT OR REPLACE deletes without a delete trigger, unless the connection asks for recursive triggers.
    replaced = f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE {APPEND_ONLY[table]})'  # noqa: S608  # constants of this file
    for action, when in {"UPDATE": "", "DELETE": "", "INSERT": replaced}.items():
        op.execute(
            f'CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON "{table}" {when} '
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )


def _guard_postgresql(table: str) -> None:
    op.execute(
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f'CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON "{table}" '
        f"FOR EACH ROW EXECUTE FUNCTION {table}_refuse()"
    )
    op.execute(
        f'CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON "{table}" '
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"
    )
