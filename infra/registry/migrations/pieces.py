"""What every revision builds its tables from: columns as both databases hold them, and tables that are only appended to."""

from typing import Any

import sqlalchemy as sa
from alembic import op


def time(column: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column of instants."""
    return sa.Column(column, sa.DateTime(timezone=True), nullable=nullable)


def text(column: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column of long texts, JSON among them."""
    return sa.Column(column, sa.Text(), nullable=nullable)


def name(column: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column of names, digests and words."""
    return sa.Column(column, sa.String(), nullable=nullable)


def number(column: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column of whole numbers."""
    return sa.Column(column, sa.BigInteger(), nullable=nullable)


def counter() -> sa.Column[Any]:
    """Return the column `id`, which counts the rows up."""
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def version_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    """Return the key that ties `project` and this column to a model version."""
    return sa.ForeignKeyConstraint(
        ["project", column],
        ["model_version.project", "model_version.number"],
        name=f"fk_{table}_project_{column}",
    )


def make_append_only(table: str, meets: str) -> None:
    """Refuse UPDATE and DELETE on a table by triggers.

    Parameters
    ----------
    table
        Its name.
    meets
        SQL that says when a new row meets one that is there.
    """
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite(table, meets)
    else:
        _guard_postgresql(table)


def _guard_sqlite(table: str, meets: str) -> None:
    # INSERT OR REPLACE deletes without a delete trigger, unless the connection asks for recursive triggers.
    replaced = f'WHEN EXISTS (SELECT 1 FROM "{table}" WHERE {meets})'  # noqa: S608  # constants of the revisions
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
