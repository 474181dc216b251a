"""What compose.yaml starts, as far as it starts without Docker: its secrets, its PostgreSQL script, its SeaweedFS."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from infra.artifacts.s3 import S3Store
from infra.errors import StoreRefused
from tests.infra.deploy.files import DEPLOY, read_compose
from tests.servers import postgres, seaweed

pytestmark = pytest.mark.xdist_group("deploy")  # one server for all of them

SERVICES = read_compose()["services"]
START_TIMEOUT_S = 60


def make_secrets(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEPLOY / "secrets.sh", folder], capture_output=True, text=True, check=False)


def read_secrets(folder: Path) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_0-9]+)=(.+)$", (folder / ".env").read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("secrets.sh needs the program openssl, which is not on this machine")
    folder = tmp_path_factory.mktemp("secrets")
    made = make_secrets(folder)
    assert made.returncode == 0, made.stderr
    assert not [value for value in read_secrets(folder).values() if value in made.stdout + made.stderr]
    return folder


def test_secrets_are_long_different_and_closed(secrets_folder: Path) -> None:
    values = list(read_secrets(secrets_folder).values())
    assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"(operator:)?[0-9a-f]{48}", value) for value in values)
    modes = [stat.S_IMODE((secrets_folder / name).stat().st_mode) for name in (".env", "secrets")]
    assert modes == [0o600, 0o700]


def test_every_secret_file_of_the_stack_is_made(secrets_folder: Path) -> None:
    wanted = {each["file"] for each in read_compose()["secrets"].values()}
    assert {f"./secrets/{path.name}" for path in (secrets_folder / "secrets").iterdir()} == wanted


def test_secrets_are_never_made_over_others(secrets_folder: Path) -> None:
    before = (secrets_folder / ".env").read_bytes()
    assert make_secrets(secrets_folder).returncode == 2
    assert (secrets_folder / ".env").read_bytes() == before


def test_the_keys_of_the_workers_open_one_bucket_and_no_more(secrets_folder: Path) -> None:
    given = read_secrets(secrets_folder)
    identities = json.loads((secrets_folder / "secrets/s3.json").read_text())["identities"]
    by_key = {each["credentials"][0]["accessKey"]: each for each in identities}
    pipeline = by_key[given["S3_ACCESS_KEY"]]
    assert pipeline["credentials"][0]["secretKey"] == given["S3_SECRET_KEY"]
    assert all(action.endswith(":keepfit") for action in pipeline["actions"])
    assert by_key[given["S3_ADMIN_ACCESS_KEY"]]["actions"] == ["Admin"]


@pytest.fixture
def empty_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[postgres.PostgresServer]:
    """A server as the image makes it: with the user `postgres`, and nothing in it."""
    monkeypatch.setattr(postgres, "USER", SERVICES["postgres"]["environment"]["POSTGRES_USER"])
    with postgres.serving_postgres() as server:
        yield server


def run_roles(server: postgres.PostgresServer, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: given[name] for name in ("REGISTRY_PASSWORD", "ORCHESTRATOR_PASSWORD")},
        "PATH": f"{server.programs / 'bin'}:{os.environ['PATH']}",
        "POSTGRES_USER": postgres.USER,
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGPASSWORD": postgres.PASSWORD,
    }
    script = DEPLOY / "postgres" / "roles.sh"
    return subprocess.run([script], env=environment, capture_output=True, text=True, check=False)


def enter(server: postgres.PostgresServer, role: str, password: str, database: str) -> None:
    where = f"host=127.0.0.1 port={server.port} connect_timeout=5"
    with psycopg.connect(f"{where} user={role} password={password} dbname={database}") as connection:
        connection.execute("CREATE TABLE works (x int)")
        connection.rollback()


@pytest.mark.servers
def test_each_role_enters_its_own_database_and_no_other(
    empty_postgres: postgres.PostgresServer, secrets_folder: Path
) -> None:
    given = read_secrets(secrets_folder)
    done = run_roles(empty_postgres, given)
    assert done.returncode == 0, done.stderr
    passwords = {"keepfit": given["REGISTRY_PASSWORD"], "prefect": given["ORCHESTRATOR_PASSWORD"]}
    for role, password in passwords.items():
        enter(empty_postgres, role, password, role)
        for other in {"keepfit", "prefect", "postgres", "template1"} - {role}:
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                enter(empty_postgres, role, password, other)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        enter(empty_postgres, "keepfit", passwords["prefect"], "keepfit")

    again = run_roles(empty_postgres, given)  # fails, and that is logged
    said = done.stdout + done.stderr + again.stdout + again.stderr + empty_postgres.log.read_text()
    assert again.returncode != 0
    assert 'role "keepfit" already exists' in said
    assert not [password for password in passwords.values() if password in said]


@pytest.fixture(scope="module")
def seaweed_ports(tmp_path_factory: pytest.TempPathFactory, secrets_folder: Path) -> Iterator[dict[str, int]]:
    """The command of compose.yaml on free ports; ready when the one-shot service `bucket` is done."""
    folder = tmp_path_factory.mktemp("data")
    service = SERVICES["seaweed"]
    ports = dict(zip(("s3", "master", "volume", "filer"), seaweed._free_ports(4), strict=True))
    moved = {
        "-dir=/data": f"-dir={folder}",
        "-s3.port=8333": f"-s3.port={ports['s3']}",
        "-s3.config=/run/secrets/s3.json": f"-s3.config={secrets_folder / 'secrets/s3.json'}",
    }
    assert set(moved) <= set(service["command"])
    command = [moved.get(option, option) for option in service["command"]]
    command += [f"-{part}.port={ports[part]}" for part in ("master", "volume", "filer")]
    command += ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
    given = read_secrets(secrets_folder)
    inside, outside = "/run/secrets/", f"{secrets_folder}/secrets/"
    keys = {
        name: given[value[2:].partition(":")[0]] if "$" in value else value.replace(inside, outside)
        for name, value in service["environment"].items()
    }
    weed = Path(sys.executable).with_name("weed")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [weed, *command], env={**os.environ, **keys}, cwd=folder, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for_health(server, ports["s3"], folder / "log")
        make_bucket(ports["s3"], given)
        yield ports
    finally:
        server.kill()  # it would wait ten seconds for connections among its own parts
        server.wait()
        for port in ports.values():
            for left in Path("/tmp").glob(f"seaweedfs-*-grpc-{port + seaweed.GRPC_OFFSET}.sock"):
                left.unlink(missing_ok=True)


def wait_for_health(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Ask what the health check of compose.yaml asks."""
    assert "http://127.0.0.1:8333/healthz" in SERVICES["seaweed"]["healthcheck"]["test"]
    end = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text(errors='replace')[-2000:]}")


def make_bucket(port: int, given: dict[str, str]) -> None:
    """Run the code of the one-shot service, twice, as after a restart of the machine."""
    _, _, code = SERVICES["bucket"]["command"]
    access = {
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": given["S3_ADMIN_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": given["S3_ADMIN_SECRET_KEY"],
        "NO_PROXY": "127.0.0.1",
    }
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], env={**os.environ, **access}, check=True, timeout=120)


@pytest.fixture
def worker_environment(
    seaweed_ports: dict[str, int], secrets_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, int]:
    given = read_secrets(secrets_folder)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{seaweed_ports['s3']}")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["S3_ACCESS_KEY"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["S3_SECRET_KEY"])
    return seaweed_ports


@pytest.mark.servers
@pytest.mark.usefixtures("worker_environment")
def test_a_worker_can_do_all_it_needs_with_its_keys() -> None:
    store = S3Store("keepfit", "store", deadline_s=30)
    small = store.put_bytes(b"small", "text/plain")
    large = store.put_bytes(b"large" * 4_000_000, "application/octet-stream")
    assert store.read(small) == b"small"
    assert store.put_bytes(b"small", "text/plain") == small
    assert {blob.digest for blob in store.list_blobs()} == {small.digest, large.digest}
    assert store.clear_partial(timedelta(0)) == 0
    store.delete(small.digest)
    assert not store.has(small)
    assert store.has(large)


@pytest.mark.servers
@pytest.mark.usefixtures("worker_environment")
def test_a_worker_can_reach_no_other_bucket() -> None:
    with pytest.raises(StoreRefused, match="other"):
        S3Store("other", deadline_s=10).put_bytes(b"x", "text/plain")


def listens_beyond_itself(port: int) -> bool:
    """Ask at another address of this machine than the one that -ip.bind names."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.2", port)) == 0


@pytest.mark.servers
@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine on Linux only")
def test_other_containers_reach_s3_and_none_of_its_inner_ports(seaweed_ports: dict[str, int]) -> None:
    assert listens_beyond_itself(seaweed_ports["s3"])
    inner = [port + grpc for part, port in seaweed_ports.items() if part != "s3" for grpc in (0, seaweed.GRPC_OFFSET)]
    for port in inner:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            assert not listens_beyond_itself(port)


@pytest.mark.servers
def test_the_inner_port_that_goes_with_s3_wants_a_certificate(
    seaweed_ports: dict[str, int], secrets_folder: Path
) -> None:
    port = seaweed_ports["s3"] + seaweed.GRPC_OFFSET
    assert listens_beyond_itself(port)
    assert not is_let_in(port, None)
    assert is_let_in(port, secrets_folder / "secrets")


def is_let_in(port: int, folder: Path | None) -> bool:
    """Return whether HTTP/2 is spoken after the handshake, with the certificate of that folder or with none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # what the server asks for is what is tested
    context.set_alpn_protocols(["h2"])
    if folder is not None:
        context.load_cert_chain(folder / "seaweed.crt", folder / "seaweed.key")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain) as closed:
                closed.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                return closed.recv(9)[3:4] == b"\x04"  # its own settings frame
        except (ssl.SSLError, ConnectionError):  # "certificate required", or it hangs up
            return False


@pytest.mark.servers
def test_nobody_enters_s3_without_keys(seaweed_ports: dict[str, int]) -> None:
    for method, path in (("GET", "/"), ("GET", "/keepfit"), ("PUT", "/keepfit/x"), ("DELETE", "/keepfit/ready")):
        connection = http.client.HTTPConnection("127.0.0.1", seaweed_ports["s3"], timeout=5)
        connection.request(method, path)
        assert connection.getresponse().status == 403, path
        connection.close()
