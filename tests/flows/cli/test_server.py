import os
import stat
from urllib.request import proxy_bypass

import pytest

from flows.cli import server
from infra.settings import load_settings


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
