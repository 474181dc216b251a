"""What both stores promise."""

import hashlib
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.artifacts.reference import ArtifactRef, blob_key
from infra.artifacts.store import BlobStore, open_store
from infra.errors import BlobNotFound, IntegrityError
from tests.infra.artifacts.conftest import StoreUnderTest

LARGE_BYTES = 20_000_001
"""Two parts, the second one shorter."""


def make_data(size_bytes: int, seed: int = 0) -> bytes:
    return hashlib.shake_256(str(seed).encode()).digest(size_bytes)


def make_ref(data: bytes) -> ArtifactRef:
    return ArtifactRef(digest=hashlib.sha256(data).hexdigest(), size_bytes=len(data), media_type="text/plain")


@pytest.mark.parametrize("size_bytes", [0, 1, 4096, LARGE_BYTES], ids=["empty", "one_byte", "small", "large"])
def test_bytes_come_back_as_they_went_in(store: BlobStore, size_bytes: int, tmp_path: Path) -> None:
    data = make_data(size_bytes)

    ref = store.put_bytes(data, "application/octet-stream")

    assert ref == make_ref(data).model_copy(update={"media_type": "application/octet-stream"})
    assert store.read(ref) == data
    assert store.fetch(ref, tmp_path / "new folder" / "target").read_bytes() == data


@pytest.mark.parametrize("size_bytes", [0, 4096, LARGE_BYTES], ids=["empty", "small", "large"])
def test_a_file_and_its_bytes_are_the_same_blob(under_test: StoreUnderTest, size_bytes: int, tmp_path: Path) -> None:
    data = make_data(size_bytes)
    source = tmp_path / "source"
    source.write_bytes(data)

    ref = under_test.store.put_file(source, "text/plain")

    assert ref == make_ref(data)
    assert under_test.store.put_bytes(data, "text/plain") == ref
    assert under_test.names() == [ref.key]
    assert hashlib.sha256(under_test.store.read(ref)).hexdigest() == ref.digest


def test_the_same_bytes_twice_are_one_object_that_is_not_written_again(under_test: StoreUnderTest) -> None:
    store = under_test.store
    first = store.put_bytes(b"once", "text/plain")

    second = store.put_bytes(b"once", "text/csv")

    assert (second.digest, second.media_type) == (first.digest, "text/csv")
    assert under_test.names() == [blob_key(first.digest)]


@pytest.mark.parametrize("media_type", ["text/plain; charset=utf-8", "text/größe; ключ=值", "a\r\nb: c", ""])
def test_any_media_type_is_kept_in_the_reference(store: BlobStore, media_type: str) -> None:
    ref = store.put_bytes(b"x", media_type)

    assert ref.media_type == media_type
    assert store.read(ref) == b"x"


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), r"expected SHA-256 [0-9a-f]{64}, received [0-9a-f]{64}"),
        (lambda data: data[:-1], "expected 5 bytes .*, received 4"),
        (lambda data: data + b"!", "expected 5 bytes .*, received 6"),
        (lambda _: b"", "expected 5 bytes .*, received 0"),
        (lambda _: b"other", r"expected SHA-256 [0-9a-f]{64}, received [0-9a-f]{64}"),
    ],
    ids=["flipped", "truncated", "longer", "emptied", "swapped"],
)
def test_damaged_bytes_are_refused_and_put_right_by_the_next_put(under_test, damage, problem, tmp_path: Path) -> None:
    store, data = under_test.store, b"whole"
    ref = store.put_bytes(data, "text/plain")
    under_test.overwrite(ref.digest, damage(data))
    target = tmp_path / "target"
    target.write_bytes(b"before")

    with pytest.raises(IntegrityError, match=problem):
        store.read(ref)
    with pytest.raises(IntegrityError, match=problem):
        store.fetch(ref, target)
    assert target.read_bytes() == b"before"
    assert [path.name for path in target.parent.glob(".*")] == []

    assert store.put_bytes(data, "text/plain") == ref
    assert store.read(ref) == data


def test_a_large_blob_of_another_size_is_put_right(under_test: StoreUnderTest) -> None:
    data = make_data(LARGE_BYTES)
    ref = under_test.store.put_bytes(data, "text/plain")
    under_test.overwrite(ref.digest, data[:-1])

    assert not under_test.store.has(ref)
    under_test.store.put_bytes(data, "text/plain")

    assert under_test.store.read(ref) == data


def test_what_was_never_put_is_not_found(store: BlobStore, tmp_path: Path) -> None:
    ref = make_ref(b"never")

    assert not store.has(ref)
    with pytest.raises(BlobNotFound, match=ref.key):
        store.read(ref)
    with pytest.raises(BlobNotFound, match=ref.key):
        store.fetch(ref, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_reference_with_another_size_is_not_the_blob(store: BlobStore) -> None:
    wrong = store.put_bytes(b"whole", "text/plain").model_copy(update={"size_bytes": 4})

    assert not store.has(wrong)
    with pytest.raises(IntegrityError, match=r"expected 4 bytes .*, received 5"):
        store.read(wrong)


def test_fetch_replaces_its_target(store: BlobStore, tmp_path: Path) -> None:
    ref = store.put_bytes(b"new", "text/plain")
    (tmp_path / "target").write_bytes(b"old and longer")

    store.fetch(ref, tmp_path / "target")

    assert (tmp_path / "target").read_bytes() == b"new"


def test_list_names_every_blob_in_order_and_nothing_else(under_test: StoreUnderTest) -> None:
    store, before = under_test.store, datetime.now(UTC) - timedelta(seconds=2)
    refs = [store.put_bytes(str(number).encode() * number, "text/plain") for number in range(20)]

    listed = list(store.list_blobs())

    assert [(blob.digest, blob.size_bytes) for blob in listed] == sorted((ref.digest, ref.size_bytes) for ref in refs)
    assert all(before <= blob.modified_at <= datetime.now(UTC) + timedelta(seconds=2) for blob in listed)


def test_a_deleted_blob_is_gone_and_deleting_it_again_is_fine(under_test: StoreUnderTest) -> None:
    store = under_test.store
    kept, gone = store.put_bytes(b"kept", "text/plain"), store.put_bytes(b"gone", "text/plain")

    store.delete(gone.digest)
    store.delete(gone.digest)

    assert (store.has(kept), store.has(gone)) == (True, False)
    assert [blob.digest for blob in store.list_blobs()] == [kept.digest]


def test_the_age_of_one_blob_is_that_of_the_list(store: BlobStore) -> None:
    put = store.put_bytes(b"put", "text/plain")
    (listed,) = store.list_blobs()
    told = store.modified_at(put.digest)
    assert told is not None
    assert abs(told - listed.modified_at) < timedelta(seconds=1.1)  # a header of HTTP holds whole seconds
    assert store.modified_at(hashlib.sha256(b"never put").hexdigest()) is None


def test_an_empty_store_lists_nothing(store: BlobStore) -> None:
    assert list(store.list_blobs()) == []


def test_a_probe_leaves_nothing_behind(store: BlobStore) -> None:
    store.probe()

    assert list(store.list_blobs()) == []


def test_concurrent_threads_put_one_blob(under_test: StoreUnderTest) -> None:
    barrier = threading.Barrier(8)

    def put(_: int) -> ArtifactRef:
        barrier.wait()
        return under_test.store.put_bytes(b"raced for", "text/plain")

    with ThreadPoolExecutor(8) as pool:
        refs = set(pool.map(put, range(8)))

    assert len(refs) == 1
    assert under_test.names() == [refs.pop().key]


def put_in_a_process(url: str, path: Path) -> str:
    return open_store(url).put_file(path, "text/plain").digest


def test_concurrent_processes_put_one_blob(under_test: StoreUnderTest, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(make_data(LARGE_BYTES))

    with multiprocessing.get_context("spawn").Pool(3) as pool:
        digests = set(pool.starmap(put_in_a_process, [(under_test.url, source)] * 6))

    assert len(digests) == 1
    ref = make_ref(source.read_bytes())
    assert under_test.names() == [ref.key]
    assert under_test.store.read(ref) == source.read_bytes()
