"""Files that somebody else made, with what they learnt: found without running any code, and held against their digest."""

import hashlib
import importlib.util
from pathlib import Path

from infra.errors import IntegrityError, SpecError


def find_file(package: str | None, inside: str, folder: Path, digest: str, *, key: str) -> Path:
    """Return the path of a file whose content is as its digest says.

    Parameters
    ----------
    package
        Installed package that holds it; None: the folder does.
    inside
        Its path in there.
    digest
        SHA-256 of its content.
    key
        What of project.yaml asks for it, for messages.

    Raises
    ------
    SpecError
        The package or the file is not there.
    IntegrityError
        It is another file.
    """
    if package is not None:
        # Located, not imported.
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise SpecError(f"{key}.package: {package} is not installed.", remedy="Install it, or give a file.")
        folder = Path(found.origin).parent
    path = folder / inside
    if not path.is_file():
        raise SpecError(f"{key}: no file {inside} in {package or folder}.")
    return _verify(path, digest)


def _verify(path: Path, digest: str) -> Path:
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != digest:
        raise IntegrityError(
            f"{path.name}: expected the SHA-256 {digest[:12]}…, received {found[:12]}….",
            remedy="It is another file. Give the right one; change `digest` only if you know where this one is from.",
        )
    return path
