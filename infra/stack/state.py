"""What one stack is: its folder, ports, credentials and workers, kept in `stack.json` for its owner alone."""

import os
import secrets
import shlex
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import KeepfitError

STATE_FILE: Final = "stack.json"
BUCKET: Final = "keepfit"
REGION: Final = "us-east-1"
OPERATOR: Final = "operator"
LOOPBACK: Final = "127.0.0.1"

PRIVATE_FILE: Final = 0o600
PRIVATE_FOLDER: Final = 0o700


class BrokenState(KeepfitError):
    """There is a stack, and what it is cannot be read."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ports(Frozen):
    """HTTP and SQL ports; SeaweedFS listens for gRPC on each of its own plus GRPC_OFFSET."""

    prefect: int
    postgres: int
    s3: int
    master: int
    volume: int
    filer: int
    admin: int


def _secret() -> Any:
    # URL-safe, so that it can stand in a database's URL as it is.
    return Field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class Credentials(Frozen):
    """Made once, by the system's source of randomness; never shown."""

    postgres: str = _secret()
    prefect_database: str = _secret()
    keepfit_database: str = _secret()
    operator: str = _secret()
    s3_access_key: str = _secret()
    s3_secret_key: str = _secret()
    jwt_write: str = _secret()
    jwt_read: str = _secret()
    jwt_filer_write: str = _secret()
    jwt_filer_read: str = _secret()


class Worker(Frozen):
    """One worker: its name, its pool, and for a GPU worker which GPU it may see (none: '')."""

    name: str
    pool: str
    gpu: str | None = None


class StackState(Frozen):
    """One stack. Two processes that read the same file see the same stack.

    cpu_workers and gpu_workers are the numbers that somebody asked for; None: one for the CPU, one a GPU that is there.
    """

    id: str
    ports: Ports
    credentials: Credentials = Field(default_factory=Credentials)
    workers: tuple[Worker, ...] = ()
    cpu_workers: int | None = None
    gpu_workers: int | None = None
    checkout: Path
    projects: Path
    runtime: Path
    postgres_home: Path
    folder: Path = Field(exclude=True)

    @property
    def logs(self) -> Path:
        """Where each program's log lies, as NAME.log."""
        return self.folder / "logs"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket."""
        return self.runtime / "supervisor.sock"

    @property
    def ui(self) -> str:
        """The address of Prefect's UI."""
        return f"http://{LOOPBACK}:{self.ports.prefect}"

    @property
    def sign_in(self) -> str:
        """What an operator types to enter the UI, and what clients send."""
        return f"{OPERATOR}:{self.credentials.operator}"

    def database_url(self, name: str, driver: str = "postgresql") -> str:
        """Return the URL of one of the two databases, password included: never print it."""
        password = getattr(self.credentials, f"{name}_database")
        return f"{driver}://{name}:{password}@{LOOPBACK}:{self.ports.postgres}/{name}"

    def environment(self) -> dict[str, str]:
        """Return everything that a client of the running stack needs."""
        return {
            "KEEPFIT_STORE_URL": f"s3://{BUCKET}/store",
            "KEEPFIT_DATABASE_URL": self.database_url("keepfit"),
            "AWS_ENDPOINT_URL_S3": f"http://{LOOPBACK}:{self.ports.s3}",
            "AWS_ACCESS_KEY_ID": self.credentials.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.s3_secret_key,
            "AWS_REGION": REGION,
            "PREFECT_API_URL": f"{self.ui}/api",
            "PREFECT_API_AUTH_STRING": self.sign_in,
            "PREFECT_UI_URL": f"{self.ui}/v2",  # where links lead; without it, to the UI of the version before
        }

    def save(self) -> Self:
        """Write the state, and for people the shell lines to source and the line to sign in with."""
        write_private(self.folder / STATE_FILE, self.model_dump_json(indent=2))
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in self.environment().items()]
        write_private(self.folder / "env", "".join(lines))
        write_private(self.folder / "sign-in", f"{self.sign_in}\n")
        return self


def stack_folder(home: Path) -> Path:
    """Return the folder of the stack that belongs to this KEEPFIT_HOME."""
    return home.resolve() / "stack"


def read_state(home: Path) -> StackState | None:
    """Return the stack of this KEEPFIT_HOME; None where none was ever started.

    Raises
    ------
    KeepfitError
        It belongs to another user, or its file is broken.
    """
    return load_state(stack_folder(home))


def load_state(folder: Path) -> StackState | None:
    """Return the stack that lies in this folder, None where there is none; errors as `read_state`."""
    path = folder / STATE_FILE
    try:
        owner = folder.stat().st_uid
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise foreign(folder) from error
    if owner != os.geteuid():
        raise foreign(folder)
    try:
        return StackState.model_validate({**StackFile.model_validate_json(text).model_dump(), "folder": folder})
    except ValidationError as error:
        # From None: pydantic's text shows the values, and these are credentials.
        where = ", ".join(".".join(map(str, problem["loc"])) or "the whole" for problem in error.errors()[:5])
        raise BrokenState(
            f"{path}: expected the state that `keepfit up` wrote, it is broken at: {where}.",
            remedy="Restore the file; without its credentials the stack's data cannot be opened. "
            "Or start over: `keepfit down --delete-data` ends what runs and deletes all of it.",
        ) from None


CONFLICTING: Final = (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)
"""Beside the stack's own settings these would spoil them, or send its requests to another server."""


def enter_environment(state: StackState) -> None:
    """Let this process be a client of the stack."""
    for name in CONFLICTING:
        os.environ.pop(name, None)
    os.environ.update(state.environment())


class StackFile(BaseModel):
    """The file as it lies on disk: any JSON object; the state itself checks the rest."""

    model_config = ConfigDict(extra="allow")


def foreign(folder: Path) -> KeepfitError:
    """Return the error for a stack of somebody else."""
    return KeepfitError(
        f"{folder}: expected a folder of your own, it belongs to another user.",
        remedy="Set KEEPFIT_HOME to a folder of yours, or run the command as that user.",
    )


def make_private_folder(path: Path) -> Path:
    """Make a folder, open to its owner alone whatever the umask, and return it."""
    path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
    path.chmod(PRIVATE_FOLDER)
    return path


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody but its owner can open it at any moment."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
