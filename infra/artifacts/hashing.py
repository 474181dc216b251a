"""SHA-256 while bytes go by, and the one place where received bytes are held against their reference."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from infra.artifacts.reference import ArtifactRef
from infra.errors import IntegrityError

CHUNK_BYTES = 1 << 20
"""How much of a stream is in memory at a time."""

_REMEDY = "These bytes are not used. Put the artifact again, or restore the store from a backup."


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_chunks(source: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield what is left of `source`, at most `chunk_bytes` at a time."""
    while chunk := source.read(chunk_bytes):
        yield chunk


class RunningDigest:
    """SHA-256 and size of what has gone by so far."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self._digest = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def digest_stream(source: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 and the size in bytes of what is left of `source`."""
    counted = RunningDigest()
    for chunk in read_chunks(source):
        counted.update(chunk)
    return counted.hexdigest(), counted.size_bytes


def check_size(ref: ArtifactRef, size_bytes: int, where: str) -> None:
    """Raise IntegrityError unless the blob has the size that its reference names."""
    if size_bytes != ref.size_bytes:
        raise IntegrityError(
            f"{where}: expected {ref.size_bytes} bytes of {ref.digest}, received {size_bytes}.", remedy=_REMEDY
        )


def check_digest(ref: ArtifactRef, digest: str, where: str) -> None:
    """Raise IntegrityError unless the bytes had the digest that names them."""
    if digest != ref.digest:
        raise IntegrityError(f"{where}: expected SHA-256 {ref.digest}, received {digest}.", remedy=_REMEDY)


def verified(chunks: Iterable[bytes], ref: ArtifactRef, where: str) -> Iterator[bytes]:
    """Yield `chunks` unchanged; raise IntegrityError at their end unless size and digest are those of `ref`.

    The consumer must not publish or use anything before the iterator has ended.
    """
    counted = RunningDigest()
    for chunk in chunks:
        counted.update(chunk)
        if counted.size_bytes > ref.size_bytes:
            check_size(ref, counted.size_bytes, where)
        yield chunk
    check_size(ref, counted.size_bytes, where)
    check_digest(ref, counted.hexdigest(), where)
