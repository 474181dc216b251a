"""`keepfit new NAME`."""

from pathlib import Path


def create_project(root: Path, name: str) -> Path:
    """Later."""
    raise NotImplementedError
