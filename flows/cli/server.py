"""Which Prefect server a command talks to: the one that PREFECT_API_URL names, or one for this command alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from flows.local_server import LocalServer
from infra.errors import KeepfitError
from infra.settings import Settings, load_settings
from infra.workspace import make_home

FLUSH_S = 10.0
LOOPBACK = "127.0.0.1"


class GivenServer:
    """Somebody else's server, already running."""

    def wait(self) -> None:
        """Return at once: the client finds out by itself."""


@contextmanager
def naming_silent_server() -> Iterator[None]:
    """Say which setting names a server that does not answer.

    Raises
    ------
    KeepfitError
        Nothing answers where PREFECT_API_URL points.
    """
    try:
        yield
    except RuntimeError as error:  # the client's own class for this, told from others by its text alone
        if "Failed to reach API" not in str(error):
            raise
        url = urlsplit(os.environ["PREFECT_API_URL"])
        raise KeepfitError(
            f"PREFECT_API_URL: expected a Prefect server at {url.scheme}://{url.hostname}:{url.port}, nothing answers there.",
            remedy="Start it (`prefect server start`), or unset PREFECT_API_URL: keepfit then starts one for this run.",
        ) from error


@contextmanager
def prefect_server() -> Iterator[LocalServer | GivenServer]:
    """Set this process up for Prefect, and hold a temporary server where no other is named.

    Must come before Prefect is imported: its settings are read then. The user's own ~/.prefect is left alone unless
    PREFECT_HOME names it.
    """
    settings = load_settings()
    prepare_environment(settings)
    make_home(settings.home)  # before the server makes its folder in it, open to all
    if os.environ.get("PREFECT_API_URL"):
        yield GivenServer()
        return
    spare_loopback()
    server = LocalServer(settings.home.resolve() / "prefect")
    os.environ["PREFECT_API_URL"] = server.url
    try:
        yield server
    finally:
        _flush_events()
        server.stop()
        del os.environ["PREFECT_API_URL"]


def spare_loopback() -> None:
    """Let no HTTP proxy of the environment stand between this process and a server on this machine."""
    for name in ("no_proxy", "NO_PROXY"):  # clients differ in which of the two they read
        spared = os.environ.get(name, "")
        if LOOPBACK not in spared.split(","):
            os.environ[name] = f"{spared},{LOOPBACK}".strip(",")


def prepare_environment(settings: Settings) -> None:
    """Give Prefect its place under KEEPFIT_HOME, and keep it quiet on the terminal and towards its makers."""
    defaults = {
        "PREFECT_HOME": str(settings.home.resolve() / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,infra",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "DEBUG" if os.environ.get("KEEPFIT_DEBUG") else "CRITICAL",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "MPLCONFIGDIR": str(settings.home.resolve() / "matplotlib"),  # these two write into HOME otherwise
        "KERAS_HOME": str(settings.home.resolve() / "keras"),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _flush_events() -> None:
    import sys

    if "prefect.events.worker" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=FLUSH_S)
    EventsWorker.drain_all(timeout=FLUSH_S)
