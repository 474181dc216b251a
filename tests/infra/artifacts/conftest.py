"""The stores under test: a folder, and a bucket of the real S3 server."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.artifacts.reference import blob_key
from infra.artifacts.store import BlobStore, open_store
from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.seaweed import S3Server


@dataclass
class StoreUnderTest:
    """A store, and a way to its bytes that goes past it."""

    store: BlobStore
    url: str
    overwrite: Callable[[str, bytes], None]
    names: Callable[[], list[str]]


def folder_under_test(folder: Path) -> StoreUnderTest:
    root = folder / "store"
    url = root.as_uri()

    def overwrite(digest: str, data: bytes) -> None:
        (root / blob_key(digest)).write_bytes(data)

    def names() -> list[str]:
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    return StoreUnderTest(open_store(url), url, overwrite, names)


def bucket_under_test(server: S3Server, url: str) -> StoreUnderTest:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    client = server.client()

    def overwrite(digest: str, data: bytes) -> None:
        client.put_object(Bucket=bucket, Key=f"{prefix}/{blob_key(digest)}", Body=data, Metadata={"sha256": digest})

    def names() -> list[str]:
        found = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/sha256/").get("Contents", [])
        return sorted(one["Key"].removeprefix(f"{prefix}/") for one in found)

    return StoreUnderTest(open_store(url), url, overwrite, names)


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.servers)])
def under_test(request: pytest.FixtureRequest, tmp_path: Path) -> StoreUnderTest:
    """Each test that asks for it runs over both stores."""
    if request.param == "file":
        return folder_under_test(tmp_path)
    return bucket_under_test(request.getfixturevalue("s3_server"), request.getfixturevalue("s3_store_url"))


@pytest.fixture
def store(under_test: StoreUnderTest) -> BlobStore:
    return under_test.store


@pytest.fixture
def proxy(s3_server: S3Server, s3_store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy before the S3 server; the environment leads this test's stores through it."""
    between = FaultyProxy(s3_server.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", between.endpoint)
    yield between
    between.close()
