"""What monitoring stands on: scored batches, labels as they arrived, what was said of each window, the breaker.

Deliveries of labels, window reports and moves of the breaker are append-only. A batch is not: one that was set aside
whole gives way to the mended rows of its window.
"""

import sqlalchemy as sa
from alembic import op

from infra.registry.migrations.pieces import counter, make_append_only, name, number, text, time, version_key

revision = "0002"
down_revision = "0001"

APPEND_ONLY = {
    "label_delivery": "id = NEW.id OR (project = NEW.project AND digest = NEW.digest)",
    "window_report": 'id = NEW.id OR (project = NEW.project AND "window" = NEW."window" AND as_of = NEW.as_of)',
    "breaker": "(project = NEW.project AND seq = NEW.seq) OR request = NEW.request",
}
"""Each append-only table, and when a new row meets one that is there."""


def upgrade() -> None:
    """Create the tables and their triggers; what 0001 made is left as it is."""
    _create_batch()
    _create_label_delivery()
    _create_window_report()
    _create_breaker()
    for table, meets in APPEND_ONLY.items():
        make_append_only(table, meets)


def _blob_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["blob.digest"], name=f"fk_{table}_{column}")


def _create_batch() -> None:
    op.create_table(
        "batch",
        name("project"),
        name("window"),
        time("start"),
        time("end"),
        sa.Column("version", sa.Integer(), nullable=False),
        name("key"),
        name("snapshot"),
        name("rows_blob"),
        name("predictions_blob"),
        name("quarantine_blob", nullable=True),
        number("rows"),
        number("quarantined_rows"),
        text("findings"),
        time("as_of"),
        time("scored_at"),
        name("actor"),
        sa.PrimaryKeyConstraint("project", "window", name="pk_batch"),
        version_key("batch", "version"),
        _blob_key("batch", "rows_blob"),
        _blob_key("batch", "predictions_blob"),
        _blob_key("batch", "quarantine_blob"),
    )
    op.create_index("ix_batch_project_start", "batch", ["project", "start"])


def _create_label_delivery() -> None:
    op.create_table(
        "label_delivery",
        counter(),
        name("project"),
        name("digest"),
        name("blob"),
        number("rows"),
        time("known_at"),
        time("delivered_at"),
        name("actor"),
        sa.PrimaryKeyConstraint("id", name="pk_label_delivery"),
        sa.UniqueConstraint("project", "digest", name="uq_label_delivery_project_digest"),
        _blob_key("label_delivery", "blob"),
    )


def _create_window_report() -> None:
    op.create_table(
        "window_report",
        counter(),
        name("project"),
        name("window"),
        time("as_of"),
        sa.Column("version", sa.Integer()),
        name("status"),
        sa.Column("alarm", sa.Boolean()),
        text("evidence"),
        name("page", nullable=True),
        time("at"),
        sa.PrimaryKeyConstraint("id", name="pk_window_report"),
        sa.UniqueConstraint("project", "window", "as_of", name="uq_window_report_project_window_as_of"),
        version_key("window_report", "version"),
        _blob_key("window_report", "page"),
    )


def _create_breaker() -> None:
    op.create_table(
        "breaker",
        name("project"),
        number("seq"),
        name("request"),
        name("state"),
        text("why"),
        name("actor"),
        text("evidence"),
        time("at"),
        sa.PrimaryKeyConstraint("project", "seq", name="pk_breaker"),
        sa.UniqueConstraint("request", name="uq_breaker_request"),
        sa.CheckConstraint("state IN ('open', 'closed')", name="ck_breaker_state"),
    )
