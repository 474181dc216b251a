"""A stream becomes a file whole or not at all: temporary file beside it, fsync, rename."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from infra.errors import StoreUnavailable


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def land(chunks: Iterable[bytes], target: Path) -> Path:
    """Write `chunks` to `target` and return it; whatever fails, `target` is as it was before.

    Parameters
    ----------
    chunks
        The content; an error raised while it is consumed leaves no file.
    target
        Replaced where it exists; its folder is made where it is missing. Mode 0600.

    Raises
    ------
    StoreUnavailable
        The file cannot be written (disk full, no permission).
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".keepfit-", suffix=".part")
    except OSError as error:
        raise _unwritable(target, error) from error
    temporary = Path(name)
    try:
        _write(handle, chunks)
        temporary.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _write(handle: int, chunks: Iterable[bytes]) -> None:
    with os.fdopen(handle, "wb", buffering=0) as file:
        for chunk in chunks:
            write_all(file.fileno(), chunk)
        os.fsync(file.fileno())


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _unwritable(target: Path, error: OSError) -> StoreUnavailable:
    return StoreUnavailable(
        f"{target}: cannot be written: {error.strerror or error}.",
        remedy="Free space on that disk or choose another folder; then run again.",
    )
