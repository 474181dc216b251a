import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.request import proxy_bypass

import pytest

from flows.cli import server
from infra.settings import load_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def fresh():
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


@pytest.mark.parametrize("given", ["", "example.org"])
def test_a_proxy_does_not_come_before_a_server_on_this_machine(monkeypatch, given):
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, given)
    assert not proxy_bypass("127.0.0.1")
    server.spare_loopback()
    server.spare_loopback()
    assert proxy_bypass("127.0.0.1")
    assert bool(proxy_bypass("example.org")) == bool(given)
    assert os.environ["NO_PROXY"].count("127.0.0.1") == 1


def test_the_home_is_its_owners_alone_whoever_makes_it_first(monkeypatch, tmp_path):
    for name in ("PREFECT_API_URL", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(server, "prepare_environment", lambda settings: None)
    monkeypatch.setattr(server.LocalServer, "_spawn", lambda self, home: None)
    monkeypatch.setattr(server.LocalServer, "stop", lambda self: self._listener.close())
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "models"))
    with server.prefect_server():
        pass
    assert stat.S_IMODE((tmp_path / "models").stat().st_mode) == 0o700


def test_runs_tell_heartbeats_to_somebodys_server_and_none_to_their_own(monkeypatch, tmp_path):
    from prefect.settings import get_current_settings

    for name in ("PREFECT_API_URL", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(server, "prepare_environment", lambda settings: None)
    monkeypatch.setattr(server.LocalServer, "_spawn", lambda self, home: None)
    monkeypatch.setattr(server.LocalServer, "wait", lambda self: None)
    monkeypatch.setattr(server.LocalServer, "stop", lambda self: self._listener.close())
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path))
    flows = get_current_settings().flows
    monkeypatch.setattr(flows, "heartbeat_frequency", 30)
    with monkeypatch.context() as given:
        given.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        with server.prefect_server() as theirs:
            theirs.wait()
    assert flows.heartbeat_frequency == 30, "a stack ends runs that have fallen silent"
    with server.prefect_server() as own:
        own.wait()
    assert flows.heartbeat_frequency is None


@pytest.mark.parametrize(
    "command",
    [
        "monitoring.monitor_window('flights', '2013-03', None, as_json=True)",
        "monitoring.replay_project('flights', datetime(2013, 3, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC), "
        "Path('picture.png'), as_json=True)",
    ],
    ids=["monitor", "replay"],
)
def test_prefect_is_imported_only_once_it_was_told_where_it_is_and_to_be_quiet(command, tmp_path):
    lines = (
        "import sys",
        "from datetime import UTC, datetime",
        "from pathlib import Path",
        "from flows.cli import monitoring",
        "monitoring.prefect_server = lambda: sys.exit(3 if 'prefect' in sys.modules else 7)",
        command,
    )
    environment = {**os.environ, "KEEPFIT_HOME": str(tmp_path), "KEEPFIT_PROJECTS": str(ROOT / "projects")}
    ended = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False, cwd=ROOT, env=environment)
    assert ended.returncode == 7
