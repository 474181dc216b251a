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

NETWORK = {"small": {"network": {"build": "networks:convolution", "epochs": 8, "batch_size": 16}}}
KINDS = [
    "nearest",
    pytest.param("small", marks=[pytest.mark.slow, pytest.mark.xdist_group("networks")]),
]


def fit(kind: str, rows: pd.DataFrame | None = None) -> FittedModel:
    spec = picture_spec(NETWORK if kind == "small" else None)
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
    from tasks.contracts.project import ImageSize
    from tasks.images import decode_images, encode_png

    return encode_png(decode_images([cell], ImageSize(height=36, width=36, channels=1))[0, ..., 0])


def test_what_is_no_picture_gets_no_answer_but_a_reason() -> None:
    rows = picture_rows(5).assign(picture=[*picture_rows(4)["picture"], b"torn"])
    with pytest.raises(ContractBroken, match="1 of 5 cannot be read"):
        fit("nearest").predict(rows)


def test_beside_a_picture_a_model_sees_nothing_else() -> None:
    columns = picture_spec().model_dump()["columns"]
    with pytest.raises(ValidationError, match="picture: a model that sees a picture sees nothing else"):
        picture_spec(columns={**columns, "n": {"type": "integer"}})
