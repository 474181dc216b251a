"""Checkpoints in a real store and registry; and a training that is killed, twice, and gone on with elsewhere."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.artifacts.store import BlobStore, open_store
from infra.registry.registry import Registry, open_registry
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.training.checkpoints import StoredCheckpoints
from tests.infra.registry.builders import digest
from tests.tasks.models.examples import no_functions
from tests.tasks.pictures import picture_rows, picture_spec

KEY = digest("a training")
POINTS = ("checkpoint.after_save", "checkpoint.between")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return open_store((tmp_path / "store").as_uri())


@pytest.fixture
def shelf(registry: Registry, store: BlobStore) -> StoredCheckpoints:
    return StoredCheckpoints(registry, store, "iris", "code")


def blobs(store: BlobStore) -> int:
    return len(list(store.list_blobs()))


def test_the_newest_checkpoint_comes_back_and_no_older_one_stays(shelf: StoredCheckpoints, store: BlobStore) -> None:
    for data in (b"first", b"second", b"second"):
        shelf.save(KEY, data)
        assert (shelf.load(KEY), blobs(store)) == (data, 1)


def test_other_code_another_project_and_another_training_find_nothing(
    shelf: StoredCheckpoints, registry: Registry, store: BlobStore
) -> None:
    shelf.save(KEY, b"weights")
    assert StoredCheckpoints(registry, store, "iris", "other code").load(KEY) is None
    assert StoredCheckpoints(registry, store, "imdb", "code").load(KEY) is None
    assert shelf.load(digest("another")) is None
    assert shelf.load(KEY) == b"weights"


def path_of(store: BlobStore, root: Path) -> Path:
    (blob,) = store.list_blobs()
    return root / "store" / "sha256" / blob.digest[:2] / blob.digest


def test_a_checkpoint_with_a_flipped_byte_is_refused_and_can_be_made_again(
    shelf: StoredCheckpoints, store: BlobStore, tmp_path: Path, caplog: Any
) -> None:
    shelf.save(KEY, b"weights")
    path = path_of(store, tmp_path)
    path.chmod(0o600)
    path.write_bytes(b"wEights")
    assert shelf.load(KEY) is None
    assert "a checkpoint is not used, training begins anew" in caplog.text
    shelf.save(KEY, b"weights")
    assert shelf.load(KEY) == b"weights"


def test_a_checkpoint_that_is_gone_from_the_store_is_told(
    shelf: StoredCheckpoints, store: BlobStore, tmp_path: Path, caplog: Any
) -> None:
    shelf.save(KEY, b"weights")
    path_of(store, tmp_path).unlink()
    assert shelf.load(KEY) is None
    assert "training begins anew" in caplog.text


def test_a_registry_that_cannot_be_asked_costs_no_training(
    shelf: StoredCheckpoints, tmp_path: Path, caplog: Any
) -> None:
    shelf.save(KEY, b"weights")
    shelf.registry.close()
    for leftover in ("registry.db-wal", "registry.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    (tmp_path / "registry.db").write_bytes(b"no database, and long enough to be seen as none" * 100)
    shelf.save(KEY, b"later")
    assert shelf.load(KEY) is None
    assert "could not be kept, training goes on" in caplog.text
    assert "no checkpoint can be read, training begins anew" in caplog.text


NETWORK = {
    "architecture": {
        "name": "cnn2d", "filters": [2], "units": [3], "dropout": 0.3, "normalise": "batch",
        "augment": {"flip": "horizontal", "rotate": 5},
    },
    "epochs": 4, "batch_size": 8, "validation_share": 0.25, "early_stopping": {"patience": 3}, "checkpoint_steps": 21,
    "schedule": {"name": "plateau", "patience": 1, "min_delta": 1.0},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_after_kill_9_in_mid_epoch_another_process_elsewhere_trains_the_same_network(tmp_path: Path) -> None:
    # What selection fits is too short for a checkpoint: the processes die in the training that counts.
    selection = {"method": "holdout", "holdout_share": 0.5}
    rows, spec = picture_rows(76), picture_spec({"one": {"network": NETWORK}}, selection=selection)
    undisturbed = fit_candidate("one", spec, rows, load=no_functions)
    folder = tmp_path / "projects" / spec.name
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json", exclude_unset=True)))
    rows.to_parquet(tmp_path / "rows.parquet")
    # The first dies in the training that is watched, the second in the one on all rows.
    for kept, (home, point) in enumerate(zip("ab", POINTS, strict=True), start=1):
        killed = train(tmp_path, home, KEEPFIT_FAULT_POINT=point)
        assert killed.returncode == -signal.SIGKILL, f"{point}: the fault did not fire: {killed.stderr}"
        with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
            assert count_checkpoints(registry) == kept
    done = train(tmp_path, "c")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    for place in ("5 of 8 steps of epoch 3", "1 of 10 steps of epoch 3"):
        assert f"training goes on after {place}" in done.stderr, "21 steps of each were kept"
    assert report["fit"]["chosen"]["content"] == save_model(undisturbed, tmp_path / "model")
    assert report["history"] == {"one": undisturbed.history}
    with open_registry(f"sqlite:///{tmp_path / 'registry.db'}") as registry:
        assert count_checkpoints(registry) == 0, "what the committed training left"


def count_checkpoints(registry: Registry) -> int:
    return int(
        registry._database.read(
            lambda tx: tx.connection.exec_driver_sql("SELECT count(*) FROM checkpoint").scalar_one()
        )
    )


def train(root: Path, home: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, in a home of its own; store and registry alone are the same."""
    places = {"KEEPFIT_HOME": str(root / home), "KEEPFIT_PROJECTS": str(root / "projects")}
    places |= {
        "KEEPFIT_STORE_URL": (root / "store").as_uri(),
        "KEEPFIT_DATABASE_URL": f"sqlite:///{root / 'registry.db'}",
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.tasks.training.interrupted", "squares", str(root / "rows.parquet")],
        cwd=ROOT, env={**os.environ, **places, **environment}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
