"""Whatever dies comes back, and nothing is lost."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator

import psycopg
import pytest

from infra.artifacts.store import open_store
from infra.stack.leftovers import find_processes
from infra.stack.supervision import Supervisor, answers
from tests.infra.stack.looking import assert_nothing_is_left, wait_for
from tests.servers.stack import Stack

pytestmark = [pytest.mark.servers, pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("stack")]


@pytest.fixture(scope="module")
def kept(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], bool]]:
    """A row and a blob, and the question whether both are there still."""
    file = tmp_path_factory.mktemp("kept") / "blob"
    file.write_bytes(b"blob")
    with psycopg.connect(stack.state.database_url("keepfit"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (what text)")
        connection.execute("INSERT INTO kept VALUES ('row')")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.state.environment().items():
            patch.setenv(name, value)
        store = open_store(stack.state.environment()["KEEPFIT_STORE_URL"], 30)
        reference = store.put_file(file, "text/plain")

        def is_there() -> bool:
            with psycopg.connect(stack.state.database_url("keepfit")) as connection:
                rows = connection.execute("SELECT what FROM kept").fetchall()
            return rows == [("row",)] and store.read(reference) == b"blob"

        yield is_there
    with psycopg.connect(stack.state.database_url("keepfit"), autocommit=True) as connection:
        connection.execute("DROP TABLE kept")


def test_a_killed_program_is_started_again(stack, kept):
    """All of them in turn, without waiting for the one before: workers lose their server, the server its database."""
    before = Supervisor(stack.state).statuses()
    for name, status in before.items():
        os.kill(status.pid, signal.SIGKILL)
        wait_for(lambda name=name, old=status.pid: Supervisor(stack.state).statuses()[name].pid not in {0, old})
    up = stack.keepfit("up", "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    wait_for(lambda: all(status.up for status in Supervisor(stack.state).statuses().values()))
    assert kept()


def test_up_starts_only_what_is_missing(stack):
    before = Supervisor(stack.state).statuses()
    Supervisor(stack.state).stop("cpu-worker-1")
    assert stack.keepfit("status").returncode == 1
    up = stack.keepfit("up", "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    assert re.findall(r"(\S+) is ready", up.stdout) == ["cpu-worker-1"]
    after = Supervisor(stack.state).statuses()
    assert {name for name in after if after[name].pid != before[name].pid} == {"cpu-worker-1"}


def test_up_leaves_a_whole_stack_alone(stack):
    before = {name: status.pid for name, status in Supervisor(stack.state).statuses().items()}
    up = stack.keepfit("up", "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "Everything was up already." in up.stdout
    assert "is ready" not in up.stdout
    assert {name: status.pid for name, status in Supervisor(stack.state).statuses().items()} == before


def test_status_tells_each_program_and_its_place(stack):
    wait_for(lambda: stack.keepfit("status").returncode == 0)
    told = json.loads(stack.keepfit("status", "--json").stdout)["programs"]
    assert [each["program"] for each in told] == [
        "postgres", "seaweed", "prefect-server", "cpu-worker-1", "gpu-worker-0-without-gpu",
    ]  # fmt: skip
    assert all(each["state"] == "RUNNING" and each["pid"] and each["memory_bytes"] > 2**20 for each in told)
    assert told[2]["ports"] == {"prefect": stack.state.ports.prefect}


def test_logs_show_the_end_of_a_programs_log(stack):
    shown = stack.keepfit("logs", "cpu-worker-1", "-n", "200")
    assert "Worker 'cpu-worker-1' started!" in shown.stdout
    wrong = stack.keepfit("logs", "cpu-worker")
    assert wrong.returncode == 2
    assert "Did you mean 'cpu-worker-1'?" in wrong.stderr


def test_the_foreground_command_tells_what_happens_and_stops_all_in_order(stack, kept):
    up = stack.start("up")
    told: list[str] = []
    try:
        read_until(up, "Ctrl-C stops all of it", told)
        assert kept()
        os.kill(Supervisor(stack.state).statuses()["gpu-worker-0-without-gpu"].pid, signal.SIGKILL)
        read_until(up, r"gpu-worker-0-without-gpu: .*started again as \d+", told)
        up.send_signal(signal.SIGTERM)
        told.append(up.communicate(timeout=60)[0])
    finally:
        if up.poll() is None:
            up.kill()
            up.communicate()
    assert up.returncode == 0, "".join(told)
    stopped = re.findall(r"(\S+) stopped", "".join(told))
    assert stopped == ["gpu-worker-0-without-gpu", "cpu-worker-1", "prefect-server", "seaweed", "postgres"]
    assert_nothing_is_left(stack.state)


def test_up_recovers_after_the_supervisor_was_killed(stack, kept):
    """Started in the foreground, whose command is killed as well: nothing that runs is lost with it."""
    foreground = stack.start("up")
    read_until(foreground, "Ctrl-C stops all of it", [])
    foreground.kill()
    foreground.communicate()
    assert answers(stack.state), "the stack outlives the command that started it"
    supervisor = next(process for process, name in find_processes(stack.state).items() if not name)
    old = set(find_processes(stack.state))
    supervisor.kill()
    supervisor.wait(10)
    told = json.loads(stack.keepfit("status", "--json").stdout)["programs"]
    assert {each["state"] for each in told} == {"LEFT_OVER"}
    up = stack.keepfit("up", "--detach")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "ended what an earlier start left behind: cpu-worker-1, gpu-worker-0-without-gpu" in up.stdout
    assert not any(process.is_running() for process in old)
    assert kept()


def read_until(process: "subprocess.Popen[str]", pattern: str, told: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        told.append(line)
        if re.search(pattern, line):
            return
    raise AssertionError(f"{pattern!r} was never said:\n{''.join(told)}")
