"""The registry's first schema: runs, leases, steps, blobs, versions, releases, audit.

Release and audit rows are append-only: triggers refuse UPDATE and DELETE on both databases.
"""

import sqlalchemy as sa
from alembic import op

from infra.registry.migrations.pieces import counter, make_append_only, name, number, text, time, version_key

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
    for table, meets in APPEND_ONLY.items():
        make_append_only(table, meets)


def _create_runs() -> None:
    op.create_table(
        "run",
        name("run_id"),
        name("project"),
        name("flow"),
        name("trigger_kind"),
        name("trigger_key", nullable=True),
        name("effective_key", nullable=True),
        text("why"),
        text("parameters"),
        name("actor"),
        name("state"),
        number("fence"),
        name("host"),
        number("pid"),
        time("started_at"),
        time("ended_at", nullable=True),
        text("outcome", nullable=True),
        text("error", nullable=True),
        sa.PrimaryKeyConstraint("run_id", name="pk_run"),
        sa.UniqueConstraint("project", "effective_key", name="uq_run_project_effective_key"),
        sa.UniqueConstraint("project", "fence", name="uq_run_project_fence"),
        sa.CheckConstraint("state IN ('running', 'completed', 'failed', 'cancelled', 'crashed')", name="ck_run_state"),
    )
    op.create_index("ix_run_started_at", "run", ["started_at"])
    op.create_table(
        "lease",
        name("project"),
        number("fence"),
        name("run_id", nullable=True),
        name("host", nullable=True),
        name("boot_id", nullable=True),
        number("pid", nullable=True),
        sa.Column("process_started_s", sa.Double()),
        time("taken_at", nullable=True),
        time("expires_at", nullable=True),
        sa.PrimaryKeyConstraint("project", name="pk_lease"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_lease_run_id"),
    )


def _create_ledger() -> None:
    op.create_table(
        "step",
        counter(),
        name("key"),
        name("run_id"),
        name("project"),
        name("step"),
        text("result"),
        text("blobs"),
        sa.Column("seconds", sa.Double(), nullable=False),
        time("committed_at"),
        sa.PrimaryKeyConstraint("id", name="pk_step"),
        sa.UniqueConstraint("key", name="uq_step_key"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_step_run_id"),
    )
    op.create_index("ix_step_run_id", "step", ["run_id"])
    op.create_table(
        "blob",
        name("digest"),
        number("size_bytes"),
        name("media_type"),
        time("known_at"),
        sa.PrimaryKeyConstraint("digest", name="pk_blob"),
    )


def _create_versions() -> None:
    op.create_table(
        "model_version",
        name("project"),
        sa.Column("number", sa.Integer(), nullable=False),
        name("key"),
        name("manifest"),
        name("content"),
        text("payload"),
        name("run_id"),
        time("created_at"),
        sa.PrimaryKeyConstraint("project", "number", name="pk_model_version"),
        sa.UniqueConstraint("project", "key", name="uq_model_version_project_key"),
        sa.ForeignKeyConstraint(["manifest"], ["blob.digest"], name="fk_model_version_manifest"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_model_version_run_id"),
    )
    op.create_table(
        "verdict",
        name("project"),
        sa.Column("number", sa.Integer(), nullable=False),
        name("decision"),
        name("test_digest"),
        text("evidence"),
        sa.PrimaryKeyConstraint("project", "number", name="pk_verdict"),
        version_key("verdict", "number"),
    )
    op.create_table(
        "test_use",
        name("project"),
        name("test_digest"),
        name("content"),
        name("run_id"),
        time("at"),
        sa.PrimaryKeyConstraint("project", "test_digest", "content", name="pk_test_use"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_test_use_run_id"),
    )


def _create_releases() -> None:
    op.create_table(
        "champion",
        name("project"),
        number("seq"),
        sa.Column("version", sa.Integer()),
        time("since", nullable=True),
        sa.PrimaryKeyConstraint("project", name="pk_champion"),
        version_key("champion", "version"),
    )
    op.create_table(
        "release",
        name("project"),
        number("seq"),
        name("request"),
        name("kind"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("previous", sa.Integer()),
        text("why"),
        name("actor"),
        name("run_id", nullable=True),
        text("evidence"),
        time("at"),
        sa.PrimaryKeyConstraint("project", "seq", name="pk_release"),
        sa.UniqueConstraint("request", name="uq_release_request"),
        sa.CheckConstraint("kind IN ('promote', 'rollback')", name="ck_release_kind"),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name="fk_release_run_id"),
        version_key("release", "version"),
    )
    op.create_table(
        "audit",
        counter(),
        time("at"),
        name("actor"),
        name("action"),
        name("project", nullable=True),
        name("subject"),
        text("detail"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_project_id", "audit", ["project", "id"])
