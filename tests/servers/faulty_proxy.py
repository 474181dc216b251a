"""A TCP proxy before the S3 server that breaks chosen requests, and counts how often it did."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

REQUEST = re.compile(rb"(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1\r\n")


@dataclass
class Fault:
    """What happens to the requests whose first line holds `match`; by itself nothing."""

    match: str
    times: int = 1
    fired: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def takes(self, request_line: str) -> bool:
        return self.fired < self.times and re.search(self.match, request_line) is not None

    def choose(self, request_line: str) -> "Fault | None":
        """Return the fault that this request meets."""
        return self if self.takes(request_line) else None

    def fire(self) -> None:
        with self.lock:
            self.fired += 1

    def on_request(self, client: socket.socket) -> bool:
        """Return whether the request goes on to the server."""
        return True

    def on_reply(self, data: bytes, sent: int, client: socket.socket) -> bytes | None:
        """Return what of the reply goes on to the client; None breaks the connection. `sent`: bytes so far."""
        return data


class LoseReply(Fault):
    """The server does the work; its answer never arrives."""

    def on_reply(self, data: bytes, sent: int, client: socket.socket) -> bytes | None:
        if data.startswith(b"HTTP/1.1 100"):
            return data
        self.fire()
        return None


@dataclass
class CutBody(Fault):
    """The reply breaks off after so many bytes."""

    after_bytes: int = 100_000

    def on_reply(self, data: bytes, sent: int, client: socket.socket) -> bytes | None:
        if sent + len(data) < self.after_bytes:
            return data
        with suppress(OSError):
            client.sendall(data[: self.after_bytes - sent])
        self.fire()
        return None


@dataclass
class FlipBit(Fault):
    """The last byte of the first piece of the body arrives changed."""

    def on_reply(self, data: bytes, sent: int, client: socket.socket) -> bytes | None:
        head, gap, body = data.partition(b"\r\n\r\n")
        if not body or self.fired >= self.times:
            return data
        self.fire()
        return head + gap + body[:-1] + bytes([body[-1] ^ 1])


@dataclass
class Answer(Fault):
    """The proxy answers by itself, with an error, and the server never sees the request."""

    status: str = "503 Slow Down"
    code: str = "SlowDown"

    def on_request(self, client: socket.socket) -> bool:
        self.fire()
        body = f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        with suppress(OSError):
            client.sendall(head + body)
        return False


class Silence(Fault):
    """Nobody ever answers."""

    def on_request(self, client: socket.socket) -> bool:
        self.fire()
        with suppress(OSError):
            while client.recv(65536):
                pass
        return False


class Sip(Fault):
    """The request is taken a little at a time, each soon enough for a socket's time limit, for ever."""

    def on_request(self, client: socket.socket) -> bool:
        self.fire()
        with suppress(OSError):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while client.recv(65536):
                time.sleep(0.05)
        return False


class Trickle(Fault):
    """A few bytes of the reply at a time, each soon enough for a socket's time limit, for ever."""

    def on_reply(self, data: bytes, sent: int, client: socket.socket) -> bytes | None:
        self.fire()
        with suppress(OSError):
            for position in range(0, len(data), 64):
                client.sendall(data[position : position + 64])
                time.sleep(0.05)
            return b""
        return None


@dataclass
class Weather(Fault):
    """One fault after another, each as soon as a request fits it, with calm requests in between."""

    match: str = ""
    faults: list[Fault] = field(default_factory=list)
    calm_requests: int = 2
    _calm: int = 0

    def choose(self, request_line: str) -> Fault | None:
        with self.lock:
            self._calm += 1
            waiting = (one for one in self.faults if one.takes(request_line))
            chosen = next(waiting, None) if self._calm > self.calm_requests else None
            if chosen is not None:
                self._calm = 0
        return chosen


@dataclass
class LoseFirstReply(LoseReply):
    """The answer to the first request of each line is lost."""

    seen: set[str] = field(default_factory=set)

    def takes(self, request_line: str) -> bool:
        with self.lock:
            new = request_line not in self.seen
            self.seen.add(request_line)
        return new and super().takes(request_line)


AnyFault = TypeVar("AnyFault", bound=Fault)


class FaultyProxy:
    """Forwards to `endpoint` as it is, except for the requests that `fault` takes."""

    def __init__(self, endpoint: str) -> None:
        upstream = urlsplit(endpoint)
        self._upstream = (upstream.hostname or "", upstream.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self.fault: Fault | None = None
        self.requests: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    @contextmanager
    def breaking(self, fault: AnyFault) -> Iterator[AnyFault]:
        """Break requests with `fault` for a while; its never firing would make the test worthless, so it fails it."""
        self.fault = fault
        self.requests.clear()
        try:
            yield fault
            never = [one for one in getattr(fault, "faults", [fault]) if not one.fired]
            assert not never, f"{never} never fired; requests: {self.requests}"
        finally:
            self.fault = None

    def close(self) -> None:
        self._listener.close()
        for one in list(self._open):
            _shut(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self._upstream)
        self._open |= {client, server}
        connection = _Connection(client, server)
        replies = threading.Thread(target=connection.forward_replies, daemon=True)
        replies.start()
        try:
            while data := client.recv(1 << 20):
                if found := REQUEST.match(data):
                    line = f"{found[1].decode()} {found[2].decode()}"
                    self.requests.append(line)
                    fault = self.fault
                    connection.begin(fault.choose(line) if fault is not None else None)
                    if connection.fault is not None and not connection.fault.on_request(client):
                        break
                server.sendall(data)
        except OSError:
            pass
        finally:
            _shut(client)
            _shut(server)
            replies.join(5)
            self._open -= {client, server}


class _Connection:
    """One client's connection and the fault of the request that is on its way."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client = client
        self._server = server
        self.fault: Fault | None = None
        self._sent = 0

    def begin(self, fault: Fault | None) -> None:
        self.fault = fault
        self._sent = 0

    def forward_replies(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(1 << 16):
                passed = data if self.fault is None else self.fault.on_reply(data, self._sent, self._client)
                if passed is None:
                    break
                self._client.sendall(passed)
                self._sent += len(data)
        _shut(self._client)
        _shut(self._server)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
