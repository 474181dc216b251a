"""A large blob goes up in parts, a few at a time, and appears under its name only when all of them are there."""

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypedDict

from infra.artifacts.hashing import RunningDigest, check_digest, read_chunks
from infra.artifacts.reference import ArtifactRef
from infra.artifacts.s3_faults import ANY_FAULT, Deadline, TimedBody, name_fault, persist
from infra.faults import reach

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

log = logging.getLogger(__name__)

PART_BYTES = 16 << 20
"""Size of a part; a blob that is not larger goes up in one request."""

THREADS = 4
"""Parts on their way at a time; one more than that is in memory."""

MOST_PARTS = 10_000


class Place(TypedDict):
    """Which object a request is about."""

    Bucket: str
    Key: str


class MultipartUpload:
    """One upload of one blob; used once."""

    def __init__(self, client: "S3Client", place: Place, deadline: Deadline, where: str) -> None:
        self._client = client
        self._place = place
        self._deadline = deadline
        self._where = where

    def send(self, source: BinaryIO, ref: ArtifactRef, headers: dict[str, Any], *, replace: bool) -> None:
        """Store what is in `source`, which must still be what `ref` says; nothing is there before all of it is.

        Raises
        ------
        AlreadyThere
            The key is taken and `replace` is False.
        BlobNotFound
            The upload has ended already: our own completion, whose reply was lost, or somebody aborted it.
        IntegrityError
            The source changed since its digest was taken.
        """
        with self._opened(headers) as upload_id:
            parts = self._send_parts(upload_id, source, ref)
            reach("store.before_publish")
            condition: dict[str, Any] = {} if replace else {"IfNoneMatch": "*"}
            persist(
                lambda: self._client.complete_multipart_upload(
                    **self._place, UploadId=upload_id, MultipartUpload={"Parts": parts}, **condition
                ),
                self._deadline,
                "complete the upload",
                self._where,
            )

    @contextmanager
    def _opened(self, headers: dict[str, Any]) -> Iterator[str]:
        begun = persist(
            lambda: self._client.create_multipart_upload(**self._place, ChecksumAlgorithm="CRC32", **headers),
            self._deadline,
            "begin the upload",
            self._where,
        )
        try:
            yield begun["UploadId"]
        except BaseException:
            self._abort(begun["UploadId"])
            raise

    def _abort(self, upload_id: str) -> None:
        try:
            self._client.abort_multipart_upload(**self._place, UploadId=upload_id)
        except ANY_FAULT as fault:
            log.warning("%s: an unfinished upload stays behind: %s", self._where, name_fault(fault))

    def _send_parts(self, upload_id: str, source: BinaryIO, ref: ArtifactRef) -> "list[CompletedPartTypeDef]":
        counted = RunningDigest()
        sent: list[CompletedPartTypeDef] = []
        on_their_way: deque[Future[CompletedPartTypeDef]] = deque()
        part_bytes = max(PART_BYTES, -(-ref.size_bytes // MOST_PARTS))
        with ThreadPoolExecutor(THREADS, thread_name_prefix="upload") as pool:
            try:
                for number, part in enumerate(read_chunks(source, part_bytes), start=1):
                    on_their_way.append(pool.submit(self._send_part, upload_id, number, part))
                    counted.update(part)
                    if len(on_their_way) >= THREADS:
                        sent.append(on_their_way.popleft().result())
                sent += [part.result() for part in on_their_way]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        check_digest(ref, counted.hexdigest(), f"{self._where}, whose source changed while it was read")
        return sent

    def _send_part(self, upload_id: str, number: int, part: bytes) -> "CompletedPartTypeDef":
        answer = persist(
            lambda: self._client.upload_part(
                **self._place, UploadId=upload_id, PartNumber=number, Body=TimedBody(part, self._deadline)
            ),
            self._deadline,
            f"send part {number}",
            self._where,
        )
        completed: CompletedPartTypeDef = {"PartNumber": number, "ETag": answer["ETag"]}
        if "ChecksumCRC32" in answer:
            completed["ChecksumCRC32"] = answer["ChecksumCRC32"]
        return completed
