"""What a killed writer, a full disk or a forbidden folder leave behind: FAULTS 2 and 8, in real processes."""

import os
import signal
import stat
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from infra.artifacts.hashing import digest_bytes
from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore, open_store
from infra.errors import StoreUnavailable
from tests.infra.artifacts.conftest import StoreUnderTest

PUT = """
import sys
from pathlib import Path
from infra.artifacts.store import open_store
print(open_store(sys.argv[1]).put_file(Path(sys.argv[2]), "text/plain").digest)
"""
PUT_WITH_SMALL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n" + PUT


def put(url: str, source: Path, script: str = PUT, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, url, str(source)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("size_bytes", [100, 20_000_000], ids=["small", "large"])
def test_a_writer_killed_before_publishing_leaves_nothing_under_a_final_name(
    under_test: StoreUnderTest, size_bytes: int, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size_bytes))
    ref = ArtifactRef(digest=digest_bytes(source.read_bytes()), size_bytes=size_bytes, media_type="text/plain")

    killed = put(under_test.url, source, KEEPFIT_FAULT_POINT="store.before_publish")

    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not under_test.store.has(ref)
    assert list(under_test.store.list_blobs()) == []
    assert put(under_test.url, source).stdout.strip() == ref.digest
    assert under_test.store.read(ref) == source.read_bytes()


def test_what_a_killed_writer_leaves_is_cleared_when_it_is_old_enough(under_test: StoreUnderTest, tmp_path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20_000_000))
    kept = under_test.store.put_bytes(b"kept", "text/plain")
    put(under_test.url, source, KEEPFIT_FAULT_POINT="store.before_publish")
    time.sleep(1.1)

    assert under_test.store.clear_partial(timedelta(hours=1)) == 0
    assert under_test.store.clear_partial(timedelta(seconds=0.1)) == 1
    assert under_test.store.clear_partial(timedelta(seconds=0.1)) == 0
    assert under_test.names() == [kept.key]


def test_a_full_disk_is_said_and_leaves_no_torn_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(2_000_000))
    url = (tmp_path / "store").as_uri()

    failed = put(url, source, PUT_WITH_SMALL_DISK)

    assert failed.returncode == 1
    assert "StoreUnavailable" in failed.stderr
    assert "File too large" in failed.stderr
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert put(url, source).stdout.strip() == digest_bytes(source.read_bytes())


def test_a_target_that_cannot_be_written_is_said(store: BlobStore, tmp_path: Path) -> None:
    ref = store.put_bytes(b"x", "text/plain")
    (tmp_path / "file").write_bytes(b"in the way")

    with pytest.raises(StoreUnavailable, match=r"file/target: cannot be written: (Not a directory|File exists)"):
        store.fetch(ref, tmp_path / "file" / "target")


def test_a_store_in_the_place_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"in the way")

    with pytest.raises(StoreUnavailable, match=r"cannot write sha256/.*: (Not a directory|File exists)"):
        open_store((tmp_path / "store").as_uri()).put_bytes(b"x", "text/plain")


def test_nobody_else_may_look_into_a_local_store(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    store.put_bytes(b"x", "text/plain")
    (tmp_path / "source").write_bytes(b"y")
    store.put_file(tmp_path / "source", "text/plain")

    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in [tmp_path / "store", *tmp_path.glob("store/**/*")]
    }

    assert modes == {(True, 0o700), (False, 0o600)}


def test_a_local_put_of_what_is_there_makes_it_young_again(tmp_path: Path) -> None:
    store = open_store((tmp_path / "store").as_uri())
    ref = store.put_bytes(b"x", "text/plain")
    os.utime(tmp_path / "store" / ref.key, (0, 0))

    store.put_bytes(b"x", "text/plain")

    assert time.time() - next(iter(store.list_blobs())).modified_at.timestamp() < 60


MEASURE = """
import resource, sys
from pathlib import Path
from infra.artifacts.store import open_store
source, target = Path(sys.argv[2]), Path(sys.argv[2] + ".fetched")
store = open_store(sys.argv[1])
store.put_bytes(b"warm", "text/plain")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.fetch(store.put_file(source, "text/plain"), target)
assert target.stat().st_size == source.stat().st_size
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_large_file_goes_both_ways_in_bounded_memory(under_test: StoreUnderTest, tmp_path: Path) -> None:
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(250_000_000)

    measured = put(under_test.url, source, MEASURE)

    assert measured.returncode == 0, measured.stderr
    grown_kb = int(measured.stdout)
    # Five parts of 16 MiB on their way and what sends them; a copy of the file would be 244,000.
    assert grown_kb < 150_000
