"""Addresses at which a browser reads one blob."""

import os
import time
import urllib.request
from datetime import timedelta
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import LONGEST_LINK, BlobStore, open_store
from infra.errors import UsageError
from tests.infra.artifacts.conftest import StoreUnderTest

PAGE = b"<!doctype html><title>iris@7</title>"
HTML = "text/html; charset=utf-8"


def test_a_link_gives_the_bytes_to_whoever_has_it(under_test: StoreUnderTest) -> None:
    link = under_test.store.link(under_test.store.put_bytes(PAGE, HTML), LONGEST_LINK)
    with urllib.request.urlopen(link) as reply:
        assert reply.read() == PAGE
        if link.startswith("http"):
            assert reply.headers["content-type"] == HTML


@pytest.mark.parametrize("expires", [timedelta(0), timedelta(days=7, seconds=1)], ids=["no time", "too long"])
def test_a_link_lives_a_second_to_seven_days(store: BlobStore, expires: timedelta) -> None:
    ref = store.put_bytes(PAGE, HTML)
    with pytest.raises(UsageError, match="expected 1 second to 7 days"):
        store.link(ref, expires)


@pytest.mark.servers
def test_a_link_to_a_bucket_holds_no_secret_opens_nothing_else_and_ends(s3_store_url: str) -> None:
    store = open_store(s3_store_url)
    mine, other = store.put_bytes(PAGE, HTML), store.put_bytes(b"other", HTML)
    link = store.link(mine, timedelta(seconds=2))
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in link
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["2"]
    assert _status(link.replace(mine.digest, other.digest).replace(_folder(mine), _folder(other))) == 403
    assert _status(link) == 200
    time.sleep(3)
    assert _status(link) == 403


def _folder(ref: ArtifactRef) -> str:
    return f"/sha256/{ref.digest[:2]}/"


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url) as reply:
            return int(reply.status)
    except HTTPError as error:
        with error:
            return error.code
