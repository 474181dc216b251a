"""What a driver's error means: try again, wait for somebody, or give up. No message holds a password or a row."""

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from infra.errors import RegistryError, RegistryUnavailable

UNREACHABLE_STATES = ("08", "57P", "53300", "57014", "25P03")
"""SQLSTATE prefixes: connection lost, server stopping or starting, too many clients, cancelled, idle too long."""

CONTENTION_STATES = ("40001", "40P01", "55P03")
"""SQLSTATE of a serialization failure, a deadlock and a lock that did not come in time."""

REFUSED_STATES = ("28", "42501", "25006")
"""SQLSTATE prefixes: a role that may not enter, may not do this, or may only read."""

REFUSED_WORDS = (
    "authentication failed",
    "does not exist",
    "permission denied",
    "no pg_hba.conf entry",
    "no password",
    "not permitted to log in",
)
"""A failed connection has no SQLSTATE in psycopg: these words of the server's tell a refusal from an outage."""

OUTAGE_REMEDY = "Check that the database runs and can be reached; then try again."

SQLITE_CONTENTION = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")
SQLITE_REMEDIES = {
    "SQLITE_FULL": "Free some space on the disk, then run it again.",
    "SQLITE_IOERR": "Look at the disk and its quota, then run it again.",
    "SQLITE_CANTOPEN": "Check that the folder of KEEPFIT_DATABASE_URL exists and may be written to.",
    "SQLITE_READONLY": "Check who may write the file of KEEPFIT_DATABASE_URL and its folder.",
    "SQLITE_CORRUPT": "Restore the file from a backup.",
    "SQLITE_NOTADB": "KEEPFIT_DATABASE_URL names a file that is no SQLite database.",
}


class Contention(RegistryUnavailable):
    """Somebody else holds what this transaction needs."""


class SchemaMissing(RegistryError):
    """The tables are not there."""


def name_database(url: URL) -> str:
    """Return what to call the database in a message: never the password, nor the query, which may hold one.

    >>> from sqlalchemy import make_url
    >>> name_database(make_url("postgresql+psycopg://me:secret@db:5432/keepfit?password=secret"))
    'postgresql://me@db:5432/keepfit'
    """
    shown = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return shown.render_as_string(hide_password=False)


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return what of this URL must not be printed."""
    hidden = [url.password, *(value for key, value in url.query.items() if "password" in key)]
    return tuple(value for value in hidden if isinstance(value, str) and value)


def translate(error: SQLAlchemyError, database: str, secrets: tuple[str, ...] = ()) -> RegistryError:
    """Return the error of keepfit's tree that says what went wrong, retryable or not."""
    if isinstance(error, PoolTimeout):
        return RegistryUnavailable(f"Registry {database}: every connection is in use.", remedy="Try again.")
    if not isinstance(error, DBAPIError) or error.orig is None:
        return RegistryError(f"Registry {database}: {_first_line(error, secrets)}")
    said = f"Registry {database}: {_first_line(error.orig, secrets)}"
    sqlite_name = getattr(error.orig, "sqlite_errorname", None)
    if sqlite_name is not None:
        return _translate_sqlite(sqlite_name, said)
    return _translate_postgresql(error, said)


def _translate_sqlite(name: str, said: str) -> RegistryError:
    if name.startswith(SQLITE_CONTENTION):
        return Contention(said, remedy="Another process is writing; try again.")
    if "no such table" in said:
        return SchemaMissing(said)
    for prefix, remedy in SQLITE_REMEDIES.items():
        if name.startswith(prefix):
            return RegistryError(said, remedy=remedy)
    return RegistryError(said)


def _translate_postgresql(error: DBAPIError, said: str) -> RegistryError:
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return _translate_failed_connection(error, said)
    if state in CONTENTION_STATES:
        return Contention(said, remedy="Another process is writing; try again.")
    if state.startswith(REFUSED_STATES):
        remedy = "Check user, password and rights in KEEPFIT_DATABASE_URL: it must be able to write."
        return RegistryError(said, remedy=remedy)
    if state.startswith(UNREACHABLE_STATES):
        return RegistryUnavailable(said, remedy=OUTAGE_REMEDY)
    return SchemaMissing(said) if state == "42P01" else RegistryError(said)


def _translate_failed_connection(error: DBAPIError, said: str) -> RegistryError:
    if any(word in said for word in REFUSED_WORDS):
        return RegistryError(said, remedy="Check user, password and database in KEEPFIT_DATABASE_URL.")
    if error.connection_invalidated or isinstance(error, OperationalError):
        return RegistryUnavailable(said, remedy=OUTAGE_REMEDY)
    return RegistryError(said)


def _first_line(error: BaseException, secrets: tuple[str, ...]) -> str:
    text = " ".join(str(error).split())[:500] or type(error).__name__
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
