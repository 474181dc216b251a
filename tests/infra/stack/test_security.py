"""What listens where, and what somebody without credentials gets from it: the table in docs/security.md."""

import base64
import contextlib
import json
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from infra.stack.leftovers import find_processes
from infra.stack.ports import GRPC_OFFSET
from infra.stack.program import WORKERS
from infra.stack.programs import list_programs
from infra.stack.state import LOOPBACK
from infra.stack.supervision import CONFIGURATION
from tests.infra.stack.looking import find_listeners, ports_of
from tests.servers.stack import ROOT

pytestmark = [pytest.mark.servers, pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("stack")]

INNER = ("master", "volume", "filer", "admin")
"""SeaweedFS's parts that only its own parts may ask."""

GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""How a client of HTTP/2 begins; a server answers with its settings."""

QUESTIONS = ("/", "/dir/status", "/dir/assign", "/dir/lookup?fileId=1,01", "/status", "/cluster/status", "/metrics",
             "/stats/disk", "/ui/index.html", "/buckets/keepfit/?limit=100", "/vol/status", "/healthz")  # fmt: skip

OPEN_AT_PREFECT = {
    "/api/health": "true",
    "/api/ready": '{"message":"OK"}',
    "/openapi.json": None,  # how Prefect's interface looks, the same everywhere
    "/docs": None,
    "/redoc": None,
    "/ui-settings": None,
    "/": None,
}


def test_every_listening_socket_is_known_and_on_loopback(stack):
    """A port that a new version opens fails this test until somebody has looked at it."""
    listeners = find_listeners(stack.state)
    tcp = [each for each in listeners if not each.path]
    assert {each.host for each in tcp} == {LOOPBACK}
    workers = [program.name for program in list_programs(stack.state) if program.stage == WORKERS]
    # The channel over which a worker tells its own flow runs to stop, on whatever port is free, and one more for each
    # run while it runs: the sweep comes by itself.
    assert {each.program for each in tcp if each.program in workers} == set(workers)
    assert {each.port for each in tcp if each.program not in workers} == set(ports_of(stack.state))


def test_the_security_page_has_a_row_for_every_port(stack):
    page = (ROOT / "docs/security.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines() if line.startswith("|")]
    told = {f"{row[1]} {port}" for row in rows for port in row[2].split(", ")}
    assert set(ports_of(stack.state).values()) <= told


def test_every_unix_socket_is_its_owners_alone(stack):
    folders = {stack.state.runtime, stack.state.folder, stack.state.folder / "seaweed", Path("/tmp")}
    paths = {Path(each.path) for each in find_listeners(stack.state) if each.path}
    named = {path if path.is_absolute() else stack.state.folder / "seaweed" / path for path in paths}
    assert {path.parent for path in named} <= folders
    in_open_folders = [path for path in named if path.parent == Path("/tmp")]
    assert in_open_folders, "SeaweedFS makes some there"
    for path in in_open_folders:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("part", INNER)
def test_the_store_s_inner_http_ports_tell_nothing(stack, part):
    port = getattr(stack.state.ports, part)
    for question in QUESTIONS:
        told = httpx.get(f"http://{LOOPBACK}:{port}{question}", trust_env=False)
        assert (told.status_code, told.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")
    with pytest.raises(
        (httpx.RemoteProtocolError, httpx.ReadError), match=r"(?i)certificate required|disconnect|reset"
    ):
        httpx.get(f"https://{LOOPBACK}:{port}/", verify=False, trust_env=False)


@pytest.mark.parametrize("part", ["s3", *INNER])
def test_the_store_s_grpc_ports_want_a_certificate(stack, part):
    port = getattr(stack.state.ports, part) + GRPC_OFFSET
    assert send(port, GREETING) == b""
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate required"):
        greet_securely(port)


def greet_securely(port: int) -> bytes:
    """Return what a gRPC server says first to a client that has no certificate."""
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((LOOPBACK, port), 5) as plain, context.wrap_socket(plain) as secured:
        secured.sendall(GREETING)
        return secured.recv(100)


def test_the_store_s_parts_do_answer_whoever_has_the_certificate(stack):
    """So that the tests above do not pass because nothing works at all."""
    files = stack.state.folder / "seaweed" / "tls"
    context = ssl.create_default_context(cafile=files / "authority.pem")
    context.load_cert_chain(files / "certificate.pem", files / "key.pem")
    told = httpx.get(f"https://{LOOPBACK}:{stack.state.ports.master}/dir/status", verify=context, trust_env=False)
    assert "Topology" in told.json()


@pytest.mark.parametrize("path", ["", "keepfit", "keepfit/store/probe/conditional-put", "?list-type=2"])
def test_s3_wants_a_signature(stack, path):
    where = f"{stack.state.environment()['AWS_ENDPOINT_URL_S3']}/{path}"
    for method in ("GET", "PUT", "DELETE", "POST"):
        told = httpx.request(method, where, content=b"x" if method in {"PUT", "POST"} else None, trust_env=False)
        assert told.status_code in {400, 403, 405}, (method, told.text)
        assert "keepfit" not in re.sub(r"<(Resource|BucketName)>.*?</\1>", "", told.text), (
            "only what was asked for comes back"
        )
    assert httpx.get(f"{stack.state.environment()['AWS_ENDPOINT_URL_S3']}/status", trust_env=False).content == b""


def test_prefect_answers_nobody_without_the_line_to_sign_in(stack):
    paths = list(httpx.get(f"{stack.state.ui}/openapi.json", trust_env=False).json()["paths"])
    assert len(paths) > 100
    for route in paths:
        path = re.sub(r"\{.*?\}", "00000000-0000-0000-0000-000000000000", route)
        if path in OPEN_AT_PREFECT or not path.startswith("/api"):
            continue
        for header in ({}, {"Authorization": "Basic " + base64.b64encode(b"operator:wrong").decode()}):
            told = httpx.get(f"{stack.state.ui}{path}", headers=header, trust_env=False, follow_redirects=True)
            assert (told.status_code, told.text) == (401, '{"exception_message":"Unauthorized"}'), path
    for path, text in OPEN_AT_PREFECT.items():
        told = httpx.get(f"{stack.state.ui}{path}", trust_env=False)
        assert told.status_code == 200
        assert text is None or told.text == text


def test_prefect_takes_no_change_without_a_token_against_forgery(stack):
    told = httpx.post(
        f"{stack.state.ui}/api/work_pools/filter", json={}, auth=tuple(stack.state.sign_in.split(":")), trust_env=False
    )
    assert told.status_code == 403
    assert "CSRF" in told.text


@pytest.mark.parametrize("path", ["events/in", "events/out", "logs/out", "task_runs/subscriptions/scheduled"])
def test_prefect_s_web_sockets_want_the_line_as_well(stack, path):
    where = f"ws://{LOOPBACK}:{stack.state.ports.prefect}/api/{path}"
    with pytest.raises(WebSocketException, match=r"403|1002|1008"):
        listen(where, [], {"type": "filter", "filter": {}})
    with pytest.raises(WebSocketException, match=r"1002|1008"):
        listen(where, ["prefect"], {"type": "auth", "token": "operator:wrong"})


def listen(where: str, protocols: list[str], first: object) -> object:
    with connect(where, subprotocols=protocols or None, proxy=None) as channel:
        channel.send(json.dumps(first))
        return channel.recv(timeout=5)


@pytest.mark.parametrize(
    ("user", "password", "database", "refusal"),
    [
        ("keepfit", "", "keepfit", "no password supplied"),
        ("keepfit", "wrong", "keepfit", "password authentication failed"),
        ("postgres", "", "postgres", "no password supplied"),
        ("keepfit", "right", "prefect", "permission denied for database"),
        ("prefect", "right", "keepfit", "permission denied for database"),
        ("keepfit", "right", "postgres", "permission denied for database"),
    ],
)
def test_postgresql_lets_each_role_into_its_own_database_alone(stack, user, password, database, refusal):
    if password == "right":
        password = getattr(stack.state.credentials, f"{user}_database")
    with pytest.raises(psycopg.OperationalError, match=refusal):
        psycopg.connect(
            host=LOOPBACK, port=stack.state.ports.postgres, user=user, password=password, dbname=database
        ).close()


def test_a_worker_s_channel_tells_nothing_to_whoever_has_no_token(stack):
    workers = [program.name for program in list_programs(stack.state) if program.stage == WORKERS]
    for each in find_listeners(stack.state):
        if each.program in workers:
            assert send(each.port, b"0123456789abcdef0123456789abcdef\n") == b""


def send(port: int, text: bytes) -> bytes:
    with (
        contextlib.suppress(ConnectionError),  # refused as well: the channel of a run is closed when that ends
        socket.create_connection((LOOPBACK, port), 10) as connection,
    ):
        connection.sendall(text)
        return connection.recv(1000)
    return b""


def test_no_command_line_shows_a_secret(stack):
    secrets = stack.state.credentials.model_dump().values()
    lines = [" ".join(words_of(process)) for process in psutil.process_iter()]
    assert any("prefect server start" in line for line in lines)
    assert [line for line in lines if any(secret in line for secret in secrets)] == []


def words_of(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def test_no_log_and_no_configuration_shows_a_secret(stack):
    secrets = [secret.encode() for secret in stack.state.credentials.model_dump().values()]
    files = [stack.state.folder / CONFIGURATION, *stack.state.logs.iterdir()]
    assert len(files) > 6
    assert [file.name for file in files if any(secret in file.read_bytes() for secret in secrets)] == []


def test_what_the_commands_print_shows_no_secret(stack):
    secrets = stack.state.credentials.model_dump().values()
    shown = [stack.keepfit(*words) for words in (["up", "--detach"], ["status"], ["status", "--json"], ["doctor"])]
    text = "".join(each.stdout + each.stderr for each in shown)
    assert str(stack.state.ports.prefect) in text
    assert not any(secret in text for secret in secrets)


def test_everything_in_the_stack_s_folder_is_its_owner_s_alone(stack):
    for path in (stack.state.folder, stack.state.postgres_home / "postgres"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    made = [path for path in stack.state.folder.rglob("*") if not path.is_symlink()]
    data = stack.state.folder / "seaweed" / "data"  # SeaweedFS sets some modes there itself, behind a closed folder
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    open_to_others = {
        path.name for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077 and data not in path.parents
    }
    assert {path.name for path in made} >= {"stack.json", "env", "sign-in", "s3.json", "key.pem", "postgres.log"}
    assert open_to_others == set()


def test_the_environment_of_the_stores_holds_nothing_that_others_need(stack):
    """A hole in PostgreSQL or SeaweedFS shows no credential of the rest, nor any of the user's own."""
    for process, name in find_processes(stack.state).items():
        if name in {"postgres", "seaweed"}:
            with contextlib.suppress(psutil.AccessDenied):
                assert not any(
                    key.startswith(("PREFECT_", "AWS_", "KEEPFIT_")) and key != "KEEPFIT_STACK"
                    for key in process.environ()
                )


def test_another_user_s_stack_is_refused(stack, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of somebody else")
    folder = tmp_path / "stack"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    told = subprocess.run(
        [sys.executable, "-P", "-m", "flows.cli.main", "up", "--detach"],
        env={**os.environ, "KEEPFIT_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "belongs to another user" in told.stderr
