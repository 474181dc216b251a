"""Questions to Prefect's server in plain HTTP: its own client takes seconds to import."""

import base64
import json
import urllib.request
from http.client import HTTPException
from typing import Any, Final

from infra.stack.state import StackState

TIMEOUT_S: Final = 5.0
CLIENT: Final = "keepfit-up"


def ask_server(state: StackState, path: str, body: object = None) -> Any:
    """Return what the server answers to a GET, or with a body to a POST; None where it does not answer."""
    headers = {"Authorization": f"Basic {base64.b64encode(state.sign_in.encode()).decode()}"}
    try:
        if body is None:
            return _send(state, path, headers, None)
        token = _send(state, f"/csrf-token?client={CLIENT}", headers, None)["token"]
        headers |= {"Prefect-Csrf-Client": CLIENT, "Prefect-Csrf-Token": token, "Content-Type": "application/json"}
        return _send(state, path, headers, json.dumps(body).encode())
    except (OSError, HTTPException, ValueError):  # URLError is an OSError; something else may listen there
        return None


def _send(state: StackState, path: str, headers: dict[str, str], data: bytes | None) -> Any:
    request = urllib.request.Request(f"{state.ui}/api{path}", data, headers)  # noqa: S310 - http on loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy on the way to this machine
    with opener.open(request, timeout=TIMEOUT_S) as reply:
        return json.loads(reply.read())
