"""What the foreground command says of programs that die and come back."""

import pytest

from flows.cli.stack import describe_change
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
