"""Which code made a version."""

import hashlib
import os
import subprocess
from pathlib import Path

from infra.workspace import open_workspace
from tasks.contracts.release import CodeState, Manifest

ROOT = Path(__file__).parents[2]
CODE = ("*.py", "*.yaml", "*.toml", "*.lock")


def describe_code(project_code: str) -> CodeState:
    """Return the commit, the uncommitted changes and the lock of this checkout.

    Outside a git repository changes are None, and the commit is what KEEPFIT_COMMIT says; the digest of the project's
    own code is always there.
    """
    commit = _git("rev-parse", "HEAD")
    diff = _uncommitted() if commit else ""
    # An image has no repository; its build says what it was made of.
    commit = commit or os.environ.get("KEEPFIT_COMMIT")
    lock = ROOT / "requirements.lock"
    return CodeState(
        commit=commit.strip() if commit else None,
        dirty_diff=open_workspace().store.put_bytes(diff.encode(), "text/x-diff") if diff else None,
        lock=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
        project_code=project_code,
    )


def version_key(manifest: Manifest) -> str:
    """Return what makes two registrations one: the same model from the same rows under the same spec."""
    parts = (manifest.model.content, manifest.snapshot.digest, manifest.split.test_digest, manifest.spec.digest)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _uncommitted() -> str:
    """Return the changes since the commit, files that git does not track yet included, as one patch."""
    plain = ("--no-ext-diff", "--no-color")
    changed = _git("diff", *plain, "HEAD", "--", *CODE) or ""
    untracked = (_git("ls-files", "--others", "--exclude-standard", "--", *CODE) or "").splitlines()
    added = (
        _git("diff", *plain, "--no-index", "--", "/dev/null", name, fine=(0, 1)) or "" for name in sorted(untracked)
    )
    return changed + "".join(added)


def _git(*arguments: str, fine: tuple[int, ...] = (0,)) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in fine else None
