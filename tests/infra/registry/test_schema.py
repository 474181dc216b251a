"""The schema: migrated once, equal to the tables in the code, and how each connection is set."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event

from infra.errors import RegistryError
from infra.registry.engine import Database, Transaction
from infra.registry.migration import make_config
from infra.registry.registry import Registry, open_registry
from infra.registry.schema import SCHEMA_VERSION, VERSION_TABLE, metadata
from tests.infra.registry.builders import add_batch, begin, commit, promote, register

ROOT = Path(__file__).parents[3]


def test_the_newest_migration_is_the_one_that_the_code_expects() -> None:
    assert ScriptDirectory.from_config(make_config()).get_current_head() == SCHEMA_VERSION


def test_the_migrations_make_the_tables_that_the_code_describes(registry: Registry) -> None:
    def compare(tx: object) -> list[object]:
        context = MigrationContext.configure(
            tx.connection,  # type: ignore[attr-defined]
            opts={"version_table": VERSION_TABLE, "compare_type": True},
        )
        return list(compare_metadata(context, metadata))

    assert registry._database.read(compare) == []


def test_opening_again_keeps_what_is_there(registry: Registry, registry_url: str) -> None:
    grant = begin(registry)
    with open_registry(registry_url) as again:
        assert again.schema_version() == SCHEMA_VERSION
        assert again.run(grant.run_id).state == "running"


def make_registry_0001(url: str) -> Registry:
    """Return a registry as it was before monitoring."""
    database = Database(url, patience_s=10)

    def create(tx: Transaction) -> None:
        config = make_config()
        config.attributes["connection"] = tx.connection
        command.upgrade(config, "0001")

    database.write(create)
    return Registry(database)


def test_a_registry_of_0001_is_migrated_with_its_data(registry_url: str) -> None:
    with make_registry_0001(registry_url) as old:
        assert old.schema_version() == "0001"
        grant = begin(old)
        commit(old, grant)
        version = register(old, grant)
        promote(old, 1, 0, fencing=grant)
        before = (
            old.run(grant.run_id),
            old.steps(grant.run_id),
            old.versions("iris"),
            old.history("iris"),
            old.audit(),
        )
        blobs = list(old.known_blobs())
    with open_registry(registry_url) as new:
        assert new.schema_version() == SCHEMA_VERSION
        after = (new.run(grant.run_id), new.steps(grant.run_id), new.versions("iris"), new.history("iris"), new.audit())
        assert after == before
        assert list(new.known_blobs()) == blobs
        assert add_batch(new).version == version.number
        with pytest.raises(RegistryError, match="release is append-only"):
            new._database.write(lambda tx: tx.connection.exec_driver_sql("DELETE FROM release"))


def test_a_schema_newer_than_the_code_is_refused(registry: Registry, registry_url: str) -> None:
    update = f"UPDATE {VERSION_TABLE} SET version_num = '9999'"
    registry._database.write(lambda tx: tx.connection.exec_driver_sql(update))
    with pytest.raises(RegistryError, match=f"schema is '9999'; this keepfit knows up to '{SCHEMA_VERSION}'"):
        open_registry(registry_url)


def test_a_migration_that_fails_leaves_nothing_behind(registry_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("alembic.operations.base.Operations.create_index", fail)
        patched.setattr("alembic.op.create_index", fail)
        with pytest.raises(KeyboardInterrupt):
            open_registry(registry_url)
    with open_registry(registry_url) as registry:
        assert begin(registry).fence == 1


def test_opening_a_current_registry_loads_no_migrations_and_nothing_heavy(
    registry: Registry, registry_url: str
) -> None:
    script = (
        "import sys\n"
        "from infra.registry.registry import open_registry\n"
        "open_registry(sys.argv[1]).close()\n"
        "heavy = {'alembic', 'prefect', 'pandas', 'numpy', 'sklearn', 'tensorflow', 'boto3', 'sqlalchemy.orm'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    command = [sys.executable, "-W", "error", "-c", script, registry_url]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_it_opens_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_registry(f"sqlite:///{tmp_path / 'a % folder' / 'not yet made' / 'registry.db'}") as registry:
        registry.ping()


def ask_pragma(registry: Registry, name: str) -> object:
    return registry._database.read(lambda tx: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())


def test_every_sqlite_connection_is_durable_and_checks_its_keys(tmp_path: Path) -> None:
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}", patience_s=7) as registry:
        for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 7000}.items():
            assert ask_pragma(registry, pragma) == value, pragma


def test_a_writer_on_sqlite_takes_the_lock_before_it_reads(tmp_path: Path) -> None:
    statements: list[str] = []
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        engine = registry._database.engine
        event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        registry.champion("iris")
        assert statements[0] == "BEGIN"
        statements.clear()
        begin(registry)
        assert statements[0] == "BEGIN IMMEDIATE"


def test_a_file_that_lost_its_journal_mode_gets_it_back(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "registry.db"
    open_registry(f"sqlite:///{path}").close()
    plain = sqlite3.connect(path)
    assert plain.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    plain.close()
    with open_registry(f"sqlite:///{path}") as registry:
        assert ask_pragma(registry, "journal_mode") == "wal"
