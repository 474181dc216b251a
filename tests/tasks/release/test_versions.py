import hashlib
import subprocess
from pathlib import Path

import pytest

from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.release import CodeState
from tasks.release import versions
from tasks.release.versions import describe_code, version_key
from tests.tasks.release.builders import NOON, blob, make_manifest

CODE = "f" * 64
MANIFEST = make_manifest()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return an empty folder that stands for the checkout, with a store beside it."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.setattr(versions, "ROOT", folder)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("KEEPFIT_HOME", str(tmp_path / "home"))
    for once in (load_settings, open_workspace):
        once.cache_clear()
    yield folder
    for once in (load_settings, open_workspace):
        once.cache_clear()


def commit(folder: Path) -> str:
    """Make the folder a git repository with all its files; return the commit."""
    git = ["git", "-C", str(folder), "-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_outside_a_git_repository_the_projects_code_still_has_its_digest(checkout):
    assert describe_code(CODE) == CodeState(commit=None, dirty_diff=None, lock=None, project_code=CODE)


def test_without_git_the_code_is_described_as_outside_a_repository(checkout, monkeypatch):
    monkeypatch.setenv("PATH", str(checkout))
    assert describe_code(CODE).commit is None


def test_a_clean_checkout_is_its_commit_and_its_lock(checkout):
    (checkout / "requirements.lock").write_text("a==1\n")
    head = commit(checkout)
    state = describe_code(CODE)
    assert (state.commit, state.dirty_diff) == (head, None)
    assert state.lock == hashlib.sha256(b"a==1\n").hexdigest()


def test_uncommitted_changes_of_code_are_kept_as_a_diff(checkout):
    for name in ("model.py", "notes.txt"):
        (checkout / name).write_text("before\n")
    commit(checkout)
    for name in ("model.py", "notes.txt"):
        (checkout / name).write_text("after\n")
    diff = describe_code(CODE).dirty_diff
    assert (checkout.parent / "home" / "store" / diff.key).exists()
    text = open_workspace().store.read(diff).decode()
    assert "-before\n+after\n" in text
    assert "notes.txt" not in text


def test_a_file_that_git_does_not_track_yet_is_in_the_diff(checkout):
    (checkout / "model.py").write_text("before\n")
    commit(checkout)
    (checkout / "fresh.py").write_text("answer = 42\n")
    state = describe_code(CODE)
    assert "answer = 42" in open_workspace().store.read(state.dirty_diff).decode()


@pytest.mark.parametrize(
    "changed",
    [
        {"model": MANIFEST.model.model_copy(update={"content": "0" * 64})},
        {"snapshot": MANIFEST.snapshot.model_copy(update={"digest": "0" * 64})},
        {"split": MANIFEST.split.model_copy(update={"test_digest": "0" * 64})},
        {"spec": blob("0")},
    ],
    ids=["model", "snapshot", "test rows", "spec"],
)
def test_another_model_other_rows_or_another_spec_is_another_version(changed):
    assert version_key(make_manifest(**changed)) != version_key(MANIFEST)


@pytest.mark.parametrize(
    "changed",
    [
        {"model": MANIFEST.model.model_copy(update={"artifact": blob("0"), "fit_seconds": 9.0})},
        {"snapshot": MANIFEST.snapshot.model_copy(update={"taken_at": NOON.replace(year=2027), "is_new": False})},
        {"code": CodeState(commit="0" * 40, lock=None, project_code=CODE)},
        {"fit": MANIFEST.fit.model_copy(update={"seconds": 9.0})},
    ],
    ids=["archive bytes", "time", "commit", "duration"],
)
def test_the_same_model_from_the_same_rows_is_the_same_version_whenever_it_was_made(changed):
    assert version_key(make_manifest(**changed)) == version_key(MANIFEST)


def test_a_repository_without_a_commit_is_no_commit_called_head(checkout):
    subprocess.run(["git", "-C", str(checkout), "init", "-q"], check=True)
    assert describe_code(CODE).commit is None


def test_an_image_without_a_repository_says_which_commit_it_was_made_of(checkout, monkeypatch):
    assert describe_code(CODE).commit is None
    monkeypatch.setenv("KEEPFIT_COMMIT", "abc123")
    assert describe_code(CODE).commit == "abc123"
