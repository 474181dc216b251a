"""A real S3 server for the tests: SeaweedFS from its package, on ports of its own, stopped with the session."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["S3Server", "s3_server", "s3_store_url", "start_s3_server"]

PORT_NAMES = ("s3.port", "master.port", "filer.port", "volume.port", "admin.port")
GRPC_OFFSET = 10_000
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 4.0
"""Its own parts keep idle connections to one another open for 30 s, and it waits for them."""


@dataclass
class S3Server:
    """A running server: where it is and who may enter."""

    endpoint: str
    access_key: str
    secret_key: str
    reader_access_key: str
    reader_secret_key: str
    process: "subprocess.Popen[bytes]" = field(repr=False)
    log: Path
    ports: dict[str, int]

    @property
    def env(self) -> dict[str, str]:
        """The environment of a process that may read and write."""
        return self._env_of(self.access_key, self.secret_key)

    @property
    def reader_env(self) -> dict[str, str]:
        """The environment of a process that may only read."""
        return self._env_of(self.reader_access_key, self.reader_secret_key)

    def _env_of(self, access_key: str, secret_key: str) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_REGION": "us-east-1",
        }

    def client(self) -> "S3Client":
        """Return a plain boto3 client that may read and write."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def make_bucket(self) -> str:
        """Return the name of a new, empty bucket."""
        name = f"test-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=name)
        return name

    def stop(self) -> None:
        """Stop the server; kill it where it does not stop by itself."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for port in self.ports.values():
            # It makes these by itself, with no option for the place, and a killed one leaves them.
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + GRPC_OFFSET}.sock"):
                socket_file.unlink(missing_ok=True)


def start_s3_server(folder: Path) -> S3Server:
    """Start a server that keeps its data, configuration and log in `folder`; return it when a put has succeeded."""
    data = folder / "data"
    data.mkdir(parents=True)
    keys = {name: secrets.token_hex(16) for name in ("access", "secret", "reader_access", "reader_secret")}
    config = folder / "s3.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(_identities(keys)))
    ports = dict(zip(PORT_NAMES, _free_ports(len(PORT_NAMES)), strict=True))
    log = folder / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(data, config, ports), stdout=output, stderr=subprocess.STDOUT, env=_environment(), cwd=folder
        )
    server = S3Server(
        endpoint=f"http://127.0.0.1:{ports['s3.port']}",
        access_key=keys["access"],
        secret_key=keys["secret"],
        reader_access_key=keys["reader_access"],
        reader_secret_key=keys["reader_secret"],
        process=process,
        log=log,
        ports=ports,
    )
    try:
        _wait_for_a_put(server)
    except BaseException:
        server.stop()
        raise
    return server


def _identities(keys: dict[str, str]) -> dict[str, object]:
    def identity(name: str, who: str, actions: list[str]) -> dict[str, object]:
        credentials = [{"accessKey": keys[f"{who}access"], "secretKey": keys[f"{who}secret"]}]
        return {"name": name, "credentials": credentials, "actions": actions}

    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [identity("pipeline", "", everything), identity("reader", "reader_", ["Read", "List"])]}


def _command(data: Path, config: Path, ports: dict[str, int]) -> list[str]:
    # A Unix socket's path may have 107 characters; the folder of a test is often longer, so it is named from inside.
    sockets = ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
    grpc = [f"-{name}.grpc={port + GRPC_OFFSET}" for name, port in ports.items()]
    off = [
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
    ]
    where = [f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"]
    weed = str(Path(sys.executable).parent / "weed")
    return [weed, "-logtostderr=true", "mini", *where, *(f"-{name}={port}" for name, port in ports.items()), *grpc, *off, *sockets]  # fmt: skip


def _environment() -> dict[str, str]:
    # Without these keys the server's inner ports let anyone read and write past S3.
    signing = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
    jwt = {f"WEED_JWT_{name}_KEY": secrets.token_hex(16) for name in signing}
    return {**os.environ, **jwt, "GOMEMLIMIT": "400MiB"}


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now, and whose partners 10,000 higher are free as well."""
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = 20_000 + secrets.randbelow(10_000)
            pair = [held.enter_context(socket.socket()) for _ in range(2)]
            try:
                for one, number in zip(pair, (port, port + GRPC_OFFSET), strict=True):
                    one.bind(("127.0.0.1", number))
            except OSError:
                continue
            found.append(port)
    return found


def _wait_for_a_put(server: S3Server) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client = server.client()
    end = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError) as error:
            if server.process.poll() is not None or time.monotonic() > end:
                tail = server.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the S3 server did not start: {error}\n{tail}") from error
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The S3 server of this session, with an identity that may all and one that may only read."""
    server = start_s3_server(tmp_path_factory.mktemp("seaweed"))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3_store_url(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store in a bucket of its own; the environment lets this test in."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.make_bucket()}/keepfit"
