"""What is refused at once, and that no refusal tells a secret: FAULTS 6, 22, 23."""

import threading
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.artifacts.local import LocalStore
from infra.artifacts.store import open_store
from infra.errors import KeepfitError, SettingsError, StoreRefused
from tests.servers.seaweed import S3Server

CANARY = "canary0secret0never0shown"


class CarelessServer(BaseHTTPRequestHandler):
    """An S3 server that says 200 to every put, whatever its condition."""

    protocol_version = "HTTP/1.1"
    conditions: list[str | None]

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.conditions.append(self.headers["If-None-Match"])
        self.send_response(200)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def careless_endpoint() -> Iterator[str]:
    CarelessServer.conditions = []
    with ThreadingHTTPServer(("127.0.0.1", 0), CarelessServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_that_ignores_conditions_is_refused_when_the_store_is_opened(
    careless_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": careless_endpoint,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": CANARY,
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(StoreRefused, match="ignores conditions") as caught:
        open_store("s3://bucket/prefix")

    assert CarelessServer.conditions == ["*", "*"]
    assert "Use a server that honours them" in caught.value.remedy


@pytest.mark.servers
class TestCredentials:
    @pytest.fixture(autouse=True)
    def _nothing_written(self, s3_server: S3Server, s3_store_url: str) -> Iterator[None]:
        client = s3_server.client()
        yield
        assert "Contents" not in client.list_objects_v2(Bucket=s3_store_url.split("/")[2])

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"AWS_SECRET_ACCESS_KEY": CANARY}, "SignatureDoesNotMatch"),
            ({"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": CANARY}, "InvalidAccessKeyId"),
            ({"AWS_SECRET_ACCESS_KEY": ""}, "PartialCredentialsError"),
            ({"AWS_PROFILE": "missing"}, "ProfileNotFound"),
            ({"AWS_ENDPOINT_URL_S3": "no url"}, "the endpoint is no URL"),
            ({"AWS_ENDPOINT_URL_S3": f"http://user:{CANARY}@127.0.0.1:1"}, "the endpoint's URL holds credentials"),
        ],
        ids=["wrong_secret", "unknown_key", "half_a_key", "no_such_profile", "no_url", "key_in_the_url"],
    )
    def test_wrong_ones_are_refused_at_once_and_never_shown(self, s3_store_url, monkeypatch, change, problem) -> None:
        for name, value in change.items():
            monkeypatch.setenv(name, value)
        started = time.monotonic()

        with pytest.raises(StoreRefused, match=problem) as caught:
            open_store(s3_store_url)

        assert time.monotonic() - started < 5
        assert s3_store_url.split("/")[2] in str(caught.value)
        assert caught.value.remedy
        assert CANARY not in "".join(traceback.format_exception(caught.value))

    def test_ones_that_may_only_read_are_refused_at_once(self, s3_server, s3_store_url, monkeypatch) -> None:
        for name, value in s3_server.reader_env.items():
            monkeypatch.setenv(name, value)

        with pytest.raises(StoreRefused, match=r"keepfit/probe.* cannot write: AccessDenied") as caught:
            open_store(s3_store_url)

        assert "need to read, write, list and delete" in caught.value.remedy

    def test_a_bucket_that_is_not_there_is_refused_at_once(self, s3_store_url: str) -> None:
        with pytest.raises(StoreRefused, match=r"s3://no-such-bucket/.*NoSuchBucket") as caught:
            open_store("s3://no-such-bucket/prefix")

        assert "Create the bucket" in caught.value.remedy

    def test_ones_that_lose_the_right_to_write_are_refused_at_the_next_put(
        self, s3_server, s3_store_url, monkeypatch
    ) -> None:
        from infra.artifacts.s3 import S3Store

        for name, value in s3_server.reader_env.items():
            monkeypatch.setenv(name, value)
        bucket, _, prefix = s3_store_url.removeprefix("s3://").partition("/")

        with pytest.raises(StoreRefused, match="cannot write: AccessDenied"):
            S3Store(bucket, prefix).put_bytes(b"x", "text/plain")
        with pytest.raises(StoreRefused, match="cannot begin the upload: AccessDenied"):
            S3Store(bucket, prefix).put_bytes(b"x" * 20_000_000, "text/plain")


@pytest.mark.servers
def test_no_method_of_a_store_shows_the_secret(s3_server, s3_store_url, caplog, tmp_path: Path) -> None:
    store = open_store(s3_store_url)
    ref = store.put_bytes(b"x", "text/plain")
    s3_server.client().put_object(Bucket=s3_store_url.split("/")[2], Key=f"keepfit/{ref.key}", Body=b"y")

    with pytest.raises(KeepfitError, match="expected SHA-256") as caught:
        store.read(ref)

    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + store.url + repr(store) + str(vars(store))
    assert s3_server.secret_key not in shown


@pytest.mark.parametrize(
    "url",
    ["", "/folder", "gs://bucket", "file://host/folder", "file:", "s3://", "s3:bucket", "s3://bucket?versionId=1", "x"],
)
def test_what_is_no_store_is_refused_with_what_was_expected(url: str) -> None:
    with pytest.raises(SettingsError, match=r"expected file:///folder or s3://bucket/prefix, received"):
        open_store(url)


def test_credentials_in_the_url_are_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="holds credentials") as caught:
        open_store(f"s3://key:{CANARY}@bucket/prefix")

    assert CANARY not in str(caught.value)


def test_a_folder_with_spaces_and_umlauts_is_a_store(tmp_path: Path) -> None:
    folder = tmp_path / "größe 100%"

    store = open_store(folder.as_uri())

    assert store.read(store.put_bytes(b"x", "text/plain")) == b"x"
    assert isinstance(store, LocalStore)
    assert (folder / "sha256").is_dir()
    assert store.url == folder.as_uri()
