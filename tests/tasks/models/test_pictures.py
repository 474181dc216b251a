"""Pictures as inputs: to estimators as numbers, to networks as pixels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from infra.errors import ContractBroken
from tasks.models.loading import load_model
from tasks.models.model import FittedModel
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import no_functions
from tests.tasks.models.networks import load
from tests.tasks.pictures import picture_rows, picture_spec

FAST = {"epochs": 8, "batch_size": 16, "optimizer": {"learning_rate": 0.01}}
NETWORKS = {
    "small": {"network": {"build": "networks:convolution", "epochs": 8, "batch_size": 16}},
    "cnn2d": {"network": {"architecture": {"name": "cnn2d", "filters": [4], "units": []}, **FAST}},
    "dense": {"network": {"architecture": {"name": "dense", "units": [8]}, **FAST}},
    "augmented": {
        "network": {
            "architecture": {"name": "cnn2d", "filters": [4], "units": [], "augment": {"shift": 0.1, "rotate": 5}},
            **FAST,
        }
    },
}
KINDS = [
    "nearest",
    *(pytest.param(name, marks=[pytest.mark.slow, pytest.mark.xdist_group("networks")]) for name in NETWORKS),
]


def fit(kind: str, rows: pd.DataFrame | None = None) -> FittedModel:
    spec = picture_spec({kind: NETWORKS[kind]} if kind in NETWORKS else None)
    given = load if kind == "small" else no_functions
    return fit_candidate(kind, spec, picture_rows() if rows is None else rows, load=given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_pictures_tells_the_sides_apart_and_is_the_same_from_the_store(kind: str, tmp_path: Path) -> None:
    model, unseen = fit(kind), picture_rows(60, seed=1)
    assert (model.predict(unseen) == unseen["side"]).mean() > 0.9
    again = load_model(tmp_path / "model", save_model(model, tmp_path / "model"))
    assert np.array_equal(again.predict_proba(unseen), model.predict_proba(unseen))
    assert save_model(fit(kind), tmp_path / "second") == save_model(model, tmp_path / "first")


def test_a_picture_of_another_size_is_answered_as_the_model_sees_pictures() -> None:
    model, unseen = fit("nearest"), picture_rows(20, seed=2)
    larger = unseen.assign(picture=[enlarge(cell) for cell in unseen["picture"]])
    assert (model.predict(larger) == model.predict(unseen)).mean() > 0.8


def enlarge(cell: bytes) -> bytes:
    from tasks.contracts.columns import ImageSize
    from tasks.images import decode_images, encode_png

    return encode_png(decode_images([cell], ImageSize(height=36, width=36, channels=1))[0][0, ..., 0])


def test_what_is_no_picture_gets_no_answer_but_a_reason() -> None:
    rows = picture_rows(5).assign(picture=[*picture_rows(4)["picture"], b"torn"])
    with pytest.raises(ContractBroken, match="1 of 5 cannot be read"):
        fit("nearest").predict(rows)


def test_beside_a_picture_a_model_sees_nothing_else() -> None:
    columns = picture_spec().model_dump()["columns"]
    with pytest.raises(ValidationError, match="picture: a model that sees a picture sees nothing else"):
        picture_spec(columns={**columns, "n": {"type": "integer"}})


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
@pytest.mark.parametrize(
    ("change", "moved"),
    [
        pytest.param({"flip": "horizontal"}, [0, 1], id="flip"),
        pytest.param({"shift": 0.4}, [], id="shift"),
        pytest.param({"rotate": 90}, [], id="rotate"),
        pytest.param({"zoom": 0.5}, [], id="zoom"),
    ],
)
def test_a_change_is_made_in_training_alone_and_each_step_anew(change: dict[str, object], moved: list[int]) -> None:
    from tasks.contracts.networks import Augment
    from tasks.models.networks.images import list_changes
    from tasks.models.tensorflow_runtime import start_keras

    keras = start_keras(2)
    [layer] = list_changes(keras, Augment.model_validate(change))
    picture = np.zeros((16, 8, 8, 1), np.float32)
    picture[:, 2:5, :2] = 1.0
    assert np.array_equal(layer(picture, training=False), picture)
    first, second = (np.asarray(layer(picture, training=True)) for _ in range(2))
    assert not np.array_equal(first, picture)
    assert not np.array_equal(first, second)
    if moved:
        kinds = {each.tobytes() for each in first}
        assert kinds == {picture[0].tobytes(), picture[0][:, ::-1].tobytes()}, "mirrored or as it was, nothing else"


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_a_crop_shows_a_window_of_the_picture_and_nothing_beyond_it() -> None:
    from tasks.contracts.networks import Augment
    from tasks.models.networks.images import list_changes
    from tasks.models.tensorflow_runtime import start_keras

    keras, side, share = start_keras(2), 40, 0.2
    moved, enlarged = list_changes(keras, Augment(crop=share))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1)
    pictures = np.repeat(1.0 + places[None].astype(np.float32), 64, axis=0)
    shown = np.asarray(enlarged(moved(pictures, training=True), training=True))
    assert shown.shape == pictures.shape
    assert shown.min() >= 1 - 1e-3, "black from beyond the picture"
    for axis in (1, 2):
        line = np.take(np.take(shown[..., axis - 1], [0, -1], axis=axis), side // 2, axis=3 - axis)
        width = np.abs(line[:, 1] - line[:, 0]) + 1
        assert np.allclose(width, (1 - share) * side, atol=1.5), "its sides are the share shorter"
        assert np.ptp(line[:, 0]) > 0.5 * share * side, "anywhere"
    unseen = enlarged(moved(pictures, training=False), training=False)
    assert np.array_equal(unseen, pictures)


def test_a_picture_says_its_size_itself() -> None:
    given = {"cnn2d": {"network": {"architecture": {"name": "cnn2d", "height": 12, "width": 12}}}}
    with pytest.raises(ValidationError, match="`size` of the column says them"):
        picture_spec(given)
    with pytest.raises(ValidationError, match="below 16 by 16 pixels"):
        picture_spec({"cnn2d": {"network": {"architecture": {"name": "cnn2d", "filters": [2, 2, 2, 2]}}}})
