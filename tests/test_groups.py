"""What shares a long preparation runs on one worker of pytest-xdist, and stops when its last test is over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = """
import pytest
from tests.servers.groups import stop_after_group

def note(what):
    with open("log", "a") as log:
        log.write(what + " ")

@pytest.fixture(scope="session")
def server(request):
    stop_after_group(request.session, "servers", lambda: note("stopped"))
    note("started")
    yield
    note("end")
"""
USES = """
import pytest
from conftest import note
pytestmark = pytest.mark.xdist_group("servers")

def test_first(server):
    note("first")

def test_second(server):
    note("second")
"""
OTHER = """
from conftest import note

def test_other():
    note("other")
"""


@pytest.mark.xdist_group("together")
def test_tests_of_a_group_stay_together(request: pytest.FixtureRequest) -> None:
    """A version of either may let that go in silence."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("only with --dist loadgroup, as `make test` has it")
    assert request.node.nodeid.endswith("@together")


@pytest.mark.slow
@pytest.mark.parametrize("how", [["-p", "no:xdist"], ["-n", "1", "--dist", "loadgroup"]], ids=["alone", "with xdist"])
def test_what_a_group_shares_stops_after_its_last_test_and_not_before(how: list[str], tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    xdist_group: together\n")
    for name, text in {"conftest": SHARED, "test_a": USES, "test_b": OTHER, "test_c": USES}.items():
        (tmp_path / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.servers.groups", "-p", "no:cacheprovider", *how]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    log = (tmp_path / "log").read_text().split()
    assert sorted(log) == sorted(["started", *["first", "second"] * 2, "other", "stopped", "end"])
    after = log[log.index("stopped") + 1 :]
    assert set(after) <= {"other", "end"}, "the group was over"
    assert how[0] != "-n" or after == ["other", "end"], "it was stopped at once, for xdist keeps the group together"
