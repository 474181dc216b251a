"""Model files as zip archives: written the same way every time, and looked at before anything opens them."""

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from infra.errors import UnsafeArtifact

MAX_MEMBERS = 20_000
MAX_MEMBER_BYTES = 2 * 2**30
MAX_TOTAL_BYTES = 4 * 2**30
MAX_RATIO = 200
"""Largest growth on unpacking, for archives that unpack to more than `RATIO_FREE_BYTES`."""
RATIO_FREE_BYTES = 64 * 2**20

SUFFIXES = frozenset({".json", ".npy", ".npz", ".skops", ".bin"})
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_EPOCH = (1980, 1, 1, 0, 0, 0)
_KNOWN = {
    b"\x89HDF": "an HDF5 file (.h5)",
    b"\x80": "a pickle",
    b"\x1f\x8b": "a gzip file",
    b"ustar": "a tar file",
    b"\x08": "a protocol buffer (SavedModel)",
}


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of these members: sorted, without times, the same bytes for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.create_system, info.external_attr = 3, 0o600 << 16
            stored = name.endswith((".skops", ".npz"))  # compressed inside already
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name], compresslevel=6)
    return buffer.getvalue()


def unpack(content: bytes, *, what: str = "model file", suffixes: frozenset[str] = SUFFIXES) -> dict[str, bytes]:
    """Return the members of an archive that keepfit could have written.

    Names, number, sizes and growth are held against the limits from the archive's directory alone, before a
    member is unpacked; a member is never unpacked beyond the size that the directory says.

    Raises
    ------
    UnsafeArtifact
        No zip, a name that leaves the archive or is of no known kind, too many or too large members, encrypted
        or damaged ones.
    """
    if not content.startswith(b"PK\x03\x04"):
        raise _refuse(what, f"expected a zip archive, received {_name_format(content)}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            _check_directory(infos, len(content), what, suffixes)
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zlib.error) as error:
        raise _refuse(what, f"expected a whole zip archive: {error}") from error


def _check_directory(infos: list[zipfile.ZipInfo], size: int, what: str, suffixes: frozenset[str]) -> None:
    if len(infos) > MAX_MEMBERS:
        raise _refuse(what, f"expected at most {MAX_MEMBERS} members, received {len(infos)}")
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise _refuse(what, "expected each member once, received one name twice")
    for info in infos:
        if not _NAME.fullmatch(info.orig_filename) or ".." in info.filename:
            raise _refuse(what, f"expected plain member names, received {info.orig_filename[:100]!r}")
        if PurePosixPath(info.filename).suffix not in suffixes:
            raise _refuse(what, f"expected members of kind {', '.join(sorted(suffixes))}, received {info.filename!r}")
        if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refuse(what, f"expected a plain or deflated member, received {info.filename!r}")
        if info.file_size > MAX_MEMBER_BYTES:
            raise _refuse(what, f"member {info.filename!r} would unpack to {info.file_size} bytes")
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL_BYTES or (total > RATIO_FREE_BYTES and total > MAX_RATIO * size):
        raise _refuse(what, f"{size} bytes would unpack to {total}: a zip bomb")


def _name_format(content: bytes) -> str:
    if not content:
        return "an empty file"
    return next((name for start, name in _KNOWN.items() if content.startswith(start)), "something else")


def _refuse(what: str, reason: str) -> UnsafeArtifact:
    return UnsafeArtifact(
        f"The {what} is not opened: {reason}.",
        remedy="Only files that keepfit wrote are loaded. Use another version, or train again.",
    )
