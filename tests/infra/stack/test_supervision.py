"""The interface of the supervisor, where the supervisor does not behave."""

import socket

import pytest

from infra.stack import supervision
from infra.stack.planning import Wishes, plan_stack
from infra.stack.supervision import Supervisor, SupervisorGone, answers


def test_a_supervisor_that_takes_connections_and_says_nothing_counts_as_gone(tmp_path, monkeypatch):
    """One that was stopped (SIGSTOP, a debugger) looks like this: no call to it may wait for ever."""
    monkeypatch.setattr(supervision, "CALL_LIMIT_S", 0.1)
    state = plan_stack(tmp_path, tmp_path / "projects", Wishes())
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(state.socket))
        mute.listen()
        assert answers(state)
        with pytest.raises(SupervisorGone, match="does not answer"):
            Supervisor(state).statuses()
