"""What an S3 store does when the network or the server fails in the middle: FAULTS 3, 4, 5, with the fault seen to fire."""

import hashlib
import logging
import time
from pathlib import Path

import pytest

from infra.artifacts import s3, s3_faults
from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore, open_store
from infra.errors import IntegrityError, StoreUnavailable
from tests.servers.faulty_proxy import Answer, CutBody, FaultyProxy, FlipBit, LoseReply, Silence, Sip, Trickle

pytestmark = pytest.mark.servers

LARGE = hashlib.shake_256(b"large").digest(20_000_001)
MEDIUM = LARGE[:3_000_000]


@pytest.fixture
def store(proxy: FaultyProxy, s3_store_url: str) -> BlobStore:
    return open_store(s3_store_url, deadline_s=20)


@pytest.fixture
def hasty_store(proxy: FaultyProxy, s3_store_url: str) -> BlobStore:
    return open_store(s3_store_url, deadline_s=1)


def digests(store: BlobStore) -> list[str]:
    return [blob.digest for blob in store.list_blobs()]


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_a_lost_reply_to_the_publishing_request_is_settled_by_reading_back(store, proxy, data: bytes) -> None:
    publishing = "^PUT .*sha256" if data == b"small" else "^POST .*uploadId"
    with proxy.breaking(LoseReply(publishing)):
        ref = store.put_bytes(data, "text/plain")

    assert digests(store) == [ref.digest]
    assert store.read(ref) == data


def test_a_lost_reply_leaves_the_object_of_the_first_attempt(store, proxy, s3_server, s3_store_url: str) -> None:
    with proxy.breaking(LoseReply("^PUT .*sha256")):
        ref = store.put_bytes(b"ours", "text/plain")

    puts = [line for line in proxy.requests if line.startswith("PUT") and ref.digest in line]
    assert len(puts) == 2, "the conditional put was tried again, refused, and nothing was put over it"


def test_every_part_whose_reply_is_lost_is_sent_again(store, proxy) -> None:
    with proxy.breaking(LoseReply("^PUT .*partNumber", times=2)):
        ref = store.put_bytes(LARGE, "text/plain")

    assert store.read(ref) == LARGE


@pytest.mark.parametrize("times", [1, 5])
def test_a_body_cut_in_the_middle_is_asked_for_again_from_there(store, proxy, times: int, tmp_path: Path) -> None:
    ref = store.put_bytes(MEDIUM, "text/plain")
    with proxy.breaking(CutBody("^GET .*sha256", times=times, after_bytes=300_000)) as fault:
        assert store.read(ref) == MEDIUM
    assert fault.fired == times

    with proxy.breaking(CutBody("^GET .*sha256", times=times, after_bytes=300_000)):
        assert store.fetch(ref, tmp_path / "target").read_bytes() == MEDIUM


def test_a_body_that_is_always_cut_ends_at_the_deadline_and_leaves_no_file(hasty_store, proxy, tmp_path: Path) -> None:
    ref = hasty_store.put_bytes(MEDIUM, "text/plain")

    with (
        proxy.breaking(CutBody("^GET .*sha256", times=10_000, after_bytes=300)),
        pytest.raises(StoreUnavailable, match="cannot read within 1 s"),
    ):
        hasty_store.fetch(ref, tmp_path / "target")

    assert list(tmp_path.iterdir()) == []


def test_bytes_changed_on_the_way_are_asked_for_again(store, proxy) -> None:
    ref = store.put_bytes(MEDIUM, "text/plain")

    with proxy.breaking(FlipBit("^GET .*sha256")):
        assert store.read(ref) == MEDIUM


def test_bytes_changed_on_the_way_every_time_are_refused(store, proxy, tmp_path: Path) -> None:
    ref = store.put_bytes(MEDIUM, "text/plain")

    with proxy.breaking(FlipBit("^GET .*sha256", times=99)), pytest.raises(IntegrityError, match=ref.digest):
        store.fetch(ref, tmp_path / "target")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", ["500 Internal Error", "503 Slow Down", "429 Too Many Requests"])
def test_a_server_that_is_busy_for_a_while_is_waited_for(store, proxy, status: str) -> None:
    with proxy.breaking(Answer("sha256", times=3, status=status)) as fault:
        ref = store.put_bytes(b"patience", "text/plain")
    assert fault.fired == 3

    with proxy.breaking(Answer("sha256", times=3, status=status)):
        assert store.read(ref) == b"patience"


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
def test_a_server_that_stays_busy_ends_in_a_retryable_error_with_nothing_stored(hasty_store, proxy, data) -> None:
    started = time.monotonic()
    with (
        proxy.breaking(Answer("^(PUT|POST) .*sha256", times=10_000)) as fault,
        pytest.raises(StoreUnavailable, match=r"SlowDown \(status 503\)") as caught,
    ):
        hasty_store.put_bytes(data, "text/plain")

    assert caught.value.retryable
    assert fault.fired > 1
    assert time.monotonic() - started < 3
    assert digests(hasty_store) == []


def test_a_silent_server_ends_in_a_retryable_error_in_time(hasty_store, proxy) -> None:
    started = time.monotonic()
    with (
        proxy.breaking(Silence("^PUT .*sha256", times=10_000)) as fault,
        pytest.raises(StoreUnavailable, match=r"cannot write within 1 s; at last: (Read)?TimeoutError"),
    ):
        hasty_store.put_bytes(b"anyone?", "text/plain")

    assert fault.fired > 1
    assert time.monotonic() - started < 3


def test_a_trickling_server_ends_in_a_retryable_error_in_time(hasty_store, proxy) -> None:
    ref = hasty_store.put_bytes(MEDIUM, "text/plain")
    started = time.monotonic()

    with proxy.breaking(Trickle("^GET .*sha256", times=10_000)), pytest.raises(StoreUnavailable, match="within 1 s"):
        hasty_store.read(ref)

    assert time.monotonic() - started < 3


def test_a_server_that_takes_the_bytes_too_slowly_ends_in_a_retryable_error_in_time(hasty_store, proxy) -> None:
    started = time.monotonic()

    with proxy.breaking(Sip("^PUT .*sha256", times=10_000)), pytest.raises(StoreUnavailable, match="within 1 s"):
        hasty_store.put_bytes(LARGE[: s3.PART_BYTES], "text/plain")

    assert time.monotonic() - started < 4


def test_a_part_that_never_arrives_aborts_the_upload(proxy, s3_server, s3_store_url: str) -> None:
    store = open_store(s3_store_url, deadline_s=4)
    with proxy.breaking(Answer("partNumber=2\\b", times=10_000)), pytest.raises(StoreUnavailable, match="send part 2"):
        store.put_bytes(LARGE, "text/plain")

    bucket = s3_store_url.split("/")[2]
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=bucket)
    assert digests(store) == []


def test_a_wrong_endpoint_is_said_with_its_address(s3_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")

    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:9: cannot write within 0\.5 s"):
        open_store(s3_store_url, deadline_s=0.5)


def test_pauses_grow_and_are_logged_without_the_data(store, proxy, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), proxy.breaking(Answer("^PUT .*sha256", times=3)):
        store.put_bytes(b"secret content", "text/plain")

    pauses = [record for record in caplog.records if "again in" in record.message]
    assert len(pauses) == 3
    assert "secret content" not in caplog.text


def test_an_old_blob_is_made_young_again_by_a_put(store, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = store.put_bytes(b"old", "text/plain")
    before = next(iter(store.list_blobs())).modified_at
    time.sleep(1.1)

    store.put_bytes(b"old", "text/plain")
    assert next(iter(store.list_blobs())).modified_at == before

    monkeypatch.setattr(s3, "FRESH_FOR", s3.FRESH_FOR * 0)
    store.put_bytes(b"old", "text/plain")
    assert next(iter(store.list_blobs())).modified_at > before
    assert store.read(ref) == b"old"


def test_a_source_that_changes_during_the_upload_is_never_published(
    store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    source.write_bytes(LARGE)
    digest_stream = s3.digest_stream

    def change_after_the_digest(stream) -> tuple[str, int]:
        digest = digest_stream(stream)
        source.write_bytes(LARGE[:-1] + b"!")
        return digest

    monkeypatch.setattr(s3, "digest_stream", change_after_the_digest)
    with pytest.raises(IntegrityError, match="source changed while it was read"):
        store.put_file(source, "text/plain")

    assert digests(store) == []


def test_every_retryable_answer_is_told_from_a_final_one() -> None:
    def answer(status: int, code: str) -> s3_faults.boto.ClientError:
        return s3_faults.boto.ClientError(
            {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Put"
        )

    again = [(500, "InternalError"), (503, "SlowDown"), (409, "ConditionalRequestConflict"), (400, "BadDigest")]
    final = [(403, "AccessDenied"), (404, "NoSuchBucket"), (412, "PreconditionFailed"), (501, "NotImplemented")]
    assert [s3_faults.is_transient(answer(*one)) for one in again] == [True] * len(again)
    assert [s3_faults.is_transient(answer(*one)) for one in final] == [False] * len(final)


def test_a_reference_is_all_a_reader_needs(store, proxy) -> None:
    ref = store.put_bytes(b"described", "text/plain")

    assert store.read(ArtifactRef(digest=ref.digest, size_bytes=9, media_type="anything")) == b"described"
