"""Ports of the stack: chosen once, then looked at before each start."""

import contextlib
import secrets
import socket
from typing import Final

import psutil

from infra.stack.state import LOOPBACK, Ports

PREFECT_UI: Final = 4200
GRPC_OFFSET: Final = 10_000
FIRST, LAST = 20_000, 30_000
"""Below the range from which systems take ports for outgoing connections, with the partner above free as well."""


def choose_ports(*, usual: bool) -> Ports:
    """Return free ports, each with a free partner GRPC_OFFSET higher.

    Parameters
    ----------
    usual
        Whether Prefect's is to be its usual one, where that is free.
    """
    with contextlib.ExitStack() as held:
        names = [name for name in Ports.model_fields if name != "prefect"]
        chosen = {name: _hold_pair(held) for name in names}
        prefect = PREFECT_UI if usual and is_free(PREFECT_UI) else _hold_pair(held)
    return Ports(prefect=prefect, **chosen)


def _hold_pair(held: contextlib.ExitStack) -> int:
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with contextlib.suppress(OSError):
            for number in (port, port + GRPC_OFFSET):
                held.enter_context(socket.socket()).bind((LOOPBACK, number))
            return port


def is_free(port: int) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that end are no server
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def name_holder(port: int) -> str:
    """Return who listens on a port, as far as this user may know."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another process"
