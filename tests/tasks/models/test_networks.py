import logging
import subprocess
import sys

import numpy as np
import pytest

from infra.errors import SpecError, TrainingFailed, UnsafeArtifact
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec
from tests.tasks.models.networks import load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


def _network(function: str, **network):
    params = network.pop("params", {})
    return {"network": {"build": f"networks:{function}", "epochs": 2, **network}, "params": params}


def _fit(function: str, on_epoch=None, frame=None, **network):
    spec = numbers_spec({"one": _network(function, **network)})
    return fit_candidate("one", spec, number_rows() if frame is None else frame, load=load, on_epoch=on_epoch)


@pytest.mark.parametrize("function", ["dense", "functional"])
def test_a_stored_network_answers_as_the_fitted_one(function, tmp_path):
    model, frame = _fit(function), number_rows(2_000, seed=1)
    content = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", content)
    assert again.classes == model.classes == (0, 1)
    assert np.array_equal(again.predict_proba(frame), model.predict_proba(frame))
    assert np.array_equal(again.predict(frame), model.predict(frame))


def test_the_same_network_fitted_twice_has_one_digest_and_one_file(tmp_path):
    first, second = (save_model(_fit("dense"), tmp_path / name) for name in ("first", "second"))
    assert first == second
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_other_weights_are_another_model(tmp_path):
    digests = {save_model(_fit("dense", epochs=epochs), tmp_path / "model") for epochs in (1, 2)}
    assert len(digests) == 2


def test_automatic_names_do_not_make_another_model(tmp_path):
    from tasks.models.digests import _without_names
    from tasks.models.keras_models import network_config
    from tasks.models.networks.shape import NetworkShape
    from tests.tasks.models.networks import functional

    first, second = (network_config(functional(NetworkShape(2, 2, 0), {})) for _ in range(2))
    assert first != second
    assert _without_names(first) == _without_names(second)


def test_words_and_their_numbers_are_part_of_the_model(tmp_path):
    candidate = {**_network("words"), "prepare": {"text": {"encode": "tokens", "vocabulary": 20, "length": 6}}}
    columns = {"note": {"type": "text"}, "answer": {"type": "category"}}
    spec = mixed_spec({"one": candidate}, columns=columns)
    model = fit_candidate("one", spec, mixed_rows(), load=load)
    save_model(model, tmp_path / "model")
    raw = mixed_rows(10, seed=3)[["note"]]
    assert np.array_equal(load_model(tmp_path / "model").predict(raw), model.predict(raw))
    assert set(model.predict(raw)) <= {"yes", "no"}


def test_several_classes_have_shares_that_sum_to_one():
    frame = number_rows().assign(y=np.arange(80) % 3)
    model = _fit("dense", frame=frame)
    assert model.classes == (0, 1, 2)
    assert np.allclose(model.predict_proba(frame).sum(axis=1), 1)


def test_every_epoch_is_told_and_kept():
    told = []
    model = _fit("dense", lambda epoch, of, metrics: told.append((epoch, of, set(metrics))), validation_share=0.25)
    watched, plain = {"loss", "accuracy", "val_loss", "val_accuracy"}, {"loss", "accuracy"}
    assert told == [(1, 4, watched), (2, 4, watched), (3, 4, plain), (4, 4, plain)]
    assert set(model.history) == {*watched, "refit_loss", "refit_accuracy"}
    assert all(len(values) == 2 for values in model.history.values())


def test_watching_rows_never_change_the_refitted_network(tmp_path):
    plain, watched = _fit("dense"), _fit("dense", validation_share=0.25)
    assert save_model(plain, tmp_path / "plain") == save_model(watched, tmp_path / "watched")


def test_without_a_refit_the_watched_network_is_kept(tmp_path):
    kept = _fit("dense", validation_share=0.25, refit=False)
    assert set(kept.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert save_model(kept, tmp_path / "kept") != save_model(_fit("dense"), tmp_path / "all")


def test_a_learning_rate_of_a_billion_ends_the_run():
    with pytest.raises(TrainingFailed, match=r"plain: candidates\.one: training diverged in epoch . of 2") as caught:
        _fit("quadratic", params={"learning_rate": 1e9})
    assert "learning rate" in caught.value.remedy


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        ("with_lambda", UnsafeArtifact, "class_name='Lambda'"),
        ("uncompiled", SpecError, "to return a compiled keras.Model"),
        ("too_narrow", TrainingFailed, "an output for each of the 3 classes"),
    ],
)
def test_a_network_that_could_not_be_used_is_refused_before_training(function, kind, message):
    with pytest.raises(kind, match=message):
        _fit(function, frame=number_rows().assign(y=np.arange(80) % 3))


def test_a_gpu_is_only_replaced_where_the_project_allows_it(caplog):
    from tasks.contracts.compute import Compute
    from tasks.models.tensorflow_runtime import _import_tensorflow, choose_device, tell_anew

    tell_anew()
    if _import_tensorflow().config.list_physical_devices("GPU"):
        assert choose_device(Compute(device="gpu"), project="p") == "GPU:0"
        return
    with pytest.raises(TrainingFailed, match="p: expected a GPU"):
        choose_device(Compute(device="gpu"), project="p")
    with caplog.at_level(logging.WARNING):
        assert choose_device(Compute(device="gpu", fallback="cpu"), project="p") == "CPU:0"
    assert "no GPU is visible" in caplog.text


def test_threads_that_come_too_late_are_told(caplog):
    from tasks.models.tensorflow_runtime import start_keras, threads_in_use

    _fit("dense")
    with caplog.at_level(logging.WARNING):
        start_keras(threads_in_use() + 1)
    assert "cannot be set any more" in caplog.text


def test_a_run_without_networks_never_imports_tensorflow(tmp_path):
    code = """
import sys
from pathlib import Path
from tasks.models.loading import load_model
from tasks.models.saving import save_model
from tasks.training.fitting import fit_project
from tests.tasks.models.examples import CLASSICAL, no_functions, number_rows, numbers_spec
spec = numbers_spec({"knn": CLASSICAL["knn"]})
result = fit_project(spec, number_rows(), no_functions, lambda *told: None)
save_model(result.chosen.model, Path(sys.argv[1]))
load_model(Path(sys.argv[1])).predict(number_rows())
print(sorted({"tensorflow", "keras", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model"], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def test_networks_are_the_only_ones_that_ask_for_functions():
    with pytest.raises(AssertionError, match="networks:dense was asked for"):
        fit_candidate("one", numbers_spec({"one": _network("dense")}), number_rows(), load=no_functions)
