"""Files of a source: a local path or glob, or s3:// addresses, found in sorted order and opened for reading."""

import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from infra.errors import SourceError, SourceUnavailable, name_values

PASSING_FAULTS = (
    "NETWORK_CONNECTION",
    "SLOW_DOWN",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_FAILURE",
    "REQUEST_TIMEOUT",
    "curlCode",
)
"""What the S3 client's messages name when a later attempt may succeed."""


class Place(NamedTuple):
    """One file that can be opened again and again."""

    address: str
    open: Callable[[], pa.NativeFile]


def find_places(patterns: str | Sequence[str], folder: Path) -> list[Place]:
    """Return the files that the patterns name: in the order of the patterns, each pattern's in sorted order.

    Parameters
    ----------
    patterns
        Local path or glob (`**` included), relative to `folder`, or `s3://bucket/key` with `*`, `?` and `[…]` in the key.
    folder
        The project's folder.

    Raises
    ------
    SourceError
        A pattern names no file, or a folder.
    SourceUnavailable
        The S3 server does not answer.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    places = [place for pattern in wanted for place in _find(pattern, folder)]
    return list({place.address: place for place in places}.values())


def _find(pattern: str, folder: Path) -> list[Place]:
    return _find_s3(pattern) if pattern.startswith("s3://") else _find_local(pattern, folder)


def _find_local(pattern: str, folder: Path) -> list[Place]:
    pattern = os.path.expanduser(pattern)
    names = glob(pattern, root_dir=folder, recursive=True) if has_magic(pattern) else [pattern]
    paths = sorted(folder / name for name in names)
    files = [path for path in paths if path.is_file()]
    if not files:
        found = "a folder" if any(path.is_dir() for path in paths) else "no file"
        raise SourceError(
            f"Expected files at {pattern!r} (from {folder}), found {found}.",
            remedy="Correct the path in project.yaml under `source`; name the files of a folder with a glob: folder/*.csv.",
        )
    local = fs.LocalFileSystem()
    return [Place(str(path), lambda path=path: local.open_input_file(str(path))) for path in files]  # type: ignore[misc]


def _find_s3(pattern: str) -> list[Place]:
    address = urlsplit(pattern, allow_fragments=False)
    bucket, key = address.netloc, address.path.lstrip("/")
    if not bucket or not key:
        raise SourceError(f"Expected s3://bucket/key, received {pattern!r}.", remedy="Name the bucket and the key.")
    if "?" in pattern:  # a query has no meaning here, `?` is a wildcard
        key = pattern.removeprefix(f"s3://{bucket}/")
    store = _connect_s3()
    try:
        keys = _list_keys(store, bucket, key) if has_magic(key) else [key]
    except OSError as error:
        raise name_s3_fault(error, pattern) from error
    if not keys:
        raise SourceError(
            f"Expected objects at {pattern!r}, found none.", remedy="Correct the address in project.yaml."
        )
    return [Place(f"s3://{bucket}/{key}", lambda key=key: store.open_input_file(f"{bucket}/{key}")) for key in keys]  # type: ignore[misc]


def _list_keys(store: fs.S3FileSystem, bucket: str, pattern: str) -> list[str]:
    fixed = pattern[: next(i for i, letter in enumerate(pattern) if letter in "*?[")]
    start = f"{bucket}/{fixed.rpartition('/')[0]}".rstrip("/")
    found = store.get_file_info(fs.FileSelector(start, allow_not_found=True, recursive=True))
    keys = [info.path.removeprefix(f"{bucket}/") for info in found if info.type == fs.FileType.File]
    # As in a local glob `*` stays within one folder, unless the pattern says `**`.
    depth = pattern.count("/")
    return sorted(key for key in keys if fnmatchcase(key, pattern) and ("**" in pattern or key.count("/") == depth))


def _connect_s3() -> fs.S3FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint is None:
        return fs.S3FileSystem(region=region)
    server = urlsplit(endpoint)
    return fs.S3FileSystem(
        endpoint_override=server.netloc,
        scheme=server.scheme,
        region=region or "us-east-1",
        request_timeout=30,
        connect_timeout=5,
    )


def name_s3_fault(error: OSError, address: str) -> SourceError:
    """Return the error for this address; retryable where the server may answer later."""
    text = str(error)
    if any(sign in text for sign in PASSING_FAULTS):
        return SourceUnavailable(
            f"{address}: the S3 server does not answer.", remedy="Try again; check AWS_ENDPOINT_URL_S3."
        )
    if "ACCESS_DENIED" in text or "INVALID_ACCESS_KEY_ID" in text or "SIGNATURE" in text:
        return SourceError(
            f"{address}: the S3 server refuses these credentials.",
            remedy="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the bucket's policy.",
        )
    return SourceError(
        f"{address}: cannot be read ({type(error).__name__}).", remedy="Check that the bucket and the key exist."
    )


def require_same_columns(columns: Sequence[str], first: Sequence[str], address: str, first_address: str) -> None:
    """Refuse a file whose columns differ from the first file's, in whatever order.

    Raises
    ------
    SourceError
        Columns lack or are added.
    """
    lacking, added = sorted(set(first) - set(columns)), sorted(set(columns) - set(first))
    if lacking or added:
        raise SourceError(
            f"{address}: expected the columns of {first_address}; lacking {name_values(lacking) or 'none'}, "
            f"added {name_values(added) or 'none'}.",
            remedy="Bring the files to the same columns, or name them apart.",
        )
