"""Put and get of 100 MB and of 1,000 objects of 4 KB: our store beside plain file copies and plain boto3.

Run with `python -m benchmarks.store`; `--json` for a program. The S3 server is a real SeaweedFS on this machine. Every
repeat writes new content; the ways take turns within a repeat, in rotating order, and the median of the repeats counts.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore, open_store
from tests.servers.seaweed import S3Server, start_s3_server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LARGE_BYTES = 100_000_000
SMALL_BYTES = 4096
SMALL_COUNT = 1000

Way = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is our wall time over the plain way's: below 1 we are faster."""

    store: str
    work: str
    plain: str
    ours_s: float
    plain_s: float
    ratio: float
    ours_cpu_s: float
    plain_cpu_s: float


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args(arguments)
    rows = measure(chosen.repeats)
    print(json.dumps([asdict(row) for row in rows], indent=2) if chosen.json else format_table(rows))
    return 0


def measure(repeats: int = 5) -> list[Row]:
    """Return the rows for both stores."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = start_s3_server(folder / "server")
        try:
            with patch.dict(os.environ, server.env):
                return [*_measure_files(folder, repeats), *_measure_s3(server, folder, repeats)]
        finally:
            server.stop()


def _measure_files(folder: Path, repeats: int) -> list[Row]:
    store = open_store((folder / "store").as_uri())
    times = _Times("file://")
    for repeat in range(repeats):
        _copy_files(store, folder, repeat, times)
    return times.rows()


def _copy_files(store: BlobStore, folder: Path, repeat: int, times: "_Times") -> None:
    source, blobs = _make_content(folder, repeat)
    plain = folder / f"plain-{repeat}"
    plain.mkdir()
    copy = plain / "large"
    synced = [(plain / str(number), blob) for number, blob in enumerate(blobs)]
    times.turn(
        "put 100 MB",
        {
            "ours": lambda: store.put_file(source, "a/b"),
            "copyfile + fsync": lambda: _copy_synced(source, copy),
            "copyfile": lambda: shutil.copyfile(source, plain / "unsynced"),
        },
        repeat,
    )
    ref = store.put_file(source, "a/b")
    times.turn(
        "get 100 MB",
        {
            "ours": lambda: store.fetch(ref, plain / "fetched"),
            "copyfile + fsync": lambda: _copy_synced(copy, plain / "copied"),
            "copyfile": lambda: shutil.copyfile(copy, plain / "copied unsynced"),
        },
        repeat,
    )
    times.turn(
        f"put {SMALL_COUNT} x 4 KB",
        {
            "ours": lambda: _put_all(store, blobs),
            "write + fsync": lambda: _write_all_synced(synced),
            "write": lambda: [path.with_suffix(".unsynced").write_bytes(blob) for path, blob in synced],
        },
        repeat,
    )
    refs = _put_all(store, blobs)
    times.turn(
        f"get {SMALL_COUNT} x 4 KB",
        {"ours": lambda: [store.read(one) for one in refs], "read": lambda: [path.read_bytes() for path, _ in synced]},
        repeat,
    )
    store.delete(ref.digest)
    shutil.rmtree(plain)


def _measure_s3(server: S3Server, folder: Path, repeats: int) -> list[Row]:
    bucket = server.make_bucket()
    store = open_store(f"s3://{bucket}/keepfit")
    client = server.client()
    times = _Times("s3://")
    for repeat in range(repeats):
        _copy_objects(store, client, bucket=bucket, folder=folder, repeat=repeat, times=times)
    return times.rows()


def _copy_objects(
    store: BlobStore, client: "S3Client", *, bucket: str, folder: Path, repeat: int, times: "_Times"
) -> None:
    source, blobs = _make_content(folder, 1000 + repeat)
    large, whole = f"plain/{repeat}", f"plain/{repeat}-whole"
    named = [(f"plain/{repeat}/{blob[:8].hex()}", blob) for blob in blobs]

    def get(key: str) -> bytes:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()

    times.turn(
        "put 100 MB",
        {
            "ours": lambda: store.put_file(source, "a/b"),
            "boto3 upload_file": lambda: client.upload_file(str(source), bucket, large),
            "boto3 put_object": lambda: client.put_object(Bucket=bucket, Key=whole, Body=source.read_bytes()),
        },
        repeat,
    )
    ref = store.put_file(source, "a/b")
    times.turn(
        "get 100 MB",
        {
            "ours": lambda: store.fetch(ref, folder / "fetched"),
            "boto3 download_file": lambda: client.download_file(bucket, large, str(folder / "downloaded")),
            "boto3 get_object": lambda: (folder / "got").write_bytes(get(whole)),
        },
        repeat,
    )
    times.turn(
        f"put {SMALL_COUNT} x 4 KB",
        {
            "ours": lambda: _put_all(store, blobs),
            "boto3 put_object": lambda: [client.put_object(Bucket=bucket, Key=key, Body=blob) for key, blob in named],
        },
        repeat,
    )
    refs = _put_all(store, blobs)
    times.turn(
        f"get {SMALL_COUNT} x 4 KB",
        {"ours": lambda: [store.read(one) for one in refs], "boto3 get_object": lambda: [get(key) for key, _ in named]},
        repeat,
    )
    store.delete(ref.digest)
    for key in (large, whole):
        client.delete_object(Bucket=bucket, Key=key)


class _Times:
    """Wall and CPU seconds of each way of doing each work."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._taken: dict[str, dict[str, list[tuple[float, float]]]] = {}

    def turn(self, work: str, ways: dict[str, Way], repeat: int) -> None:
        """Do the work once in each way, beginning with another one each time."""
        names = list(ways)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            wall, cpu = time.perf_counter(), time.process_time()
            ways[name]()
            taken = (time.perf_counter() - wall, time.process_time() - cpu)
            self._taken.setdefault(work, {}).setdefault(name, []).append(taken)
        print(f"{self._store} {work}: repeat {repeat + 1} done", file=sys.stderr)

    def rows(self) -> list[Row]:
        rows = []
        for work, ways in self._taken.items():
            wall = {name: statistics.median(one for one, _ in taken) for name, taken in ways.items()}
            cpu = {name: statistics.median(one for _, one in taken) for name, taken in ways.items()}
            rows += [
                Row(
                    self._store,
                    work,
                    plain,
                    wall["ours"],
                    wall[plain],
                    wall["ours"] / wall[plain],
                    cpu["ours"],
                    cpu[plain],
                )
                for plain in wall
                if plain != "ours"
            ]
        return rows


def _make_content(folder: Path, seed: int) -> tuple[Path, list[bytes]]:
    drawn = random.Random(seed)
    source = folder / "source"
    source.write_bytes(b"".join(drawn.randbytes(LARGE_BYTES // 10) for _ in range(10)))
    _sync(source)
    return source, [drawn.randbytes(SMALL_BYTES) for _ in range(SMALL_COUNT)]


def _put_all(store: BlobStore, blobs: list[bytes]) -> list[ArtifactRef]:
    return [store.put_bytes(blob, "a/b") for blob in blobs]


def _write_all_synced(files: list[tuple[Path, bytes]]) -> None:
    for path, blob in files:
        path.write_bytes(blob)
        _sync(path)


def _copy_synced(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    _sync(target)


def _sync(path: Path) -> None:
    for one in (path, path.parent):
        handle = os.open(one, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def format_table(rows: list[Row]) -> str:
    """Return the rows as a table for people."""
    head = (
        f"{'store':8} {'work':14} {'beside':20} {'ours':>8} {'plain':>8} {'ratio':>7} {'our CPU':>8} {'plain CPU':>10}"
    )
    lines = [head] + [
        f"{row.store:8} {row.work:14} {row.plain:20} {row.ours_s:7.3f}s {row.plain_s:7.3f}s {row.ratio:6.2f}x"
        f" {row.ours_cpu_s:7.3f}s {row.plain_cpu_s:9.3f}s"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
