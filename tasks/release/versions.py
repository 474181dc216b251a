"""Which code made a version."""

import hashlib
import subprocess
from pathlib import Path

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore
from infra.workspace import open_workspace
from tasks.contracts.release import CodeState, Manifest

ROOT = Path(__file__).parents[2]
MAX_DIFF_BYTES = 5_000_000


def describe_code(project_code: str) -> CodeState:
    """Return the commit, the uncommitted changes and the lock of this checkout.

    Outside a git repository commit and changes are None; the digest of the project's own code is always there.
    """
    commit = _git("rev-parse", "HEAD")
    diff = _git("diff", "HEAD", "--", "*.py", "*.yaml", "*.toml", "*.lock") if commit else None
    lock = ROOT / "requirements.lock"
    return CodeState(
        commit=commit.strip() if commit else None,
        dirty_diff=_save_diff(open_workspace().store, diff) if diff else None,
        lock=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
        project_code=project_code,
    )


def version_key(manifest: Manifest) -> str:
    """Return what makes two registrations one: the same model from the same rows under the same spec."""
    parts = (manifest.model.content, manifest.snapshot.digest, manifest.split.test_digest, manifest.spec.digest)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _save_diff(store: BlobStore, diff: str) -> ArtifactRef:
    return store.put_bytes(diff.encode()[:MAX_DIFF_BYTES], "text/x-diff")


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
