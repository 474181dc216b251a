"""What the registry survives: killed and paused writers, locks, outages, lost replies. Each fault is shown to have fired."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.errors import RegistryError, RegistryUnavailable, SettingsError
from infra.registry.engine import ATTEMPTS
from infra.registry.registry import Registry, open_registry
from tests.infra.registry.builders import begin, commit, digest, promote, register
from tests.infra.registry.reply_eater import ReplyEater
from tests.servers.postgres import PASSWORD, PostgresServer

ROOT = Path(__file__).parents[3]

PROMOTE = """
import sys
from infra.registry.registry import open_registry
from tests.infra.registry.builders import begin, promote, register
with open_registry(sys.argv[1]) as registry:
    grant = begin(registry)
    register(registry, grant, key="candidate")
    print(grant.run_id, flush=True)
    promote(registry, 2, 1, fencing=grant)
"""

PAUSED = """
import json, os, signal, sys
from infra.errors import LeaseLost
from infra.registry.registry import open_registry
from tests.infra.registry.builders import begin, commit, digest, promote, register
with open_registry(sys.argv[1]) as registry:
    grant = begin(registry, lease_s=0.3)
    register(registry, grant)
    print("paused", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    refused = []
    for name, write in {
        "renew": lambda: registry.renew_lease(grant),
        "step": lambda: commit(registry, grant),
        "version": lambda: register(registry, grant, key="late"),
        "test use": lambda: registry.record_test_use(grant, "iris", digest("rows"), digest("late")),
        "release": lambda: promote(registry, 1, 0, fencing=grant),
        "finish": lambda: registry.finish_run(grant, state="completed", outcome={}),
    }.items():
        try:
            write()
        except LeaseLost:
            refused.append(name)
    print(json.dumps(refused), flush=True)
"""


def start_script(script: str, url: str, **environment: str) -> subprocess.Popen[str]:
    # -W default: what the test run makes an error is no error in the script.
    command = [sys.executable, "-c", script, url]
    variables = {"PATH": "", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_process_killed_in_the_transaction_of_a_release_changes_nothing(
    registry: Registry, registry_url: str
) -> None:
    grant = begin(registry)
    register(registry, grant)
    promote(registry, 1, 0)
    registry.finish_run(grant, state="completed", outcome={})
    before = registry.champion("iris"), registry.history("iris")

    killed = start_script(PROMOTE, registry_url, KEEPFIT_FAULT_POINT="release.in_transaction")
    output, errors = killed.communicate(timeout=60)

    assert killed.returncode == -signal.SIGKILL, errors
    dead_run = output.strip()
    assert registry.version("iris", 2).run_id == dead_run, "the process came as far as the release"
    assert (registry.champion("iris"), registry.history("iris")) == before
    assert [row.subject for row in registry.audit("iris") if row.action.startswith("release")] == ["iris@1"]
    grant = begin(registry)
    assert grant.crashed_run_ids == (dead_run,)
    assert promote(registry, 2, 1, fencing=grant).seq == 2


def test_a_paused_process_that_wakes_after_its_lease_is_refused_on_every_write(
    registry: Registry, registry_url: str
) -> None:
    process = start_script(PAUSED, registry_url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "paused\n"
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        time.sleep(0.35)
        grant = begin(registry)
        assert len(grant.crashed_run_ids) == 1
        before = registry.audit("iris")
        process.send_signal(signal.SIGCONT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert json.loads(output) == ["renew", "step", "version", "test use", "release", "finish"], errors
    assert registry.audit("iris") == before
    commit(registry, grant)


def wait_until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    give_up = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < give_up, "it did not come to pass in time"
        time.sleep(0.02)


@pytest.fixture
def hurried(registry: Registry, registry_url: str) -> Iterator[Registry]:
    """The same database, with little patience; a run holds iris."""
    with open_registry(registry_url, patience_s=0.5) as opened:
        yield opened


@pytest.fixture
def locked_out(registry: Registry, registry_url: str) -> Iterator[Callable[[], None]]:
    """Somebody else's open transaction on what a write of iris needs; call it to let go."""
    begin(registry)
    if registry_url.startswith("sqlite"):
        lite = sqlite3.connect(registry_url.removeprefix("sqlite:///"), isolation_level=None)
        lite.execute("BEGIN IMMEDIATE")
        yield lite.rollback
        lite.close()
        return
    server = psycopg.connect(registry_url.replace("+psycopg", ""))
    server.execute("SELECT * FROM lease WHERE project = 'iris' FOR UPDATE")
    yield server.rollback
    server.close()


def test_a_lock_is_waited_for_within_a_bound_and_readers_do_not_wait(
    registry: Registry, hurried: Registry, locked_out: Callable[[], None]
) -> None:
    run = hurried.runs("iris")[0]
    grant = (run.run_id, run.project, run.fence)
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match=r"lock") as caught:
        commit(hurried, grant)  # type: ignore[arg-type]
    waited = time.monotonic() - began
    assert caught.value.retryable
    assert 0.4 < waited < 4
    assert hurried.find_step(digest("ingest")) is None
    locked_out()
    assert commit(hurried, grant) == {"rows": 150}  # type: ignore[arg-type]


@pytest.mark.servers
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_database_that_stops_is_reported_quickly_and_used_again_once_it_is_back(
    postgres_server: PostgresServer, postgres_url: str, how: signal.Signals
) -> None:
    with open_registry(postgres_url) as registry:
        grant = begin(registry)
        pid = postgres_server.pid
        postgres_server.stop(how)
        try:
            assert not psutil.pid_exists(pid)
            for call in (registry.ping, lambda: commit(registry, grant), lambda: registry.champion("iris")):
                began = time.monotonic()
                with pytest.raises(RegistryUnavailable, match="Check that the database runs"):
                    call()
                assert time.monotonic() - began < 5
        finally:
            postgres_server.start()
        registry.ping()
        assert registry.find_step(digest("ingest")) is None
        assert commit(registry, grant) == {"rows": 150}


@pytest.mark.servers
def test_a_write_whose_commit_was_not_acknowledged_is_made_once(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    with ReplyEater(postgres_server.port) as proxy:
        through = postgres_url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
        with open_registry(through) as registry, open_registry(postgres_url) as direct:

            def losing_the_reply(write: Callable[[], object]) -> object:
                fired = proxy.fired
                proxy.arm()
                answer = write()
                assert proxy.fired == fired + 1, "no reply to a COMMIT was lost"
                return answer

            dead = begin(registry, lease_s=0.05)
            time.sleep(0.1)
            grant = losing_the_reply(lambda: begin(registry, trigger_key="2013-07"))
            assert [row.state for row in direct.runs("iris")] == ["running", "crashed"]
            assert grant.crashed_run_ids == (dead.run_id,)  # type: ignore[attr-defined]
            assert losing_the_reply(lambda: commit(registry, grant)) == {"rows": 150}  # type: ignore[arg-type]
            losing_the_reply(lambda: register(registry, grant))  # type: ignore[arg-type]
            register(registry, grant, key="two")  # type: ignore[arg-type]
            losing_the_reply(lambda: promote(registry, 1, 0, fencing=grant))
            losing_the_reply(lambda: promote(registry, 2, 1))
            losing_the_reply(lambda: registry.finish_run(grant, state="completed", outcome={}))  # type: ignore[arg-type]

            assert [row.number for row in direct.versions("iris")] == [1, 2]
            assert [(row.seq, row.version) for row in direct.history("iris")] == [(1, 1), (2, 2)]
            actions = [row.action for row in direct.audit("iris")]
            assert actions.count("release.promote") == 2
            assert actions.count("run.completed") == actions.count("step.commit") == actions.count("run.crash") == 1


def tell_everything(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("old", "new", "kind", "message"),
    [
        (PASSWORD, "wrong-canary", RegistryError, "password authentication failed"),
        ("keepfit:", "nobody:", RegistryError, "authentication failed"),
        ("/test_", "/missing_", RegistryError, "does not exist"),
        ("postgresql+psycopg", "mysql", SettingsError, "'mysql' is no database"),
        ("127.0.0.1:", "127.0.0.1:x", SettingsError, "cannot be read"),
        (PASSWORD, f"half@{PASSWORD}", SettingsError, "more than one @"),
        (PASSWORD, f"half@of/{PASSWORD}", SettingsError, "more than one @"),
    ],
    ids=["wrong password", "wrong user", "wrong database", "wrong kind", "wrong port", "bare @", "bare @ and /"],
)
def test_no_error_shows_the_password(
    postgres_url: str, old: str, new: str, kind: type[Exception], message: str
) -> None:
    url = postgres_url.replace(old, new, 1)
    assert url != postgres_url
    with pytest.raises(kind, match=message) as caught:
        open_registry(url, patience_s=1)
    told = tell_everything(caught.value)
    assert PASSWORD not in told
    assert "wrong-canary" not in told
    assert not caught.value.retryable  # type: ignore[attr-defined]  # a refusal is not retried, an outage is


@pytest.mark.parametrize("place", ["me:{}@127.0.0.1:1/db", "127.0.0.1:1/db?user=me&password={}"])
def test_an_outage_shows_neither_the_password_nor_the_query(place: str) -> None:
    with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:1/db") as caught:
        open_registry(f"postgresql://{place.format(PASSWORD)}", patience_s=1)
    assert PASSWORD not in tell_everything(caught.value)


@pytest.mark.servers
def test_neither_password_nor_payload_is_shown_by_a_registry_and_its_errors(postgres_url: str) -> None:
    with open_registry(postgres_url) as registry, open_registry(postgres_url) as other:
        grant = begin(registry)
        other._database.write(lambda tx: tx.connection.exec_driver_sql("DROP TABLE step"))
        with pytest.raises(RegistryError, match="step") as caught:
            commit(registry, grant, result={"secret": "-".join(["canary", "payload"])})
        told = tell_everything(caught.value) + repr(registry)
    assert PASSWORD not in told
    assert "canary-payload" not in told


def test_a_disk_that_is_full_is_reported_and_nothing_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with open_registry(f"sqlite:///{path}") as registry:
        grant = begin(registry)
        pages = registry._database.read(lambda tx: tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        limit = f"PRAGMA max_page_count = {pages + 5}"
        registry._database.read(lambda tx: tx.connection.exec_driver_sql(limit).scalar_one())
        with pytest.raises(RegistryError, match="database or disk is full"):
            commit(registry, grant, result={"bulk": "x" * 1_000_000})
        assert registry.steps(grant.run_id) == []
    with open_registry(f"sqlite:///{path}") as registry:
        assert commit(registry, grant, result={"bulk": "x" * 1_000_000})["bulk"][:3] == "xxx"


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    path.write_text("not a database, " * 100)
    with pytest.raises(RegistryError, match="not a database"):
        open_registry(f"sqlite:///{path}")
    assert path.read_text() == "not a database, " * 100


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "registry.db").mkdir()
    with pytest.raises(RegistryError, match="unable to open database file") as caught:
        open_registry(f"sqlite:///{tmp_path / 'registry.db'}")
    assert not caught.value.retryable


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "registry.db", "postgres://x", ""], ids=repr)
def test_a_url_that_names_no_database_is_refused_with_the_shape_of_one(url: str) -> None:
    with pytest.raises(SettingsError, match=r"sqlite:////folder/registry\.db"):
        open_registry(url)


def test_a_database_that_refuses_connections_is_asked_a_few_times_and_given_up_soon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:1/db"):
        open_registry("postgresql://me@127.0.0.1:1/db", patience_s=60)
    assert [record.args[0] for record in caplog.records] == list(range(2, ATTEMPTS + 1))  # type: ignore[index]
