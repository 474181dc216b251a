"""The object store as a folder: one file a blob, put there by hard link so that it is whole or absent."""

import errno
import logging
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from infra.artifacts.hashing import RunningDigest, check_digest, check_size, digest_bytes, read_chunks, verified
from infra.artifacts.landing import land, sync_folder, write_all
from infra.artifacts.reference import ArtifactRef, Digest, StoredBlob, blob_key, check_expiry
from infra.errors import BlobNotFound, IntegrityError, StoreRefused, StoreUnavailable
from infra.faults import reach

log = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EOPNOTSUPP}


class LocalStore:
    """Blobs in a folder of one file system that has hard links.

    A blob is written to a temporary file in the same file system, fsynced and linked to its final name, which fails
    where the name exists; then the folder is fsynced. Folders have mode 0700, files 0600.

    A put over a blob that is there verifies what is there. Damaged bytes are replaced by renaming the new, fsynced file
    over them: a reader meanwhile holds the damaged file, which it refuses, or the whole one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._blobs = self._root / "sha256"
        self._temporaries = self._root / "tmp"
        self._durable: set[Path] = set()

    @property
    def url(self) -> str:
        return self._root.as_uri()

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        ref = ArtifactRef(digest=digest_bytes(data), size_bytes=len(data), media_type=media_type)
        with self._explained("write", ref.key):
            if not self._keeps(ref):
                with self._temporary_file() as (handle, temporary):
                    write_all(handle, data)
                    self._publish(handle, temporary, ref)
        return ref

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        with (
            path.open("rb", buffering=0) as source,
            self._explained("write", path.name),
            self._temporary_file() as (handle, temporary),
        ):
            digest, size_bytes = _copy(source, handle)
            ref = ArtifactRef(digest=digest, size_bytes=size_bytes, media_type=media_type)
            if not self._keeps(ref):
                self._publish(handle, temporary, ref)
        return ref

    def read(self, ref: ArtifactRef) -> bytes:
        with self._opened(ref) as source:
            data = source.read(ref.size_bytes + 1)
        check_size(ref, len(data), self._where(ref))
        check_digest(ref, digest_bytes(data), self._where(ref))
        return data

    def fetch(self, ref: ArtifactRef, target: Path) -> Path:
        with self._opened(ref) as source:
            return land(verified(self._chunks(source, ref), ref, self._where(ref)), target)

    def has(self, ref: ArtifactRef) -> bool:
        with self._explained("read", ref.key):
            try:
                return self._path(ref.digest).stat().st_size == ref.size_bytes
            except FileNotFoundError:
                return False

    def link(self, ref: ArtifactRef, expires: timedelta) -> str:
        check_expiry(expires)
        return self._path(ref.digest).as_uri()

    def list_blobs(self) -> Iterator[StoredBlob]:
        with self._explained("list", "sha256"):
            for folder in _names(self._blobs):
                for name in _names(self._blobs / folder):
                    if _DIGEST.fullmatch(name) and name.startswith(folder):
                        yield from _stat(self._blobs / folder / name)

    def modified_at(self, digest: Digest) -> datetime | None:
        with self._explained("read", blob_key(digest)):
            return next((found.modified_at for found in _stat(self._path(digest))), None)

    def delete(self, digest: Digest) -> None:
        with self._explained("delete", blob_key(digest)):
            self._path(digest).unlink(missing_ok=True)

    def clear_partial(self, older_than: timedelta) -> int:
        limit = time.time() - older_than.total_seconds()
        cleared = 0
        with self._explained("list", "tmp"):
            for name in _names(self._temporaries):
                with suppress(FileNotFoundError):
                    if (self._temporaries / name).stat().st_mtime < limit:
                        (self._temporaries / name).unlink()
                        cleared += 1
        return cleared

    def probe(self) -> None:
        with self._explained("write", "a trial file"), self._temporary_file() as (_, temporary):
            twin = temporary.with_suffix(".twin")
            try:
                os.link(temporary, twin)
                with suppress(FileExistsError):
                    os.link(temporary, twin)
                    raise StoreRefused(
                        f"{self.url}: a hard link replaced an existing file.",
                        remedy="Keep the store on a local file system (KEEPFIT_STORE_URL).",
                    )
            finally:
                twin.unlink(missing_ok=True)

    def _path(self, digest: Digest) -> Path:
        return self._root / blob_key(digest)

    def _where(self, ref: ArtifactRef) -> str:
        return str(self._path(ref.digest))

    def _keeps(self, ref: ArtifactRef) -> bool:
        """Return whether the blob is there, intact, and from now on as young as if it had just been written."""
        final = self._path(ref.digest)
        try:
            with final.open("rb", buffering=0) as source:
                for _ in verified(read_chunks(source), ref, str(final)):
                    pass
            os.utime(final)
        except FileNotFoundError:
            return False
        except IntegrityError as damage:
            log.warning("replacing a damaged blob: %s", damage.message)
            return False
        # Whoever linked it may have died before the folder was on disk.
        sync_folder(final.parent)
        return True

    def _publish(self, handle: int, temporary: Path, ref: ArtifactRef) -> None:
        final = self._path(ref.digest)
        os.fsync(handle)
        self._make_folder(final.parent)
        reach("store.before_publish")
        try:
            os.link(temporary, final)
        except FileExistsError:
            if not self._keeps(ref):
                temporary.replace(final)
        sync_folder(final.parent)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder of mode 0700, its parents as well; whoever made it, its name survives a power cut."""
        if folder.is_dir() and folder in self._durable:
            return
        if not folder.parent.is_dir():
            self._make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
        self._durable.add(folder)

    @contextmanager
    def _temporary_file(self) -> Iterator[tuple[int, Path]]:
        self._make_folder(self._temporaries)
        handle, name = tempfile.mkstemp(dir=self._temporaries)
        try:
            yield handle, Path(name)
        finally:
            os.close(handle)
            Path(name).unlink(missing_ok=True)

    @contextmanager
    def _opened(self, ref: ArtifactRef) -> Iterator[BinaryIO]:
        with self._explained("read", ref.key):
            try:
                source = self._path(ref.digest).open("rb", buffering=0)
            except FileNotFoundError as error:
                raise BlobNotFound(
                    f"{self.url}: there is no blob {ref.key} ({ref.size_bytes} bytes, {ref.media_type}).",
                    remedy="Check KEEPFIT_STORE_URL; run `keepfit doctor` to list what else is missing.",
                ) from error
            with source:
                check_size(ref, os.fstat(source.fileno()).st_size, self._where(ref))
                yield source

    def _chunks(self, source: BinaryIO, ref: ArtifactRef) -> Iterator[bytes]:
        with self._explained("read", ref.key):
            yield from read_chunks(source)

    @contextmanager
    def _explained(self, action: str, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"{self.url}: cannot {action} {what}: {error.strerror or error}."
            if error.errno in _FORBIDDEN:
                raise StoreRefused(
                    message, remedy="Let this user write there, on a file system with hard links."
                ) from error
            raise StoreUnavailable(
                message, remedy="See that the disk is there and has space; then run again."
            ) from error


def _copy(source: BinaryIO, handle: int) -> tuple[Digest, int]:
    """Return digest and size of what was copied from `source`: one pass, so a file that changes cannot be torn."""
    counted = RunningDigest()
    for chunk in read_chunks(source):
        counted.update(chunk)
        write_all(handle, chunk)
    return counted.hexdigest(), counted.size_bytes


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _stat(path: Path) -> Iterator[StoredBlob]:
    with suppress(FileNotFoundError):
        found = path.stat()
        yield StoredBlob(path.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
