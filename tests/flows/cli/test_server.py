import stat

import pytest

from flows.cli import server
from infra.settings import load_settings


@pytest.fixture(autouse=True)
def fresh():
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def test_the_home_is_its_owners_alone_whoever_makes_it_first(monkeypatch, tmp_path):
    for name in ("PREFECT_HOME", "MPLCONFIGDIR", "KERAS_HOME", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(server, "prepare_environment", lambda settings: None)
    monkeypatch.setattr(server.LocalServer, "_spawn", lambda self, home: None)
    monkeypatch.setattr(server.LocalServer, "stop", lambda self: self._listener.close())
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "models"))
    with server.prefect_server():
        pass
    assert stat.S_IMODE((tmp_path / "models").stat().st_mode) == 0o700
