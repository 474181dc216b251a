"""What went wrong with an S3 server: worth another attempt or not, and how to say it without a secret."""

import io
import logging
import random
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import TypeVar

from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from infra.errors import BlobNotFound, StoreError, StoreRefused, StoreUnavailable

log = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")

ANY_FAULT = (boto.BotoCoreError, boto.ClientError, HTTPError, HTTPException, OSError)
"""Everything that a request or the reading of its body may raise."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0

_TRY_AGAIN_STATUS = {408, 409, 425, 429}
_TRY_AGAIN_CODE = {
    "BadDigest",
    "IncompleteBody",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}
_NEVER_AGAIN = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.ParamValidationError,
    boto.ProfileNotFound,
    boto.ConfigNotFound,
    boto.ConfigParseError,
    boto.InvalidConfigError,
    boto.NoRegionError,
)
_CREDENTIALS = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile or role in use."
_REGION = "Set AWS_REGION to the bucket's region and AWS_ENDPOINT_URL_S3 to its server."
_REMEDIES = {
    "AccessDenied": "These credentials may not do that: they need to read, write, list and delete in this bucket.",
    "AuthorizationHeaderMalformed": _REGION,
    "ExpiredToken": "The credentials have expired: log in again.",
    "NoSuchBucket": "Create the bucket, or correct KEEPFIT_STORE_URL and AWS_ENDPOINT_URL_S3.",
    "NotImplemented": "The server cannot do conditional puts. Use one that can (AWS S3, SeaweedFS 4, MinIO).",
    "PermanentRedirect": _REGION,
    "RequestTimeTooSkewed": "Set this machine's clock.",
}


class AlreadyThere(StoreError):
    """A conditional put found the key taken: by the same bytes, or by our own put whose reply was lost."""


class Deadline:
    """The seconds that one operation may take, all of its requests and pauses together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        return self._end - time.monotonic()


class TimedBody(io.BytesIO):
    """Bytes on their way up, until the deadline: a server that takes them slowly never trips a socket's time limit."""

    def __init__(self, data: bytes, deadline: Deadline) -> None:
        super().__init__(data)
        self._deadline = deadline

    def read(self, size: int | None = -1, /) -> bytes:
        if self._deadline.left_s <= 0:
            raise TimeoutError("the deadline passed while the body was sent")
        return super().read(size)


class Retry:
    """Pauses of one operation between attempts: exponential with full jitter, until its deadline.

    See Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, deadline: Deadline, action: str, where: str) -> None:
        self._deadline = deadline
        self._action = action
        self._where = where
        self._longest_s = FIRST_PAUSE_S
        self._jitter = random.SystemRandom()

    def pause(self, fault: Exception) -> None:
        """Return when it is time for the next attempt; raise if there is none."""
        if not is_transient(fault):
            raise explain(fault, self._action, self._where) from fault
        pause_s = self._jitter.uniform(0, self._longest_s)
        if self._deadline.left_s <= pause_s:
            raise self._too_late(name_fault(fault)) from fault
        log.warning("%s: %s failed with %s; again in %.1f s", self._where, self._action, name_fault(fault), pause_s)
        time.sleep(pause_s)
        self._longest_s = min(LONGEST_PAUSE_S, 2 * self._longest_s)

    def progress(self) -> None:
        """Note that something came: pauses are short again, but the deadline holds for a trickle as well."""
        self._longest_s = FIRST_PAUSE_S
        if self._deadline.left_s <= 0:
            raise self._too_late("it went on too slowly")

    def _too_late(self, reason: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._where}: cannot {self._action} within {self._deadline.seconds:g} s; at last: {reason}.",
            remedy="See that the server runs and can be reached, or raise KEEPFIT_STORE_DEADLINE_S.",
        )


def persist(attempt: Callable[[], Outcome], deadline: Deadline, action: str, where: str) -> Outcome:
    """Return what `attempt` returns, tried again after transient faults until `deadline`.

    Raises
    ------
    BlobNotFound, AlreadyThere, StoreRefused
        At once: another attempt would end the same way.
    StoreUnavailable
        The deadline has passed.
    """
    retry = Retry(deadline, action, where)
    while True:
        try:
            return attempt()
        except ANY_FAULT as fault:
            retry.pause(fault)


def is_transient(fault: Exception) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(fault, boto.ClientError):
        status, code = _answer(fault)
        return (status >= 500 and status != 501) or status in _TRY_AGAIN_STATUS or code in _TRY_AGAIN_CODE
    return not isinstance(fault, _NEVER_AGAIN)


def explain(fault: Exception, action: str, where: str) -> StoreError:
    """Return the error that says what happened; only names and codes of the original, as its text may hold secrets."""
    message = f"{where}: cannot {action}: {name_fault(fault)}."
    if not isinstance(fault, boto.ClientError):
        return StoreRefused(message, remedy=_CREDENTIALS)
    status, code = _answer(fault)
    if code in {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}:
        return BlobNotFound(
            f"{where}: there is no such object.",
            remedy="Check KEEPFIT_STORE_URL; run `keepfit doctor` to list what else is missing.",
        )
    if status == 412:
        return AlreadyThere(message)
    remedy = _REMEDIES.get("AccessDenied" if code == "403" else code)
    return StoreRefused(message, remedy=remedy or (_CREDENTIALS if status in {401, 403} else ""))


def name_fault(fault: Exception) -> str:
    """Return a fault's code and status, or its class.

    >>> name_fault(boto.ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "Put"))
    'SlowDown (status 503)'
    """
    if isinstance(fault, boto.ClientError):
        status, code = _answer(fault)
        return f"{code} (status {status})"
    return type(fault).__name__


def _answer(fault: boto.ClientError) -> tuple[int, str]:
    response = fault.response
    return response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), response.get("Error", {}).get("Code", "")
