import json

import pytest
import typer

from flows.cli import doctor
from flows.cli.doctor import Finding
from infra.errors import KeepfitError
from infra.settings import load_settings
from infra.workspace import open_workspace


@pytest.fixture
def home(tmp_path, monkeypatch):
    for once in (load_settings, open_workspace):
        once.cache_clear()
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "a folder" / "home"))
    yield tmp_path / "a folder" / "home"
    for once in (load_settings, open_workspace):
        once.cache_clear()


def find(name):
    return next(finding for finding in doctor._probe_settings() if finding.what == name)


def test_a_home_that_can_be_made_is_sound(home):
    assert find("home").ok


def test_a_file_in_the_place_of_the_home_is_named(home):
    home.parent.write_text("a file")
    assert not find("home").ok
    assert str(home.parent) in find("home").detail


def test_name_and_password_of_the_prefect_server_are_not_shown(home, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "https://somebody:geheim@prefect.example.org:4200/api")
    assert find("prefect").detail == "https://prefect.example.org:4200/api"


def test_a_package_that_is_missing_is_a_finding(monkeypatch):
    monkeypatch.setattr(doctor, "FLOORS", {"no-such-package": (1, 0)})
    (finding,) = doctor._probe_packages()
    assert (finding.ok, finding.detail) == (False, "not installed")


def test_a_broken_installation_is_one_json_and_an_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "PROBES", (lambda: iter([Finding("store", False, "gone", "Bring it back.")]),))
    with pytest.raises(typer.Exit) as ended:
        doctor.examine(as_json=True)
    assert ended.value.exit_code == 1
    said = capsys.readouterr()
    assert json.loads(said.out)[0]["what"] == "store"
    assert "1 of 1 checks failed: store" in said.err
    with pytest.raises(KeepfitError, match="1 of 1 checks failed: store"):
        doctor.examine(as_json=False)
