"""Where things are: defaults, refusals, and no secret in any message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.errors import SettingsError
from infra.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def test_without_variables_everything_lies_under_one_folder(tmp_path: Path) -> None:
    settings = load_settings()
    assert settings.store == (tmp_path / ".keepfit" / "store").as_uri()
    assert settings.database == f"sqlite:///{tmp_path / '.keepfit' / 'registry.db'}"


def test_a_misspelt_variable_is_refused_with_the_nearest_match(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPFIT_DATABSE_URL", "postgresql://u:canary@h/d")
    with pytest.raises(SettingsError, match=r"KEEPFIT_DATABSE_URL.*DATABASE_URL") as raised:
        load_settings()
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("KEEPFIT_STORE_URL", "https://user:canary@host/x"), ("KEEPFIT_DATABASE_URL", "mysql://user:canary@host/x")],
)
def test_a_scheme_that_is_not_served_is_refused_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    settings = load_settings()
    with pytest.raises(SettingsError, match=name) as raised:
        _ = settings.store if "STORE" in name else settings.database
    assert "canary" not in str(raised.value)


def test_a_value_of_the_wrong_type_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPFIT_STORE_DEADLINE_S", "soon")
    with pytest.raises(SettingsError, match="KEEPFIT_STORE_DEADLINE_S"):
        load_settings()


def test_the_plain_postgresql_scheme_means_psycopg() -> None:
    settings = Settings(database_url="postgresql://h/d")  # type: ignore[arg-type]  # pydantic makes it a secret
    assert settings.database == "postgresql+psycopg://h/d"


def test_the_password_is_not_in_the_printed_settings() -> None:
    settings = Settings(database_url="postgresql://user:canary@h/d")  # type: ignore[arg-type]
    assert "canary" not in repr(settings)


def test_a_projects_own_variable_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPFIT_WAREHOUSE", "anything")
    load_settings()
