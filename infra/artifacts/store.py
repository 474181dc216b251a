"""The object store as the rest of keepfit sees it: blobs named by their SHA-256, never overwritten, always verified."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from infra.artifacts.local import LocalStore
from infra.artifacts.reference import FRESH_FOR, LONGEST_LINK, ArtifactRef, Digest, StoredBlob
from infra.errors import SettingsError

__all__ = ["FRESH_FOR", "LONGEST_LINK", "BlobStore", "StoredBlob", "open_store"]


class BlobStore(Protocol):
    """Bytes under their digest. Safe to share between threads; each method may be repeated at will."""

    @property
    def url(self) -> str:
        """Where the blobs are; printable, never a secret."""
        ...

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        """Return the reference of `data`, which is in the store from then on."""
        ...

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        """Return the reference of the file's content; streams, so the size of the file is not limited by memory."""
        ...

    def read(self, ref: ArtifactRef) -> bytes:
        """Return the bytes, verified.

        Raises
        ------
        BlobNotFound
            Nothing lies under this digest.
        IntegrityError
            The size or the digest of what lies there is another.
        """
        ...

    def fetch(self, ref: ArtifactRef, target: Path) -> Path:
        """Return `target`, which holds the verified bytes; raises as `read` does and then leaves `target` alone."""
        ...

    def has(self, ref: ArtifactRef) -> bool:
        """Return whether a blob of this digest and size is there; its bytes are verified only when they are read."""
        ...

    def link(self, ref: ArtifactRef, expires: timedelta) -> str:
        """Return an address at which a browser reads the blob for as long as `expires`; nothing is asked of the store.

        Whoever has the address can read this one blob; it holds no secret key. At most LONGEST_LINK, and no longer than
        the credentials that sign it live.

        Raises
        ------
        UsageError
            `expires` is longer than that, or not positive.
        """
        ...

    def list_blobs(self) -> Iterator[StoredBlob]:
        """Yield every blob in the order of the digests."""
        ...

    def modified_at(self, digest: Digest) -> datetime | None:
        """Return when the blob was last written, or made young by a put of the same bytes; None where there is none."""
        ...

    def delete(self, digest: Digest) -> None:
        """Remove a blob; one that is not there is fine."""
        ...

    def clear_partial(self, older_than: timedelta) -> int:
        """Return how many leftovers of dead writers (temporary files, unfinished uploads) were removed."""
        ...

    def probe(self) -> None:
        """Do nothing if the store can be reached and written and honours put-if-absent.

        Raises
        ------
        StoreRefused
            Wrong or read-only credentials, no such bucket, a server that ignores conditions.
        StoreUnavailable
            Not reachable now.
        """
        ...


def open_store(url: str, deadline_s: float = 300.0) -> BlobStore:
    """Return the store at `url`; an S3 store is probed before it is returned.

    Parameters
    ----------
    url
        `file:///folder` or `s3://bucket/prefix`.
    deadline_s
        Seconds that one operation on an S3 store may take, retries included.

    Raises
    ------
    SettingsError
        The URL is neither of the two, or holds credentials.
    StoreRefused, StoreUnavailable
        As `BlobStore.probe`.
    """
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise SettingsError(
            f"The store's URL ({parts.scheme}://…) holds credentials.",
            remedy="Leave them out of the URL and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if parts.query or parts.fragment:
        raise _not_a_store(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return LocalStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        aws = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
        return _open_s3(parts.netloc, parts.path.strip("/"), deadline_s, aws, os.getpid())
    raise _not_a_store(url)


@lru_cache(maxsize=4)
def _open_s3(
    bucket: str, prefix: str, deadline_s: float, _aws: tuple[tuple[str, str], ...], _process: int
) -> BlobStore:
    """Return the store, one for each process and AWS environment: a client costs 0.1 s, and each step opens the store."""
    from infra.artifacts.s3 import S3Store  # noqa: PLC0415  boto3 costs 0.4 s: only for those who use it

    store = S3Store(bucket, prefix, deadline_s)
    store.check_conditions()
    return store


def _not_a_store(url: str) -> SettingsError:
    return SettingsError(
        f"The store's URL: expected file:///folder or s3://bucket/prefix, received {url!r}.",
        remedy="Correct KEEPFIT_STORE_URL, or leave it out to keep artifacts under KEEPFIT_HOME.",
    )
