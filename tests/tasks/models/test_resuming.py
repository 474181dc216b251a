"""A training that was left in mid-epoch and is gone on with: the same network to the last bit, and the same history."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra.settings import load_settings
from tasks.models.checkpoints import Checkpoint, load_checkpoint, name_training
from tasks.models.feed import Place
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import no_functions, numbers_spec
from tests.tasks.models.networks import load
from tests.tasks.models.test_vectors import WHOSE, as_text
from tests.tasks.pictures import picture_rows, picture_spec

CHECKPOINT = Checkpoint(
    Place(2, 5),
    {"loss": [0.5, 0.25]},
    [np.arange(3), np.float32(2.5)],
    [np.ones(2)],
    [],
    {"stop": {"best": 0.1}},
    [np.eye(2)],
)


class Shelf:
    """Keeps every checkpoint, and gives back the one that is in `newest`."""

    def __init__(self, newest: dict[str, bytes] | None = None) -> None:
        self.newest, self.all = newest or {}, list[tuple[str, bytes]]()

    def load(self, key: str) -> bytes | None:
        return self.newest.get(key)

    def save(self, key: str, data: bytes) -> None:
        self.newest[key] = data
        self.all.append((key, data))


def test_a_checkpoint_comes_back_as_it_was() -> None:
    again = Checkpoint.decode(CHECKPOINT.encode("a key"), "a key")
    for name, value in vars(CHECKPOINT).items():
        found = getattr(again, name)
        if isinstance(value, list):
            assert [(one.dtype, one.tolist()) for one in found] == [
                (np.asarray(one).dtype, one.tolist()) for one in value
            ]
        else:
            assert found == value


def pickled() -> bytes:
    target = io.BytesIO()
    np.savez(target, said=np.array([{"code": "that runs"}], dtype=object))
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", CHECKPOINT.encode("another"), CHECKPOINT.encode("a key")[:-100], pickled()],
    ids=["empty", "text", "of another training", "cut off", "pickle"],
)
def test_what_is_no_checkpoint_of_this_training_is_told_and_not_used(data: bytes, caplog: Any) -> None:
    assert load_checkpoint(Shelf({"a key": data}), "a key") is None
    assert "training begins anew" in caplog.text


@pytest.mark.parametrize(
    "other",
    [
        ({"seed": 2}, [np.arange(4), None]),
        ({"seed": 1}, [np.arange(4)[::-1], None]),
        ({"seed": 1}, [np.arange(4).astype(np.int32), None]),
        ({"seed": 1}, [np.arange(4).reshape(2, 2), None]),
        ({"seed": 1}, [np.arange(4), np.ones(4)]),
    ],
    ids=["seed", "order", "type", "shape", "weights"],
)
def test_another_training_has_another_name(other: tuple[dict[str, object], list[Any]]) -> None:
    made_of, arrays = {"seed": 1}, [np.arange(4), None]
    assert name_training(made_of, arrays) == name_training(dict(made_of), [np.arange(4), None]) != name_training(*other)


def pictures(_folder: Path) -> tuple[Any, Any, Any]:
    architecture = {"name": "cnn2d", "filters": [2], "units": [3], "dropout": 0.3, "normalise": "batch"}
    network = {
        "architecture": {**architecture, "augment": {"flip": "horizontal", "shift": 0.1, "rotate": 5}},
        "epochs": 4, "batch_size": 16, "validation_share": 0.25, "early_stopping": {"patience": 2, "min_delta": 0.1},
        "schedule": {"name": "plateau", "patience": 1, "min_delta": 1.0}, "optimizer": {"learning_rate": 0.01},
        "checkpoint_steps": 4,
    }  # fmt: skip
    return picture_spec({"one": {"network": network}}), picture_rows(76), no_functions


def words(folder: Path) -> tuple[Any, Any, Any]:
    (folder / "plain").mkdir(exist_ok=True)
    embeddings = {**as_text(folder / "plain"), **WHOSE, "unfreeze_after": 2}
    architecture = {"name": "average_embedding", "units": [4], "dropout": 0.3, "word_dropout": 0.2}
    network = {
        "architecture": {**architecture, "embeddings": embeddings}, "epochs": 4, "batch_size": 8, "checkpoint_steps": 5,
        "validation_share": 0.2, "refit": False, "early_stopping": {"patience": 3}, "schedule": {"name": "cosine"},
    }  # fmt: skip
    candidate = {"network": network, "prepare": {"text": {"encode": "tokens", "vocabulary": 9, "length": 4}}}
    columns = {"note": {"type": "text"}, "y": {"type": "integer"}}
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"note": rng.choice(["good film", "bad film", "film"], 100), "y": rng.integers(0, 2, 100)})
    return numbers_spec({"one": candidate}, columns=columns), frame, no_functions


def own(_folder: Path) -> tuple[Any, Any, Any]:
    network = {"build": "networks:dense", "epochs": 2, "batch_size": 8, "checkpoint_steps": 3}
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=48), "b": rng.normal(size=48), "y": rng.integers(0, 2, 48)})
    return numbers_spec({"one": {"network": network}}), frame, load


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of projects, for this test alone: settings are read once in a process."""
    monkeypatch.setenv("KEEPFIT_PROJECTS", str(tmp_path))
    load_settings.cache_clear()
    yield tmp_path
    load_settings.cache_clear()


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
@pytest.mark.parametrize("make", [pictures, words, own])
def test_from_every_checkpoint_on_the_same_network_and_the_same_history_come_out(
    make: Callable[[Path], tuple[Any, Any, Any]], projects: Path, tmp_path: Path
) -> None:
    spec, frame, functions = make(projects)

    def fit(shelf: Shelf | None) -> tuple[str, dict[str, list[float]], list[Any]]:
        told: list[Any] = []
        model = fit_candidate("one", spec, frame, load=functions, on_epoch=lambda *news: told.append(news), shelf=shelf)
        return save_model(model, tmp_path / "model"), model.history, told

    undisturbed, shelf = fit(None), Shelf()
    assert fit(shelf) == undisturbed, "keeping changed the training"
    places = {Checkpoint.decode(data, key).place: (key, data) for key, data in shelf.all}
    picked = {(key, place.step == 0): (key, data, place) for place, (key, data) in places.items()}.values()
    assert {place.step == 0 for *_, place in picked} == {True, False}, "expected ends of epochs and places in mid-epoch"
    for key, data, place in picked:
        again = Shelf({key: data})
        assert fit(again) == undisturbed, f"left at {place}"
        assert len(again.all) < len(shelf.all), "it began anew"


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
@pytest.mark.parametrize("steps", [0, 13], ids=["never", "shorter"])
def test_a_training_that_keeps_nothing_looks_for_nothing(steps: int, tmp_path: Path) -> None:
    class Closed:
        def load(self, key: str) -> bytes | None:
            raise AssertionError(key)

        save: Any = load

    spec, frame, functions = own(tmp_path)
    raw = spec.model_dump(mode="json", exclude_defaults=True)
    raw["candidates"]["one"]["network"]["checkpoint_steps"] = steps
    fit_candidate("one", type(spec).model_validate(raw), frame, load=functions, shelf=Closed())
