"""Which Prefect server a command talks to: the one that PREFECT_API_URL names, or one for this command alone."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flows.local_server import LocalServer
from infra.errors import KeepfitError, OrchestratorUnavailable
from infra.settings import Settings, load_settings
from infra.workspace import make_home

FLUSH_S = 10.0
LOOPBACK = "127.0.0.1"


class GivenServer:
    """Somebody else's server, already running."""

    def wait(self) -> None:
        """Return at once: the client finds out by itself."""


class OwnServer(LocalServer):
    """The server of this command alone: it ends with it."""

    def wait(self) -> None:
        """Return once it answers; Prefect is imported by then."""
        super().wait()
        keep_no_heartbeats()


def keep_no_heartbeats() -> None:
    """Let the flow runs of this process tell no heartbeats.

    Nobody listens for them on a server that ends with its command, and Prefect waits at the end of each flow run until their
    thread wakes: it sleeps a second at a time.
    """
    from prefect.settings import get_current_settings

    get_current_settings().flows.heartbeat_frequency = None  # no variable of the environment can say so


@contextmanager
def naming_silent_server() -> Iterator[None]:
    """Say which setting names a server that does not answer, or not any more, and what the run came to in spite of it.

    Raises
    ------
    UsageError
        The server wants another PREFECT_API_AUTH_STRING.
    KeepfitError
        Nothing answers where PREFECT_API_URL points.
    """
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except PrefectHTTPStatusError as error:
        from flows.orchestrator import explain_refusal

        raise explain_refusal(error) from error
    except httpx.TransportError as error:
        raise _end_without_server(error) from error
    except RuntimeError as error:  # the client's own class for this, told from others by its text alone
        if "Failed to reach API" not in str(error):
            raise
        from flows.orchestrator import name_server

        raise KeepfitError(
            f"PREFECT_API_URL: expected a Prefect server at {name_server()}, nothing answers there.",
            remedy="Start it (`prefect server start`), or unset PREFECT_API_URL: keepfit then starts one for this run.",
        ) from error


def _end_without_server(error: BaseException) -> KeepfitError:
    """Return what to say of a run whose server went away in the middle of it: its own end where it has one."""
    from prefect.exceptions import TerminationSignal

    from flows.orchestrator import name_server

    for cause in _causes(error):
        if isinstance(cause, TerminationSignal):
            _give_up_soon(128 + cause.signal)
            signal.raise_signal(cause.signal)  # to our own handler, as Prefect does where its server answers
        if isinstance(cause, KeepfitError):
            _give_up_soon(cause.exit_code)
            return cause
    _give_up_soon(1)
    return OrchestratorUnavailable(
        f"The Prefect server at {name_server()} stopped answering. {_tell_ledger()}",
        remedy="What is done stays done: the same command goes on from there. Start the server, or unset PREFECT_API_URL.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    while error.__context__ is not None:
        error = error.__context__
        yield error


def _tell_ledger() -> str:
    """Return what the registry says of this process's run."""
    from infra.workspace import open_workspace

    run = next((run for run in open_workspace().registry.runs() if run.pid == os.getpid()), None)
    if run is None:
        return "The registry knows of no run of this command."
    came_to = [str(value) for key in ("status", "version") if (value := (run.outcome or {}).get(key))]
    return f"Run {run.run_id} is {run.state} in the registry{': ' + ', '.join(came_to) if came_to else ''}."


def _give_up_soon(code: int) -> None:
    """End this process soon, whatever still waits in it for the server: each event that is left takes seconds."""

    def end() -> None:
        sys.stdout.flush()
        os._exit(code)

    timer = threading.Timer(FLUSH_S, end)
    timer.daemon = True
    timer.start()


@contextmanager
def prefect_server() -> Iterator[OwnServer | GivenServer]:
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
    server = OwnServer(settings.home.resolve() / "prefect")
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
        # A server that is gone is asked again for 14 s, not for a minute each time.
        "PREFECT_CLIENT_MAX_RETRIES": "3",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_INTERNAL_LEVEL": "ERROR" if os.environ.get("KEEPFIT_DEBUG") else "CRITICAL",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "MPLCONFIGDIR": str(settings.home.resolve() / "matplotlib"),  # these two write into HOME otherwise
        "KERAS_HOME": str(settings.home.resolve() / "keras"),
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    # Prefect's handler says on the terminal that a line did not reach the server; what fails for it is said once, by us.
    logging.raiseExceptions = bool(os.environ.get("KEEPFIT_DEBUG"))


def _flush_events() -> None:
    if "prefect.events.worker" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=FLUSH_S)
    EventsWorker.drain_all(timeout=FLUSH_S)
