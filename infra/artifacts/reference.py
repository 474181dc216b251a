"""What names a blob: its digest, its size and what it is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from infra.errors import UsageError

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal."""

FRESH_FOR = timedelta(hours=12)
"""A put makes sure that the blob's `modified_at` is younger than this, even where the blob was there already.

A sweeper that spares blobs younger than its grace time must therefore use a longer one.
"""

LONGEST_LINK = timedelta(days=7)
"""What S3 allows a signed address (Signature Version 4)."""


class ArtifactRef(BaseModel):
    """A blob in the object store; its place follows from the digest alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Digest
    size_bytes: Annotated[int, Field(ge=0)]
    media_type: str

    @property
    def key(self) -> str:
        """The key under which the store keeps the bytes.

        >>> ArtifactRef(digest="ab" * 32, size_bytes=1, media_type="text/plain").key[:13]
        'sha256/ab/aba'
        """
        return blob_key(self.digest)


class StoredBlob(NamedTuple):
    """A blob as it lies in the store, whether or not anything names it."""

    digest: Digest
    size_bytes: int
    modified_at: datetime


def blob_key(digest: str) -> str:
    """Return the store key of the blob with this digest."""
    return f"sha256/{digest[:2]}/{digest}"


def check_expiry(expires: timedelta) -> int:
    """Return the life of a link in whole seconds. Raises UsageError unless it is positive and at most LONGEST_LINK."""
    if not timedelta(seconds=1) <= expires <= LONGEST_LINK:
        raise UsageError(f"expires: expected 1 second to {LONGEST_LINK.days} days, received {expires}.")
    return int(expires.total_seconds())


def references_in(value: object) -> Iterator[ArtifactRef]:
    """Yield every blob that a result names, at any depth."""
    if isinstance(value, ArtifactRef):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from references_in(getattr(value, name))
    elif isinstance(value, dict):
        for part in value.values():
            yield from references_in(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from references_in(part)
