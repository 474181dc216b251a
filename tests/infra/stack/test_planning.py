"""What `keepfit up` decides before it starts anything."""

import os
import socket
import ssl
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from infra.errors import KeepfitError, SettingsError, UsageError
from infra.stack import certificates, gpus
from infra.stack.certificates import make_certificates, name_certificates
from infra.stack.leftovers import differs, end_orphans
from infra.stack.logs import follow, hide_credentials, read_tail
from infra.stack.orchestration import describe_worker, plan_workers
from infra.stack.planning import LONGEST_RUNTIME, Wishes, check_ports, holding_stack, plan_stack
from infra.stack.ports import GRPC_OFFSET, choose_ports, is_free
from infra.stack.program import MARKER, Program, complete_environment
from infra.stack.state import load_state, read_state
from infra.stack.supervision import is_running, write_configuration
from tests.infra.stack.looking import wait_for

NO_GPU = {"KEEPFIT_NO_GPU": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(gpus, "_list_gpus", lambda: ())


@pytest.fixture
def state(tmp_path):
    return plan_stack(tmp_path, tmp_path / "projects", Wishes())


def test_the_state_is_the_same_when_read_again(tmp_path, state):
    assert read_state(tmp_path) == state


def test_a_second_plan_keeps_credentials_and_ports(tmp_path, state):
    again = plan_stack(tmp_path, tmp_path / "projects", Wishes(cpu_workers=3))
    assert (again.credentials, again.ports, again.id) == (state.credentials, state.ports, state.id)
    assert [worker.name for worker in again.workers] == ["cpu-worker-1", "cpu-worker-2", "cpu-worker-3"]
    third = plan_stack(tmp_path, tmp_path / "projects", Wishes())
    assert third.workers == again.workers, "as last time where nothing else is asked for"


def test_a_gpu_that_is_added_later_gets_its_worker_unless_a_number_was_asked_for(tmp_path, state, monkeypatch):
    def count() -> int:
        return sum(worker.gpu is not None for worker in plan_stack(tmp_path, tmp_path, Wishes()).workers)

    monkeypatch.setattr(gpus, "_list_gpus", lambda: ("0", "1"))
    assert count() == 2
    plan_stack(tmp_path, tmp_path, Wishes(gpu_workers=1))
    assert count() == 1


@pytest.mark.parametrize("name", ["a #b", "a ;b", "a\nb"])
def test_a_home_whose_name_the_supervisor_would_misread_is_refused(tmp_path, name):
    with pytest.raises(SettingsError, match="KEEPFIT_HOME: expected no line break"):
        plan_stack(tmp_path / name, tmp_path, Wishes())
    assert not (tmp_path / name).exists()


def test_a_log_is_followed_through_its_rotation_to_the_last_line(state):
    state.logs.mkdir()
    log = state.logs / "seaweed.log"
    log.write_text("old\n")
    lines = follow(state, "seaweed")

    def rotate() -> None:
        time.sleep(0.5)
        with log.open("a") as file:
            file.write("last of the first\n")
        log.rename(log.with_suffix(".log.1"))
        log.write_text("first of the second\n")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(rotate)
        assert [next(lines), next(lines)] == ["last of the first", "first of the second"]
    lines.close()


def test_new_ports_are_other_ports(tmp_path, state):
    again = plan_stack(tmp_path, tmp_path / "projects", Wishes(new_ports=True))
    assert again.ports != state.ports
    assert again.credentials == state.credentials


@pytest.mark.parametrize("name", ["stack.json", "env", "sign-in"])
def test_files_with_credentials_are_their_owners_alone(tmp_path, state, name):
    assert stat.S_IMODE((tmp_path / "stack" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "stack").stat().st_mode) == 0o700


def test_no_two_stacks_share_a_credential(tmp_path, state):
    other = plan_stack(tmp_path / "other", tmp_path / "projects", Wishes())
    assert not set(state.credentials.model_dump().values()) & set(other.credentials.model_dump().values())
    assert len(set(state.credentials.model_dump().values())) == len(state.credentials.model_dump())


def test_a_state_shows_no_credential(state):
    assert not any(secret in repr(state) for secret in state.credentials.model_dump().values())


def test_a_broken_state_is_told_without_its_values(tmp_path, state):
    path = tmp_path / "stack" / "stack.json"
    path.write_text(path.read_text().replace('"operator":', '"operater":'))
    with pytest.raises(KeepfitError, match=r"broken at: credentials\.operater") as error:
        read_state(tmp_path)
    assert state.credentials.operator not in str(error.value)


def test_a_stack_that_was_never_started_is_none_and_does_not_run(tmp_path):
    assert load_state(tmp_path / "stack") is None
    assert not is_running(tmp_path)


@pytest.mark.parametrize("number", [-1, 65])
def test_a_number_of_workers_that_cannot_be_meant_is_refused(tmp_path, number):
    with pytest.raises(UsageError, match=f"--gpu-workers: expected a number from 0 to 64, received {number}"):
        plan_stack(tmp_path, tmp_path, Wishes(gpu_workers=number))


def test_a_worker_without_a_gpu_says_so(state):
    seen, blind = plan_workers(0, 2, ("3",))
    assert (seen.name, blind.name) == ("gpu-worker-0", "gpu-worker-1-without-gpu")
    assert describe_worker(state, seen).environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert describe_worker(state, blind).environment.items() >= NO_GPU.items()
    assert "KEEPFIT_NO_GPU" not in describe_worker(state, seen).environment


@pytest.mark.parametrize(
    ("given", "seen"), [(None, ("0", "1")), ("1", ("1",)), ("", ()), ("-1", ())], ids=["unset", "one", "none", "minus"]
)
def test_gpus_that_this_process_may_not_see_get_no_worker(monkeypatch, given, seen):
    monkeypatch.setattr(gpus, "_list_gpus", lambda: ("0", "1"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert gpus.find_gpus() == seen


def test_ports_come_with_free_partners():
    ports = choose_ports(usual=False).model_dump().values()
    assert len(set(ports)) == len(ports)
    assert all(is_free(port) and is_free(port + GRPC_OFFSET) for port in ports)


def test_a_port_that_was_taken_is_named_with_its_holder(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        program = Program("postgres", 0, (), tmp_path, {}, ports={"postgres": port})
        with pytest.raises(KeepfitError, match=rf"postgres: expected port {port} .* process {os.getpid()} "):
            check_ports(program, "")


def test_the_supervisor_s_socket_fits_whatever_the_process_id(tmp_path):
    """Its path counts in bytes, and while it is made the process id is part of it."""
    long = tmp_path / ("ä" * ((LONGEST_RUNTIME - len(os.fsencode(tmp_path))) // 2 - 5)) / "x"
    for home in (tmp_path, long, long / "yyyyyyyyyyyyyyyyyy"):
        state = plan_stack(home, tmp_path / "projects", Wishes())
        assert len(os.fsencode(f"{state.socket}.4194304")) <= 107
        if not state.runtime.is_relative_to(tmp_path):
            state.runtime.rmdir()


def test_one_command_at_a_time_changes_a_stack(tmp_path):
    with (
        holding_stack(tmp_path),
        pytest.raises(KeepfitError, match="starts or stops the stack"),
        holding_stack(tmp_path),
    ):
        pass
    with holding_stack(tmp_path):
        pass


def test_processes_whose_stack_was_removed_under_them_are_ended(tmp_path):
    def sleep(folder: Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: str(folder)})

    ours, theirs = sleep(tmp_path / "stack"), sleep(tmp_path / "other")
    try:
        assert end_orphans(tmp_path / "stack") == 1
        assert ours.poll() is not None
        assert theirs.poll() is None
        assert end_orphans(tmp_path / "stack") == 0
    finally:
        theirs.kill()
        theirs.wait()
        ours.wait()


def test_a_worker_that_runs_with_other_projects_than_asked_for_is_told(state, tmp_path):
    (worker,) = plan_workers(1, 0, ())
    planned, moved = (
        describe_worker(state.model_copy(update={"projects": tmp_path / name}), worker)
        for name in ("projects", "other")
    )
    with subprocess.Popen(["sleep", "60"], env={**os.environ, **planned.environment}) as running:
        try:
            wait_for(psutil.Process(running.pid).environ)  # empty for a moment while the program is loaded
            assert not differs(planned, running.pid)
            assert differs(moved, running.pid)
        finally:
            running.kill()
    assert not differs(moved, running.pid), "one that is gone is not started again for its settings"


def test_the_supervisor_s_configuration_holds_no_secret(state):
    from infra.stack.programs import list_programs

    text = write_configuration(state, list_programs(state)).read_text()
    assert "program:prefect-server" in text
    assert not any(secret in text for secret in state.credentials.model_dump().values())


def test_a_worker_sees_the_user_s_variables_but_no_other_server(state, monkeypatch):
    monkeypatch.setenv("SALES_DATABASE_URL", "postgresql://sales")
    monkeypatch.setenv("PREFECT_API_KEY", "somebody-elses")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "somebody-elses")
    monkeypatch.setenv(MARKER, str(state.folder))
    environment = complete_environment(describe_worker(state, plan_workers(1, 0, ())[0]))
    assert environment["SALES_DATABASE_URL"] == "postgresql://sales"
    assert environment[MARKER] == str(state.folder), "what a worker starts is found by it"
    assert "somebody-elses" not in environment.values()


def test_shown_log_lines_hide_credentials(state):
    state.logs.mkdir()
    secret = state.credentials.s3_secret_key
    (state.logs / "seaweed.log").write_text(f"first\nkey={secret} end\n")
    assert read_tail(state, "seaweed", 1) == ["key=*** end"]
    assert read_tail(state, "seaweed", 0) == []
    assert read_tail(state, "never-started", 5) == []
    assert hide_credentials(state, "nothing here") == "nothing here"


def test_certificates_are_made_once_and_their_key_is_closed(tmp_path):
    make_certificates(tmp_path / "tls")
    files = name_certificates(tmp_path / "tls")
    first = [file.read_bytes() for file in files]
    make_certificates(tmp_path / "tls")
    assert [file.read_bytes() for file in files] == first
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_renewal_that_was_killed_half_way_is_done_again(tmp_path, monkeypatch):
    """A certificate with the key of another keeps SeaweedFS from starting for ten years."""
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "LIFETIME", certificates.RENEW_BEFORE / 2)
        make_certificates(tmp_path)
    write, written = certificates.write_private, []

    def die_at_the_third(path: Path, text: str) -> None:
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt("killed")
        write(path, text)

    monkeypatch.setattr(certificates, "write_private", die_at_the_third)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        make_certificates(tmp_path)
    monkeypatch.setattr(certificates, "write_private", write)
    make_certificates(tmp_path)
    ssl.create_default_context().load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
