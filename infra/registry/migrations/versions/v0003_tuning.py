"""What the search of parameters stands on: studies, and the trials that workers claim and finish."""

import sqlalchemy as sa
from alembic import op

from infra.registry.migrations.pieces import name, number, text, time

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create both tables; what earlier revisions made is left as it is."""
    op.create_table(
        "study",
        name("key"),
        name("project"),
        name("candidate"),
        text("settings"),
        name("actor"),
        time("opened_at"),
        sa.PrimaryKeyConstraint("key", name="pk_study"),
    )
    op.create_index("ix_study_project_opened_at", "study", ["project", "opened_at"])
    op.create_table(
        "trial",
        name("study"),
        sa.Column("number", sa.Integer(), nullable=False),
        text("params"),
        name("state"),
        text("scores"),
        text("curve"),
        sa.Column("value", sa.Double()),
        text("error"),
        name("token"),
        sa.Column("claims", sa.Integer(), nullable=False),
        name("worker"),
        name("host"),
        name("boot_id"),
        number("pid"),
        sa.Column("process_started_s", sa.Double(), nullable=False),
        time("claimed_at"),
        time("expires_at"),
        time("finished_at", nullable=True),
        sa.Column("seconds", sa.Double()),
        sa.PrimaryKeyConstraint("study", "number", name="pk_trial"),
        sa.ForeignKeyConstraint(["study"], ["study.key"], name="fk_trial_study"),
        sa.CheckConstraint("state IN ('running', 'complete', 'pruned', 'failed')", name="ck_trial_state"),
    )
