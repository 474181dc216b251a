"""Brings the schema of a registry up to date, once, however many processes open it."""

import logging
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, table
from sqlalchemy.sql import column, text

from infra.errors import RegistryError
from infra.registry.engine import Database, Transaction
from infra.registry.failures import SchemaMissing
from infra.registry.schema import SCHEMA_VERSION, VERSION_TABLE

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger(__name__)

LOCK: Final = 0x6B656570666974
"""Key of PostgreSQL's advisory lock: 'keepfit' in ASCII."""


def ensure_schema(database: Database) -> None:
    """Create or migrate the tables where needed; one query where they are current.

    Raises RegistryError for a schema that is newer than this code.
    """
    if read_version(database) == SCHEMA_VERSION:
        return
    database.write(_migrate)


def read_version(database: Database) -> str | None:
    """Return the revision of the schema, None where there is none."""
    versions = table(VERSION_TABLE, column("version_num"))
    try:
        return database.read(lambda tx: tx.execute(select(versions.c.version_num)).scalar_one_or_none())
    except SchemaMissing:
        return None


def _migrate(transaction: Transaction) -> None:
    from alembic import command  # noqa: PLC0415  # half a second that only a stale schema needs
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    connection = transaction.connection
    if connection.dialect.name == "postgresql":
        # SQLite needs no lock of its own: BEGIN IMMEDIATE has just made this process the only writer.
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
    found = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if found == SCHEMA_VERSION:
        return
    config = make_config()
    _refuse_newer(config, found)
    config.attributes["connection"] = connection
    logger.info("Migrating the registry's schema from %s to %s.", found or "nothing", SCHEMA_VERSION)
    command.upgrade(config, SCHEMA_VERSION)


def make_config() -> "Config":
    """Return Alembic's configuration, found through the package: it works from any folder and from a wheel."""
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "infra.registry:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _refuse_newer(config: "Config", found: str | None) -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise RegistryError(
            f"The registry's schema is {found!r}; this keepfit knows up to {SCHEMA_VERSION!r}.",
            remedy="The schema was made by a newer keepfit: upgrade this one.",
        )
