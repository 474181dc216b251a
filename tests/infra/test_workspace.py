"""The workspace of a process: what it makes on disk, and for whom."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import SettingsError
from infra.settings import load_settings
from infra.workspace import open_workspace


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    for cached in (load_settings, open_workspace):
        cached.cache_clear()
    yield
    for cached in (load_settings, open_workspace):
        cached.cache_clear()


def test_its_folder_is_open_to_its_owner_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "models"
    monkeypatch.setenv("KEEPFIT_HOME", str(home))
    with open_workspace().registry as registry:
        registry.ping()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_relative_home_with_spaces_works(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEEPFIT_HOME", "my models/here")
    workspace = open_workspace()
    with workspace.registry as registry:
        registry.ping()
    ref = workspace.store.put_bytes(b"hello", "text/plain")
    assert workspace.store.read(ref) == b"hello"
    assert (tmp_path / "my models" / "here" / "registry.db").is_file()


@pytest.mark.parametrize("name", ["why?", "50%20off", "a#b", "ä & é"])
def test_no_letter_of_the_homes_name_leads_to_another_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / name))
    with open_workspace().registry as registry:
        registry.ping()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "registry.db").is_file()


def test_a_home_that_cannot_be_made_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(SettingsError, match=r"KEEPFIT_HOME: .*file/home cannot: Not a directory"):
        open_workspace()


def test_with_both_elsewhere_nothing_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "models"))
    monkeypatch.setenv("KEEPFIT_STORE_URL", (tmp_path / "store").as_uri())
    monkeypatch.setenv("KEEPFIT_DATABASE_URL", f"sqlite:///{tmp_path / 'registry.db'}")
    with open_workspace().registry as registry:
        registry.ping()
    assert not (tmp_path / "models").exists()
