"""The store and the registry of this process, opened once from its settings."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from infra.artifacts.store import BlobStore, open_store
from infra.errors import SettingsError
from infra.registry.registry import Registry, open_registry
from infra.settings import Settings, load_settings


class Workspace(NamedTuple):
    """What a step reads from and writes to."""

    settings: Settings
    store: BlobStore
    registry: Registry


@lru_cache(maxsize=1)
def open_workspace() -> Workspace:
    """Return this process's workspace; the first call opens the store and brings the database's schema up to date.

    Raises
    ------
    SettingsError
        A `KEEPFIT_…` variable is wrong.
    StoreError, RegistryError
        The store or the database cannot be reached or used.
    """
    settings = load_settings()
    if not (settings.store_url and settings.database_url.get_secret_value()):
        make_home(settings.home)  # it holds the store or the database
    return Workspace(settings, open_store(settings.store, settings.store_deadline_s), open_registry(settings.database))


def make_home(home: Path) -> None:
    """Make the folder of all that keepfit writes locally, for its owner alone; one that is there stays as it is.

    Raises
    ------
    SettingsError
        It cannot be made.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsError(
            f"KEEPFIT_HOME: expected a folder that can be made, {home.absolute()} cannot: {error.strerror}.",
            remedy="Set KEEPFIT_HOME to a folder of yours.",
        ) from error
