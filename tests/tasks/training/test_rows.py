"""Training rows that take more memory than they may: the same table, the same models, from a file."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.errors import IntegrityError
from infra.frames import digest_frame, digest_parquet, write_parquet
from tasks.contracts.project import ProjectSpec
from tasks.models import stored
from tasks.models.inputs import InputColumns, Rows, StoredTable, take_rows
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.stored import Stored, hold
from tasks.training import rows
from tasks.training.fitting import fit_project
from tasks.training.rows import digest_table, estimate_bytes, find_disk, find_limit, open_table, store_table
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec
from tests.tasks.pictures import picture_rows, picture_spec

FAST = {"epochs": 2, "batch_size": 16, "optimizer": {"learning_rate": 0.01}}
CNN: dict[str, Any] = {
    "network": {
        "architecture": {"name": "cnn2d", "filters": [2], "units": []},
        "validation_share": 0.25,
        "early_stopping": {"metric": "accuracy", "patience": 1},
        **FAST,
    }
}
DENSE: dict[str, Any] = {"network": {"architecture": {"name": "dense", "units": [4]}, "validation_share": 0.25, **FAST}}
TABLES = {"pictures": (picture_spec({"one": CNN}), picture_rows(60)), "mixed": (mixed_spec(), mixed_rows(60))}


def written(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.parquet"
    write_parquet(frame, path)
    return path


@pytest.mark.parametrize(("spec", "frame"), TABLES.values(), ids=TABLES)
def test_a_table_in_a_file_holds_what_is_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ProjectSpec, frame: pd.DataFrame
) -> None:
    monkeypatch.setattr("tasks.training.rows.CHUNK_BYTES", 4_000)  # several blocks
    table = store_table(written(frame, tmp_path), spec, tmp_path)
    apart, near = Rows.read(table, spec), Rows.read(frame, spec)
    assert isinstance(apart.inputs, Stored)
    assert len(table) == len(apart) == len(near)
    assert np.array_equal(apart.target, near.target)
    held, inputs = hold(apart.inputs), near.inputs
    if isinstance(inputs, pd.DataFrame):
        pd.testing.assert_frame_equal(held, inputs)
    else:
        assert held.dtype == inputs.dtype
        assert np.array_equal(held, inputs)


def test_a_picture_is_decoded_a_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read = InputColumns.read

    def counted(self: InputColumns, frame: pd.DataFrame) -> Any:
        sizes.append(len(frame))
        return read(self, frame)

    monkeypatch.setattr(InputColumns, "read", counted)
    monkeypatch.setattr("tasks.training.rows.CHUNK_BYTES", 4_000)
    store_table(written(picture_rows(60), tmp_path), picture_spec(), tmp_path)
    assert sum(sizes) == 60
    assert max(sizes) < 20


@pytest.mark.parametrize(("spec", "frame"), TABLES.values(), ids=TABLES)
def test_rows_have_one_digest_in_memory_and_in_a_file(tmp_path: Path, spec: ProjectSpec, frame: pd.DataFrame) -> None:
    table = store_table(written(frame, tmp_path), spec, tmp_path)
    assert digest_table(table) == digest_table(frame) == digest_frame(frame)


def test_a_part_of_rows_in_a_file_is_those_rows_under_a_name_of_its_own(tmp_path: Path) -> None:
    spec, frame = TABLES["mixed"]
    table, positions = store_table(written(frame, tmp_path), spec, tmp_path), np.array([5, 2, 40])
    part, near = take_rows(table, positions), take_rows(frame, positions)
    assert len(part) == 3
    pd.testing.assert_frame_equal(hold(Rows.read(part, spec).inputs), Rows.read(near, spec).inputs)
    names = {digest_table(take_rows(table, positions[order])) for order in ([0, 1, 2], [0, 1, 2], [1, 0, 2])}
    assert len({*names, digest_table(table)}) == 3


def test_a_column_of_missing_bytes_has_the_digest_of_the_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame({"picture": [None, None], "some": [b"\x01", None], "n": [1, 2]})
    assert digest_parquet(written(frame, tmp_path)) == digest_frame(frame)


def memory_spec(memory_mb: int | None, *names: str) -> ProjectSpec:
    given = {"network": DENSE, "svc": {"estimator": "sklearn.svm.SVC"}}
    return numbers_spec({name: given[name] for name in names}, compute={"memory_mb": memory_mb})


MANY = number_rows(20_000)
"""They take more than 1 MB."""


@pytest.mark.parametrize(
    ("memory_mb", "names", "apart", "warned"),
    [
        (1, ("network",), True, False),
        (100, ("network",), False, False),
        (None, ("network",), False, False),
        (1, ("network", "svc"), True, True),
        (1, ("svc",), False, True),
    ],
    ids=["too many", "few enough", "a share of what is usable", "and an estimator", "an estimator alone"],
)
def test_rows_stay_in_a_file_where_they_take_more_than_they_may(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    memory_mb: int | None,
    names: tuple[str, ...],
    apart: bool,
    warned: bool,
) -> None:
    spec, path = memory_spec(memory_mb, *names), written(MANY, tmp_path)
    with caplog.at_level(logging.INFO, "tasks.training.rows"):
        table = open_table(path, spec, tmp_path)
    assert isinstance(table, StoredTable) == apart
    assert any("estimators need them there all the same: svc" in text for text in caplog.messages) == warned
    assert any("networks read them from a file" in text for text in caplog.messages) == apart


def test_the_estimate_counts_the_inputs_and_not_only_the_file(tmp_path: Path) -> None:
    spec, path = picture_spec(), written(picture_rows(60), tmp_path)
    assert estimate_bytes(path, spec) > path.stat().st_size + 60 * 12 * 12
    assert find_limit(spec) > 1_000_000


@pytest.mark.parametrize(
    ("in_memory", "chosen"), [((), "scratch"), (("scratch",), "home"), (("scratch", "home"), "scratch")]
)
def test_rows_are_kept_on_a_disk_where_there_is_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    in_memory: tuple[str, ...],
    chosen: str,
) -> None:
    for name in ("scratch", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(rows, "load_settings", lambda: SimpleNamespace(home=tmp_path / "home"))
    monkeypatch.setattr(rows, "lies_in_memory", lambda folder: folder.name in in_memory)
    assert find_disk(tmp_path / "scratch") == tmp_path / chosen
    assert bool(caplog.messages) == (len(in_memory) == 2)


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    torn = tmp_path / "rows.parquet"
    torn.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(IntegrityError, match="Expected a whole Parquet file"):
        open_table(torn, picture_spec(), tmp_path)


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_a_network_of_pictures_is_the_same_from_a_file_bit_by_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.training.rows.CHUNK_BYTES", 4_000)
    spec, frame = TABLES["pictures"]
    path = written(frame, tmp_path)
    table = store_table(path, spec, tmp_path)
    models = [fit_candidate("one", spec, each, load=no_functions) for each in (frame, table)]
    first, second = (save_model(model, tmp_path / "model") for model in models)
    assert first == second
    assert models[0].history == models[1].history
    assert {file.name for file in tmp_path.iterdir()} == {"rows.parquet", "model"}
    # And it answers block by block what it answers to all pictures at once.
    unseen = picture_rows(1_100, seed=1)
    model = models[0]
    decoded = InputColumns.of(spec).read(unseen)
    monkeypatch.setattr(InputColumns, "read", at_most_a_block(InputColumns.read))
    assert np.array_equal(model.predict_proba(unseen), model.proba_inputs(decoded))


def at_most_a_block(read: Any) -> Any:
    def checked(self: InputColumns, frame: pd.DataFrame) -> Any:
        assert len(frame) <= 1_024
        return read(self, frame)

    return checked


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_a_project_selects_and_fits_the_same_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "CHUNK_BYTES", 400)
    scaled = {**DENSE, "prepare": {"number": {"scale": "standard"}}}
    estimator = {"estimator": "sklearn.linear_model.LogisticRegression"}
    spec = numbers_spec({"one": scaled, "two": estimator}, selection={"method": "holdout", "also_test": ["one", "two"]})
    frame = number_rows(120)
    table = store_table(written(frame, tmp_path), spec, tmp_path)
    results = [fit_project(spec, each, no_functions, lambda *_: None) for each in (frame, table)]
    assert results[0].selection == results[1].selection
    assert results[0].class_prior == results[1].class_prior
    digests = [
        {fitted.name: save_model(fitted.model, tmp_path / "model") for fitted in (result.chosen, *result.beside)}
        for result in results
    ]
    assert digests[0] == digests[1]
    assert set(digests[0]) == {"one", "two"}
