"""A Prefect server of the fault tests: it asks who calls, is stopped by its pid, and comes back at the same address."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from flows.local_server import _server_environment

START_LIMIT_S = 120.0
ALL_SERVICES = {"PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "1"}
"""As a server of a team runs them, so that a worker that is gone is seen to be gone; and soon."""


class PrefectServer:
    """The server that keepfit starts for one command, on a port that stays and with a password."""

    def __init__(self, home: Path, auth: str) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.auth = auth
        self.log = home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        with closing(_bind(0)) as probe:
            self._port = int(probe.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/api"

    @property
    def database(self) -> Path:
        return self.home / "prefect.db"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Return when it answers."""
        environment = {**os.environ, **_server_environment(self.home), **ALL_SERVICES}
        environment["PREFECT_SERVER_API_AUTH_STRING"] = self.auth
        del environment["PREFECT__SERVER_EPHEMERAL"]
        with closing(_bind(self._port)) as listener, self.log.open("ab") as log:
            number = listener.fileno()
            command = [sys.executable, "-P", "-m", "flows.local_server", str(number)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, pass_fds=[number]
            )
        give_up = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the Prefect server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """Hold a client that the server lets in."""
        settings = {PREFECT_API_URL: self.url, PREFECT_API_AUTH_STRING: self.auth}
        with temporary_settings(settings), get_client(sync_client=True) as client:
            yield client

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """End it at once, as a machine that loses its power does."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdin.close()
        self._process = None

    def _answers(self) -> bool:
        try:
            with closing(urllib.request.urlopen(f"{self.url}/health", timeout=5)) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener
