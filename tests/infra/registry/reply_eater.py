"""A TCP proxy before PostgreSQL that loses the reply to one COMMIT: the server did it, the client never hears."""

import contextlib
import select
import socket
import threading
from types import TracebackType
from typing import Self


class ReplyEater:
    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._armed = threading.Event()
        self.fired = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self) -> None:
        """Lose the reply to the next COMMIT, and close its connection."""
        self._armed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self._server_port))
        with client, server, contextlib.suppress(OSError):
            self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65_536)
                if not data:
                    return
                if source is server:
                    client.sendall(data)
                    continue
                server.sendall(data)
                if b"COMMIT\x00" in data and self._armed.is_set():
                    self._armed.clear()
                    assert b"COMMIT" in server.recv(65_536)  # it is done, and the server has said so
                    self.fired += 1
                    return
