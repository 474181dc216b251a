"""The object store in an S3 bucket: the one home of boto3."""

import base64
import io
import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import boto3
from botocore.config import Config

from infra.artifacts.hashing import CHUNK_BYTES, check_size, digest_bytes, digest_stream, verified
from infra.artifacts.landing import land
from infra.artifacts.reference import FRESH_FOR, ArtifactRef, Digest, StoredBlob, blob_key, check_expiry
from infra.artifacts.s3_faults import ANY_FAULT, AlreadyThere, Deadline, Retry, TimedBody, explain, persist
from infra.artifacts.s3_multipart import PART_BYTES, MultipartUpload, Place
from infra.errors import BlobNotFound, IntegrityError, StoreRefused, StoreUnavailable
from infra.faults import reach

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

OPEN_DEADLINE_S = 30.0
LONGEST_SILENCE_S = 30.0
"""A server that says nothing for so long on one connection is given up, and asked again."""

SMALL_BYTES = 1 << 20
"""A blob up to this size is sent without asking first whether the server wants it."""

_BLOB = re.compile(r"sha256/([0-9a-f]{2})/(\1[0-9a-f]{62})")
_TRIAL = b"keepfit writes this twice to see that the second put is refused.\n"

Answer = TypeVar("Answer")


class S3Store:
    """Blobs in a bucket, under `prefix`.

    Endpoint, region, addressing and credentials come from where boto3 looks for them, and nowhere else. A new blob is
    one conditional PUT (or a multipart upload with a conditional completion) with the SHA-256 in its metadata. Where the
    key is taken, by an equal blob or by our own put whose reply was lost, what is there is read back: small blobs byte
    by byte, larger ones by size and recorded digest. If it is not that blob, or older than `FRESH_FOR`, it is replaced,
    which S3 does atomically. Every read verifies size and digest, so the server's own checksums are not read again.

    One operation ends within `deadline_s` plus at most one silence of the server (a quarter of that, up to 30 s).
    """

    def __init__(self, bucket: str, prefix: str = "", deadline_s: float = 300.0) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._deadline_s = deadline_s
        self._client = _connect(bucket, deadline_s)

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put_bytes(self, data: bytes, media_type: str) -> ArtifactRef:
        ref = ArtifactRef(digest=digest_bytes(data), size_bytes=len(data), media_type=media_type)
        deadline = Deadline(self._deadline_s)
        if len(data) > PART_BYTES:
            self._put_large(ref, io.BytesIO(data), deadline)
        else:
            self._put_small(ref, data, deadline)
        return ref

    def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        with path.open("rb") as source:
            start = source.read(PART_BYTES + 1)
            if len(start) <= PART_BYTES:
                return self.put_bytes(start, media_type)
            del start
            deadline = Deadline(self._deadline_s)
            source.seek(0)
            digest, size_bytes = digest_stream(source)
            source.seek(0)
            ref = ArtifactRef(digest=digest, size_bytes=size_bytes, media_type=media_type)
            self._put_large(ref, source, deadline)
        return ref

    def read(self, ref: ArtifactRef) -> bytes:
        return self._receive(ref, b"".join)

    def fetch(self, ref: ArtifactRef, target: Path) -> Path:
        return self._receive(ref, lambda chunks: land(chunks, target))

    def has(self, ref: ArtifactRef) -> bool:
        try:
            return bool(self._head(ref.key, Deadline(self._deadline_s))["ContentLength"] == ref.size_bytes)
        except BlobNotFound:
            return False

    def link(self, ref: ArtifactRef, expires: timedelta) -> str:
        answer = {"ResponseContentType": ref.media_type, "ResponseContentDisposition": "inline"}
        request = {**self._place(ref.key), **answer}
        try:
            return self._client.generate_presigned_url("get_object", Params=request, ExpiresIn=check_expiry(expires))
        except ANY_FAULT as fault:
            raise explain(fault, "sign a link to", self._where(ref.key)) from fault

    def list_blobs(self) -> Iterator[StoredBlob]:
        for page in self._pages(self._client.list_objects_v2, "sha256/", ("ContinuationToken",)):
            for found in page.get("Contents", []):
                if name := _BLOB.fullmatch(found["Key"].removeprefix(self._prefix)):
                    yield StoredBlob(name[2], found["Size"], found["LastModified"].astimezone(UTC))

    def modified_at(self, digest: Digest) -> datetime | None:
        try:
            found: datetime = self._head(blob_key(digest), Deadline(self._deadline_s))["LastModified"]
        except BlobNotFound:
            return None
        return found.astimezone(UTC)

    def delete(self, digest: Digest) -> None:
        key = blob_key(digest)
        with suppress(BlobNotFound):
            self._ask(self._client.delete_object, key, "delete", Deadline(self._deadline_s))

    def clear_partial(self, older_than: timedelta) -> int:
        limit = datetime.now(UTC) - older_than
        cleared = 0
        for page in self._pages(self._client.list_multipart_uploads, "sha256/", ("KeyMarker", "UploadIdMarker")):
            for upload in page.get("Uploads", []):
                if upload["Initiated"] < limit:
                    key = upload["Key"].removeprefix(self._prefix)
                    with suppress(BlobNotFound):
                        deadline = Deadline(self._deadline_s)
                        self._ask(
                            self._client.abort_multipart_upload, key, "abort", deadline, UploadId=upload["UploadId"]
                        )
                        cleared += 1
        return cleared

    def probe(self) -> None:
        deadline = Deadline(min(self._deadline_s, OPEN_DEADLINE_S))
        key = f"probe/{uuid.uuid4()}"
        self._refuse_unless_conditional(key, deadline)
        self._ask(self._client.head_object, key, "read", deadline)
        self._ask(self._client.delete_object, key, "delete", deadline)

    def check_conditions(self) -> None:
        """As `probe`, by one put where the trial object is there already: what opening a store can afford."""
        self._refuse_unless_conditional("probe/conditional-put", Deadline(min(self._deadline_s, OPEN_DEADLINE_S)))

    def _refuse_unless_conditional(self, key: str, deadline: Deadline) -> None:
        for _ in range(2):
            try:
                self._put(key, _TRIAL, deadline, IfNoneMatch="*")
            except AlreadyThere:
                return
        raise StoreRefused(
            f"{self._where(key)}: the server accepted a second put with If-None-Match: *, so it ignores conditions.",
            remedy="Blobs could be overwritten there. Use a server that honours them (AWS S3, SeaweedFS 4, MinIO).",
        )

    def _put_small(self, ref: ArtifactRef, data: bytes, deadline: Deadline) -> None:
        headers = _headers(ref)
        # The server holds this against what it received.
        headers["ChecksumSHA256"] = base64.b64encode(bytes.fromhex(ref.digest)).decode()
        reach("store.before_publish")
        try:
            self._put(ref.key, data, deadline, IfNoneMatch="*", **headers)
        except AlreadyThere:
            if not self._holds_small(ref, deadline):
                self._put(ref.key, data, deadline, **headers)

    def _put(self, key: str, data: bytes, deadline: Deadline, **arguments: Any) -> None:
        put, place, where = self._client.put_object, self._place(key), self._where(key)
        persist(lambda: put(**place, Body=TimedBody(data, deadline), **arguments), deadline, "write", where)

    def _put_large(self, ref: ArtifactRef, source: BinaryIO, deadline: Deadline) -> None:
        there = self._describe(ref, deadline)
        if there is True:
            return
        upload = MultipartUpload(self._client, self._place(ref.key), deadline, self._where(ref.key))
        try:
            upload.send(source, ref, _headers(ref), replace=there is False)
        except (AlreadyThere, BlobNotFound) as error:
            if not self._describe(ref, deadline):
                raise StoreUnavailable(
                    f"{self._where(ref.key)}: the upload ended, but what is there now is not what was sent.",
                    remedy="Run again; if it happens again, see who else writes to this bucket.",
                ) from error

    def _holds_small(self, ref: ArtifactRef, deadline: Deadline) -> bool:
        """Return whether the very bytes are there, and fresh."""
        try:
            for _ in verified(self._chunks(ref, deadline), ref, self._where(ref.key)):
                pass
        except BlobNotFound:
            return False
        except IntegrityError as damage:
            log.warning("replacing a damaged blob: %s", damage.message)
            return False
        return bool(self._describe(ref, deadline))

    def _describe(self, ref: ArtifactRef, deadline: Deadline) -> bool | None:
        """Return whether the blob is there as described, by size and recorded digest, and fresh; None where nothing is."""
        try:
            answer = self._head(ref.key, deadline)
        except BlobNotFound:
            return None
        if (answer["ContentLength"], answer["Metadata"].get("sha256")) != (ref.size_bytes, ref.digest):
            log.warning("replacing what is no blob of keepfit: %s", self._where(ref.key))
            return False
        return _is_fresh(answer)

    def _receive(self, ref: ArtifactRef, consume: Callable[[Iterator[bytes]], Answer]) -> Answer:
        deadline = Deadline(self._deadline_s)
        where = self._where(ref.key)
        try:
            return consume(verified(self._chunks(ref, deadline), ref, where))
        except IntegrityError as damage:
            log.warning("asking once more, the damage may have happened on the way: %s", damage.message)
            return consume(verified(self._chunks(ref, deadline), ref, where))

    def _chunks(self, ref: ArtifactRef, deadline: Deadline) -> Iterator[bytes]:
        """Yield the object's bytes; a body that is cut short is asked for again from there on."""
        where = self._where(ref.key)
        retry = Retry(deadline, "read", where)
        received = 0
        while True:
            try:
                rest: dict[str, Any] = {"Range": f"bytes={received}-"} if received else {}
                answer = self._client.get_object(**self._place(ref.key), **rest)
                check_size(ref, received + answer["ContentLength"], where)
                body: Any = answer["Body"]
                with body as stream:
                    # One receive at a time: to wait for a whole chunk of a trickling server has no end.
                    while chunk := stream.read1(CHUNK_BYTES):
                        received += len(chunk)
                        yield chunk
                        retry.progress()
                if received < ref.size_bytes:
                    raise IncompleteRead(b"", ref.size_bytes - received)
            except ANY_FAULT as fault:
                retry.pause(fault)
            else:
                return

    def _head(self, key: str, deadline: Deadline) -> Any:
        return self._ask(self._client.head_object, key, "read", deadline)

    def _ask(self, method: Callable[..., Any], key: str, action: str, deadline: Deadline, **arguments: Any) -> Any:
        return persist(lambda: method(**self._place(key), **arguments), deadline, action, self._where(key))

    def _pages(self, method: Callable[..., Any], folder: str, markers: tuple[str, ...]) -> Iterator[Any]:
        prefix = self._prefix + folder
        more: dict[str, str] = {}
        while True:
            ask = partial(method, Bucket=self._bucket, Prefix=prefix, **more)
            page = persist(ask, Deadline(self._deadline_s), "list", self._where(folder))
            yield page
            if not page.get("IsTruncated"):
                return
            more = {marker: page[f"Next{marker}"] for marker in markers}

    def _place(self, key: str) -> Place:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key} at {self._client.meta.endpoint_url}"


def _headers(ref: ArtifactRef) -> dict[str, Any]:
    # A header is ASCII; the reference keeps the media type as it was given.
    return {"ContentType": quote(ref.media_type, safe="/;=+., \"'*"), "Metadata": {"sha256": ref.digest}}


def _is_fresh(answer: Any) -> bool:
    return bool(datetime.now(UTC) - answer["LastModified"] < FRESH_FOR)


def _connect(bucket: str, deadline_s: float) -> "S3Client":
    silence_s = min(LONGEST_SILENCE_S, deadline_s / 4)
    try:
        # boto3 itself reads AWS_DEFAULT_REGION only, every other AWS tool AWS_REGION as well.
        session = boto3.Session(region_name=os.environ.get("AWS_REGION"))
        client = session.client(
            "s3",
            config=Config(
                signature_version="s3v4",
                # One attempt: the retries are ours, under one deadline.
                retries={"total_max_attempts": 1},
                connect_timeout=silence_s,
                read_timeout=silence_s,
                max_pool_connections=16,
                request_checksum_calculation="when_supported",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"} if _wants_path_style(session) else None,
            ),
        )
    except ValueError as error:
        raise StoreRefused(
            f"s3://{bucket}: the endpoint is no URL.", remedy="Set AWS_ENDPOINT_URL_S3 to http(s)://host:port."
        ) from error
    except ANY_FAULT as fault:
        raise explain(fault, "open the store", f"s3://{bucket}") from fault
    if urlsplit(client.meta.endpoint_url).username is not None:
        raise StoreRefused(
            f"s3://{bucket}: the endpoint's URL holds credentials.",
            remedy="Leave them out of AWS_ENDPOINT_URL_S3 and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    client.meta.events.register_last("before-call.s3", _send_small_at_once)
    return client


def _send_small_at_once(params: dict[str, Any], **_: Any) -> None:
    """Take out `Expect: 100-continue`, for which boto3 waits a round trip, or a second where nobody answers."""
    body = params["body"]
    if isinstance(body, TimedBody) and body.getbuffer().nbytes <= SMALL_BYTES:
        params["headers"].pop("Expect", None)


def _wants_path_style(session: boto3.Session) -> bool:
    """Return whether a server of one's own is addressed and no profile says how: bucket.host rarely resolves there."""
    profile = session._session.get_scoped_config()
    own_server = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    addressing = profile.get("s3") or {}
    return (own_server or "endpoint_url" in profile or "services" in profile) and "addressing_style" not in addressing
