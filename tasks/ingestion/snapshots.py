"""A snapshot's name and file: see `infra.frames`, which every stage shares."""

from infra.frames import digest_frame, read_parquet, write_parquet

__all__ = ["digest_frame", "read_parquet", "write_parquet"]
