"""Connections and transactions: one writer at a time on SQLite, bounded waits, bounded retries."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, insert, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from infra.errors import RegistryError, SettingsError
from infra.registry import schema
from infra.registry.failures import Contention, name_database, secrets_of, translate

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

ATTEMPTS: Final = 5
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.5
CONNECT_TIMEOUT_S: Final = 5

CLOCK: Final = {
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
    # Not now(): that is when the transaction began, which may be long before its lock came.
    "postgresql": "SELECT clock_timestamp()",
}


class Transaction:
    """One open transaction: its connection, the database's clock, and the two writes that every part needs."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.execute = connection.execute

    def read_clock(self) -> datetime:
        """Return the time by the database's clock, as aware UTC."""
        moment = self.connection.exec_driver_sql(CLOCK[self.connection.dialect.name]).scalar_one()
        if isinstance(moment, str):
            return datetime.fromisoformat(moment).replace(tzinfo=UTC)
        return moment.astimezone(UTC)  # type: ignore[no-any-return]

    def insert_new(self, table: Table, **values: object) -> bool:
        """Insert the row unless one with its key is there; return whether it was inserted."""
        make = sqlite.insert if self.connection.dialect.name == "sqlite" else postgresql.insert
        statement = make(table).values(**values).on_conflict_do_nothing()
        # Without the option the row count of an INSERT is dropped on PostgreSQL.
        return self.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1

    def note(self, now: datetime, actor: str, action: str, project: str | None, subject: str, **detail: object) -> None:
        """Append the audit row of a change that is made in this transaction."""
        row = {"at": now, "actor": actor, "action": action, "project": project, "subject": subject, "detail": detail}
        self.execute(insert(schema.audit).values(row))


class Database:
    """An engine with keepfit's rules: how long it waits, what it retries, what its errors say."""

    def __init__(self, url: str, *, patience_s: float) -> None:
        parsed = parse_url(url)
        self.name = name_database(parsed)
        self.patience_s = patience_s
        self._secrets = secrets_of(parsed)
        self.engine = make_engine(parsed, patience_s)

    def read(self, work: Callable[[Transaction], Result]) -> Result:
        """Return what `work` reads in one transaction."""
        return self._insist(work, writes=False)

    def write(self, work: Callable[[Transaction], Result]) -> Result:
        """Return what `work` does in one transaction; it may run again, so it finds what an earlier try committed.

        When the reply to COMMIT is lost nobody knows whether it happened: each write of the registry is keyed, and
        its second run returns the first one's row.
        """
        return self._insist(work, writes=True)

    def _insist(self, work: Callable[[Transaction], Result], *, writes: bool) -> Result:
        give_up = time.monotonic() + self.patience_s
        attempt = 0
        while True:
            attempt += 1
            try:
                with self.begin(writes=writes) as transaction:
                    return work(transaction)
            except RegistryError as failure:
                tries_left = attempt < ATTEMPTS or isinstance(failure, Contention)
                if not failure.retryable or not tries_left or time.monotonic() > give_up:
                    raise
                logger.warning("Trying again (attempt %d): %s", attempt + 1, failure.message)
            time.sleep(pause_before(attempt))

    @contextmanager
    def begin(self, *, writes: bool) -> Iterator[Transaction]:
        """Open a transaction; commit it at the end, roll it back on any error."""
        try:
            with self.engine.connect() as connection:
                connection.execution_options(keepfit_writes=writes)
                with connection.begin():
                    yield Transaction(connection)
        except SQLAlchemyError as error:
            raise translate(error, self.name, self._secrets) from error


def pause_before(attempt: int) -> float:
    """Return how many seconds to wait after this attempt: doubling, with jitter so that processes spread out."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempt)
    return random.SystemRandom().uniform(longest / 2, longest)


def parse_url(url: str) -> URL:
    """Return the URL of a registry. Raises SettingsError unless it names an SQLite file or a PostgreSQL database."""
    remedy = "Expected sqlite:////folder/registry.db or postgresql://user:password@host:5432/database."
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # From None: these messages show parts of the URL, which may be parts of its password.
        raise SettingsError("KEEPFIT_DATABASE_URL cannot be read as a URL.", remedy=remedy) from None
    if parsed.database:
        parsed = parsed.set(database=unquote(parsed.database))  # SQLAlchemy 2.0 leaves %20 as it stands here
    backend = parsed.get_backend_name()
    if "@" in f"{parsed.host}{parsed.database}" and backend == "postgresql":
        # Part of the password went into what is shown as the host: say nothing of either.
        raise SettingsError("KEEPFIT_DATABASE_URL: more than one @.", remedy="Write @ in a password as %40.")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise SettingsError(f"KEEPFIT_DATABASE_URL: {backend!r} is no database that keepfit can use.", remedy=remedy)
    if parsed.database in {None, "", ":memory:"} or (parsed.database or "").startswith("file:"):
        raise SettingsError("KEEPFIT_DATABASE_URL: SQLite needs the path of a file.", remedy=remedy)
    return parsed


def make_engine(url: URL, patience_s: float) -> Engine:
    """Return the engine; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").expanduser().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, hide_parameters=True, pool_timeout=patience_s, connect_args={"timeout": patience_s})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        defaults = {"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": 20_000, "application_name": "keepfit"}
        chosen = {key: value for key, value in defaults.items() if key not in url.query}
        engine = create_engine(url, hide_parameters=True, pool_timeout=patience_s, connect_args=chosen)
        event.listen(engine, "connect", _postgresql_preparation(patience_s))
    event.listen(engine, "connect", _remember_process)
    event.listen(engine, "checkout", _refuse_after_fork)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is a deferred one: see _begin_sqlite
    cursor = connection.cursor()
    try:
        for setting in ("synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() != ("wal",):
            cursor.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns to writing fails at once when another writes, whatever the busy timeout.
    writes = connection.get_execution_options().get("keepfit_writes", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_preparation(patience_s: float) -> Callable[[DBAPIConnection, object], None]:
    limits = {
        "lock_timeout": int(patience_s * 1_000),
        "statement_timeout": int(patience_s * 6_000),
        # A process that is stopped in mid-transaction must not hold its locks for ever.
        "idle_in_transaction_session_timeout": int(patience_s * 6_000),
    }

    def prepare(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for name, value in limits.items():
            cursor.execute(f"SET {name} = {value}")
        cursor.execute("SET TIME ZONE 'UTC'")
        connection.commit()

    return prepare


def _remember_process(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info["pid"] = os.getpid()


def _refuse_after_fork(_connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    # A connection shared by two processes mixes up their answers.
    if record.info["pid"] != os.getpid():
        record.dbapi_connection = proxy.dbapi_connection = None  # type: ignore[misc]
        raise DisconnectionError("This connection belongs to the parent process.")
