"""One SELECT through SQLAlchemy; the password stays in the environment."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from infra.errors import SourceError, SourceUnavailable

PASSING_FAULTS = ("connection", "connect to", "timeout", "server closed", "database is locked")
"""What drivers say when a later attempt may succeed ..."""

LASTING_FAULTS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
"""... unless they also say one of these."""

if TYPE_CHECKING:
    from sqlalchemy import Engine, TextClause


def read_sql(query: str, url_env: str, as_of: datetime) -> pd.DataFrame:
    """Return the rows of the query. Nothing that it does is ever committed.

    Parameters
    ----------
    query
        One SELECT; `:as_of`, where it occurs, is bound to `as_of` in UTC.
    url_env
        Name of the environment variable that holds the SQLAlchemy URL.
    as_of
        The run's as-of time, with a time zone.

    Raises
    ------
    SourceError
        The variable is not set, the URL cannot be meant, or the database refuses the query.
    SourceUnavailable
        The database does not answer.
    """
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    url = os.environ.get(url_env, "")
    if not url:
        raise SourceError(
            f"Expected a database URL in the environment variable {url_env}, found none.",
            remedy=f"Set {url_env}, for example to postgresql+psycopg://user:password@host/database.",
        )
    engine = _connect(url, url_env)
    try:
        with engine.execution_options(postgresql_readonly=True).connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            return pd.read_sql(_bind(query, as_of), connection, dtype_backend="numpy_nullable")
    except (SQLAlchemyError, pd.errors.DatabaseError) as error:
        # `from None`: the cause's own text may hold the URL.
        raise _explain(error, url, url_env) from None
    finally:
        engine.dispose()


def _connect(url: str, url_env: str) -> "Engine":
    from sqlalchemy import create_engine  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError  # noqa: PLC0415

    try:
        return create_engine(url, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        # `from None`: the cause's own text may hold the URL.
        raise SourceError(
            f"{url_env}: expected an SQLAlchemy URL of an installed driver ({type(error).__name__}).",
            remedy="For example postgresql+psycopg://user:password@host/database or sqlite:////path/to/file.db.",
        ) from None


def _bind(query: str, as_of: datetime) -> "TextClause":
    from sqlalchemy import DateTime, bindparam, text  # noqa: PLC0415

    clause = text(query)
    if "as_of" not in clause.compile().params:
        return clause
    # SQLite keeps no zone with a time: UTC is what both sides mean.
    return clause.bindparams(bindparam("as_of", as_of.astimezone(UTC), type_=DateTime(timezone=True)))


def _explain(error: BaseException, url: str, url_env: str) -> SourceError:
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import InterfaceError, OperationalError  # noqa: PLC0415

    if isinstance(error, pd.errors.DatabaseError) and error.__cause__ is not None:
        error = error.__cause__
    cause = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    text = cause.splitlines()[0]
    for secret in (url, make_url(url).password or ""):
        text = text.replace(secret, "***") if secret else text
    if isinstance(error, (OperationalError, InterfaceError)) and _may_pass(text.lower()):
        return SourceUnavailable(
            f"The database that {url_env} names does not answer: {text}", remedy="Try again later."
        )
    return SourceError(
        f"The database that {url_env} names refused the query: {text}",
        remedy="Correct `source.sql.query` in project.yaml.",
    )


def _may_pass(text: str) -> bool:
    return any(sign in text for sign in PASSING_FAULTS) and not any(sign in text for sign in LASTING_FAULTS)
