"""Where the newest checkpoint of each training lies."""

import sqlalchemy as sa
from alembic import op

from infra.registry.migrations.pieces import name, number, time

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table; what earlier revisions made is left as it is."""
    op.create_table(
        "checkpoint",
        name("key"),
        name("project"),
        name("digest"),
        number("size_bytes"),
        name("media_type"),
        time("saved_at"),
        sa.PrimaryKeyConstraint("key", name="pk_checkpoint"),
    )
    op.create_index("ix_checkpoint_digest", "checkpoint", ["digest"])
