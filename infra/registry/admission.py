"""What may enter the registry: names, digests, texts and JSON, checked before any SQL is made of them."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from infra.errors import UsageError

PROJECT = re.compile(r"[a-z][a-z0-9_-]{0,62}")
DIGEST = re.compile(r"[0-9a-f]{64}")
RUN_ID = re.compile(r"[0-9a-f]{32}")
TEXT_LIMIT = 1_000
ERROR_LIMIT = 4_000
JSON_LIMIT_BYTES = 4_000_000


def check_project(project: str) -> str:
    """Return the name of a project. Raises UsageError unless it is safe in a path, a URL and a table."""
    if not PROJECT.fullmatch(project):
        raise UsageError(
            f"project: expected a small letter, then up to 62 small letters, digits, _ or -; received {project[:80]!r}.",
            remedy="`keepfit projects` lists what there is.",
        )
    return project


def check_digest(digest: str, name: str) -> str:
    """Return a SHA-256 in lower-case hexadecimal. Raises UsageError for anything else."""
    if not DIGEST.fullmatch(digest):
        raise UsageError(f"{name}: expected 64 hexadecimal digits in lower case, received {digest[:80]!r}.")
    return digest


def check_run_id(run_id: str) -> str:
    """Return the id of a run. Raises UsageError unless it is 32 hexadecimal digits."""
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(f"run id: expected 32 hexadecimal digits in lower case, received {run_id[:80]!r}.")
    return run_id


def check_text(text: str, name: str, *, limit: int = TEXT_LIMIT, empty: bool = True) -> str:
    """Return a text that both databases can hold. Raises UsageError if it is too long, empty or not encodable."""
    if len(text) > limit:
        raise UsageError(f"{name}: expected at most {limit} characters, received {len(text)}.")
    if not text and not empty:
        raise UsageError(f"{name}: expected some text, received none.")
    if text != _encodable(text):
        raise UsageError(f"{name}: expected text without NUL and lone surrogates, received {text[:80]!r}.")
    return text


def check_window(window: str) -> str:
    """Return the name of a window. Raises UsageError if it is empty or too long."""
    return check_text(window, "window", limit=100, empty=False)


def check_actor(actor: str) -> str:
    """Return who acts. Raises UsageError if it is empty or too long."""
    return check_text(actor, "actor", limit=200, empty=False)


def check_time(when: datetime, name: str) -> datetime:
    """Return the time in UTC. Raises UsageError for a time without a zone."""
    if when.tzinfo is None:
        raise UsageError(f"{name}: expected a time with a zone, received {when.isoformat()!r}.", remedy="Add +00:00.")
    return when.astimezone(UTC)


def clip_text(text: str | None, limit: int = ERROR_LIMIT) -> str | None:
    """Return the text cut to `limit`. For errors: a failure is recorded however long its message is."""
    return None if text is None else _encodable(text)[:limit]


def check_json(value: Mapping[str, object], name: str) -> dict[str, object]:
    """Return the value. Raises UsageError unless it is JSON without NaN and of bounded size."""
    try:
        size = len(encode_json(value))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}: expected plain JSON without NaN and infinity: {error}.") from error
    if size > JSON_LIMIT_BYTES:
        raise UsageError(
            f"{name}: expected at most {JSON_LIMIT_BYTES:,} bytes of JSON, received {size:,}.",
            remedy="Put the bulk into the object store and keep its reference.",
        )
    return dict(value)


def encode_json(value: object) -> str:
    """Return the one JSON text of a value: keys sorted, ASCII only, no spaces, no NaN.

    >>> encode_json({"b": 1, "a": "é"})
    '{"a":"\\\\u00e9","b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _encodable(text: str) -> str:
    return text.replace("\x00", "�").encode("utf-8", "replace").decode("utf-8")
