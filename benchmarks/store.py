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
from unittest.mock import patch

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore, open_store
from tests.servers.seaweed import S3Server, start_s3_server

LARGE_BYTES = 100_000_000
SMALL_BYTES = 4096
SMALL_COUNT = 1000

Way = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One line of the table; `ratio` is our time over the plain way's: below 1 we are faster."""

    store: str
    work: str
    ours_s: float
    plain: str
    plain_s: float
    ratio: float


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
    plain = folder / "plain"
    plain.mkdir()
    times = _Times("file://")
    for repeat in range(repeats):
        source, blobs = _make_content(folder, repeat)
        copy, out = plain / "large", folder / "out"
        times.turn(
            "put 100 MB",
            {
                "ours": lambda: store.put_file(source, "a/b"),
                "copyfile + fsync": lambda: _sync(Path(shutil.copyfile(source, copy))),
                "copyfile": lambda: shutil.copyfile(source, plain / "unsynced"),
            },
            repeat,
        )
        ref = store.put_file(source, "a/b")
        times.turn(
            "get 100 MB",
            {
                "ours": lambda: store.fetch(ref, out),
                "copyfile + fsync": lambda: _sync(Path(shutil.copyfile(copy, plain / "out"))),
                "copyfile": lambda: shutil.copyfile(copy, plain / "out2"),
            },
            repeat,
        )
        names = [plain / str(number) for number in range(SMALL_COUNT)]
        times.turn(
            f"put {SMALL_COUNT} x 4 KB",
            {
                "ours": lambda: _put_all(store, blobs),
                "write + fsync": lambda: [_write_synced(path, blob) for path, blob in zip(names, blobs, strict=True)],
                "write": lambda: [
                    path.with_suffix(".u").write_bytes(blob) for path, blob in zip(names, blobs, strict=True)
                ],
            },
            repeat,
        )
        refs = _put_all(store, blobs)
        times.turn(
            f"get {SMALL_COUNT} x 4 KB",
            {"ours": lambda: [store.read(one) for one in refs], "read": lambda: [path.read_bytes() for path in names]},
            repeat,
        )
    return times.rows()


def _measure_s3(server: S3Server, folder: Path, repeats: int) -> list[Row]:
    bucket = server.make_bucket()
    store = open_store(f"s3://{bucket}/keepfit")
    client = server.client()
    times = _Times("s3://")
    for repeat in range(repeats):
        source, blobs = _make_content(folder, 1000 + repeat)
        out, key = folder / "out", f"plain/{repeat}"
        times.turn(
            "put 100 MB",
            {
                "ours": lambda: store.put_file(source, "a/b"),
                "boto3 upload_file": lambda: client.upload_file(str(source), bucket, key),
                "boto3 put_object": lambda: _put_object(client, bucket, f"{key}-whole", source),
            },
            repeat,
        )
        ref = store.put_file(source, "a/b")
        times.turn(
            "get 100 MB",
            {
                "ours": lambda: store.fetch(ref, out),
                "boto3 download_file": lambda: client.download_file(bucket, key, str(folder / "out2")),
                "boto3 get_object": lambda: client.get_object(Bucket=bucket, Key=key)["Body"].read(),
            },
            repeat,
        )
        keys = [f"{key}/{number}" for number in range(SMALL_COUNT)]
        times.turn(
            f"put {SMALL_COUNT} x 4 KB",
            {
                "ours": lambda: _put_all(store, blobs),
                "boto3 put_object": lambda: [
                    client.put_object(Bucket=bucket, Key=one, Body=blob) for one, blob in zip(keys, blobs, strict=True)
                ],
            },
            repeat,
        )
        refs = _put_all(store, blobs)
        times.turn(
            f"get {SMALL_COUNT} x 4 KB",
            {
                "ours": lambda: [store.read(one) for one in refs],
                "boto3 get_object": lambda: [client.get_object(Bucket=bucket, Key=one)["Body"].read() for one in keys],
            },
            repeat,
        )
        store.delete(ref.digest)
        client.delete_object(Bucket=bucket, Key=key)
        client.delete_object(Bucket=bucket, Key=f"{key}-whole")
    return times.rows()


class _Times:
    """The seconds of each way of doing each work."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._seconds: dict[str, dict[str, list[float]]] = {}

    def turn(self, work: str, ways: dict[str, Way], repeat: int) -> None:
        """Do the work once in each way, beginning with another one each time."""
        names = list(ways)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            started = time.perf_counter()
            ways[name]()
            taken = time.perf_counter() - started
            self._seconds.setdefault(work, {}).setdefault(name, []).append(taken)
        print(f"{self._store} {work}: repeat {repeat + 1} done", file=sys.stderr)

    def rows(self) -> list[Row]:
        rows = []
        for work, ways in self._seconds.items():
            medians = {name: statistics.median(seconds) for name, seconds in ways.items()}
            ours = medians.pop("ours")
            rows += [Row(self._store, work, ours, plain, taken, ours / taken) for plain, taken in medians.items()]
        return rows


def _make_content(folder: Path, seed: int) -> tuple[Path, list[bytes]]:
    drawn = random.Random(seed)
    source = folder / "source"
    source.write_bytes(b"".join(drawn.randbytes(LARGE_BYTES // 10) for _ in range(10)))
    _sync(source)
    return source, [drawn.randbytes(SMALL_BYTES) for _ in range(SMALL_COUNT)]


def _put_all(store: BlobStore, blobs: list[bytes]) -> list[ArtifactRef]:
    return [store.put_bytes(blob, "a/b") for blob in blobs]


def _put_object(client: object, bucket: str, key: str, source: Path) -> None:
    with source.open("rb") as body:
        client.put_object(Bucket=bucket, Key=key, Body=body)  # type: ignore[attr-defined]


def _write_synced(path: Path, blob: bytes) -> None:
    path.write_bytes(blob)
    _sync(path)


def _sync(path: Path) -> None:
    for one in (path, path.parent):
        handle = os.open(one, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def format_table(rows: list[Row]) -> str:
    """Return the rows as a table for people."""
    lines = [f"{'store':8} {'work':16} {'ours':>9}   {'plain way':20} {'time':>9} {'ours / plain':>13}"]
    lines += [
        f"{row.store:8} {row.work:16} {row.ours_s:8.3f}s   {row.plain:20} {row.plain_s:8.3f}s {row.ratio:12.2f}x"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
