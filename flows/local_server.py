"""A Prefect server for the length of one command, where PREFECT_API_URL names no other.

It is a process of its own that starts while the command imports its libraries, keeps its database under
KEEPFIT_HOME so that only the first start pays for migrations, and ends when the command ends, however it ends:
the server reads a pipe whose other end only the command holds, and a closed pipe stops it.
"""

import atexit
import fcntl
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import KeepfitError
from infra.importing import importing

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger(__name__)

START_LIMIT_S = 120.0
GRACE_S = 4.0


class LocalServer:
    """A started, perhaps not yet healthy, server on a free loopback port."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.log = home / "server.log"
        self._listener = _bind_loopback()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._process = self._spawn(home)
        atexit.register(self.stop)

    def _spawn(self, home: Path) -> subprocess.Popen[bytes]:
        self._listener.set_inheritable(True)
        command = [sys.executable, "-P", "-m", "flows.local_server", str(self._listener.fileno())]
        environment = {**os.environ, **_server_environment(home)}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=[self._listener.fileno()],
                start_new_session=True,  # Ctrl-C reaches the command alone, which then stops the server in order
            )

    def wait(self) -> None:
        """Return once the server answers.

        Raises
        ------
        KeepfitError
            It ended, or did not answer within START_LIMIT_S.
        """
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise KeepfitError(
                    f"The temporary Prefect server ended with code {self._process.returncode} before it answered.",
                    remedy=f"Its log is {self.log}. `keepfit doctor` checks the installation.",
                )
            if _is_healthy(self.url):
                return
            time.sleep(0.05)
        raise KeepfitError(
            f"The temporary Prefect server did not answer within {START_LIMIT_S:.0f} s.",
            remedy=f"Its log is {self.log}.",
        )

    def stop(self) -> None:
        """End the server and wait for it; twice is once."""
        atexit.unregister(self.stop)
        self._listener.close()
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _bind_loopback() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    return listener


def _server_environment(home: Path) -> Mapping[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
        "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "DO_NOT_TRACK": "1",
    }


def _is_healthy(url: str) -> bool:
    try:
        with closing(urllib.request.urlopen(f"{url}/health", timeout=5)) as reply:  # noqa: S310 - always http on loopback
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def serve(descriptor: int) -> None:
    """Serve on the inherited socket until standard input closes."""
    with importing():
        import uvicorn
        from prefect.server.api.server import create_app

    class OneAtATime(uvicorn.Server):
        """Two commands that begin together would migrate one database at the same time, and one of them fail."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with open(Path(os.environ["PREFECT_HOME"]) / "starting.lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                await super().startup(sockets)

    config = uvicorn.Config(create_app, factory=True, fd=descriptor, log_level="error", lifespan="on")
    server = OneAtATime(config)
    threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    server.run()


def _end_with_parent(server: "uvicorn.Server") -> None:
    while os.read(0, 1):  # unbuffered: a buffer's lock would abort an interpreter that ends meanwhile
        pass
    server.should_exit = True  # in order: what was received is written
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
