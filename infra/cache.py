"""Bytes that were computed once and are kept under KEEPFIT_HOME: a cache, and nothing but a cache."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from infra.workspace import open_workspace

logger = logging.getLogger(__name__)

SEAL = 65
"""The file's first line: the SHA-256 of the rest, so that a torn or changed file is noticed."""

UNUSED_S = 90 * 86_400
"""What nobody asked for so long is removed: the reference of a window that was judged is seldom needed again."""


def remember(folder: str, key: Sequence[str], make: Callable[[], bytes]) -> bytes:
    """Return what was made for this key before, or make it.

    A file that is torn, changed or cannot be read is made again; where it cannot be written, the value is returned all
    the same.

    Parameters
    ----------
    folder
        Of the cache: what the values are.
    key
        All that the value depends on.
    """
    name = hashlib.sha256("\0".join(key).encode()).hexdigest()
    path = open_workspace().settings.home / "cache" / folder / name
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if content[:SEAL] == _seal(content[SEAL:]):
        with suppress(OSError):
            os.utime(path)
        return content[SEAL:]
    value = make()
    beside = path.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside.write_bytes(_seal(value) + value)
        os.replace(beside, path)
        if name.startswith("0"):  # one write in sixteen looks round
            _forget_unused(path.parent)
    except OSError as error:
        logger.warning("%s cannot be kept in %s: %s", name[:12], path.parent, error.strerror)
        with suppress(OSError):
            beside.unlink()
    return value


def _forget_unused(folder: Path) -> None:
    """Remove what nobody asked for in a long time, leftovers of dead writers included."""
    for file in folder.iterdir():
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > UNUSED_S:
                file.unlink()


def _seal(value: bytes) -> bytes:
    return hashlib.sha256(value).hexdigest().encode() + b"\n"
