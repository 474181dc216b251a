"""What the foreground command says of programs that die and come back, and stacks that are not whole."""

import os
import subprocess

import pytest

from flows.cli.stack import describe_change, end_remains, stop
from infra.errors import KeepfitError
from infra.settings import load_settings
from infra.stack.planning import Wishes, delete_data, holding_stack, make_stack_folder, plan_stack
from infra.stack.program import MARKER
from infra.stack.state import STATE_FILE, read_state
from infra.stack.supervision import Status


def status(state: str, pid: int, detail: str = "") -> Status:
    return Status("prefect-server", state, pid, None, detail)


@pytest.mark.parametrize(
    ("earlier", "now", "said"),
    [
        (status("RUNNING", 7), status("RUNNING", 7), ""),
        (status("STARTING", 7), status("RUNNING", 7), ""),
        (status("RUNNING", 7), status("STARTING", 8), "process 7 ended; started again as 8"),
        (status("RUNNING", 7), status("BACKOFF", 0, "Exited too quickly"), "backoff (Exited too quickly)"),
        (status("BACKOFF", 0), status("BACKOFF", 0), ""),
        (status("BACKOFF", 0), status("STARTING", 9), "started again as 9"),
        (status("RUNNING", 7), status("STOPPING", 7), "stopping"),
        (status("BACKOFF", 0), status("FATAL", 0, "too many start retries"), "fatal (too many start retries)"),
    ],
    ids=lambda value: value.state if isinstance(value, Status) else (value or "nothing"),
)
def test_each_change_of_a_program_is_said_once(earlier, now, said):
    assert describe_change(earlier, now) == said


def test_a_stack_whose_state_is_broken_can_be_started_over(tmp_path, monkeypatch):
    """What the message advises works: what runs is ended, and everything is deleted."""
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path))
    load_settings.cache_clear()
    folder = make_stack_folder(tmp_path)
    (folder / STATE_FILE).write_text('{"id": "torn')
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: str(folder)}) as running:
        with pytest.raises(KeepfitError, match="broken") as broken:
            stop(delete=False)
        assert running.poll() is not None
    assert "keepfit down --delete-data" in broken.value.remedy
    assert (folder / STATE_FILE).exists()
    stop(delete=True)
    assert not folder.exists()
    load_settings.cache_clear()


def test_a_home_that_is_a_file_has_no_stack(tmp_path):
    (tmp_path / "file").touch()
    assert read_state(tmp_path / "file") is None


def test_a_foreground_command_leaves_the_stopping_to_another_that_is_at_it(tmp_path):
    """Between the end of the supervisor and that of `keepfit down`, and after the folder has gone."""
    state, told = plan_stack(tmp_path, tmp_path, Wishes()), []
    with subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: str(state.folder)}) as running:
        with holding_stack(state.folder):
            assert not end_remains(state, told.append)
        assert running.poll() is None
        assert end_remains(state, told.append)
        assert running.poll() is not None
    assert not end_remains(state, told.append)
    delete_data(state)
    assert not end_remains(state, told.append)
    assert [line for line in told if "died" in line] == ["the supervisor died; ending what it left behind"]
