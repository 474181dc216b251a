import numpy as np
import pytest

from infra.errors import TrainingFailed
from tasks.models.recipes import threads_for
from tasks.models.saving import save_model
from tasks.models.tensorflow_runtime import GpuUse
from tasks.training import fitting
from tasks.training.fitting import fit_project
from tests.tasks.models.examples import CLASSICAL, mixed_rows, mixed_spec, no_functions, number_rows, numbers_spec
from tests.tasks.models.networks import load

pytestmark = pytest.mark.xdist_group("networks")

CANDIDATES = {name: CLASSICAL[name] for name in ("logistic", "bayes", "knn")}


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def result(told):
    spec = mixed_spec(CANDIDATES, selection={"folds": 3, "also_test": ["knn", "logistic"]})
    return fit_project(spec, mixed_rows(), no_functions, lambda *news: told.append(news))


def test_the_chosen_candidate_is_fitted_and_the_others_stand_beside_it(result):
    assert [score.candidate for score in result.selection if score.chosen] == [result.chosen.name]
    assert {one.name for one in result.beside} == {"knn", "logistic"} - {result.chosen.name}


def test_each_fold_is_told(told, result):
    assert [(what, done, of) for what, done, of, _ in told[:3]] == [
        (f"selection: {next(iter(CANDIDATES))}", done, 3) for done in (1, 2, 3)
    ]


def test_the_dummy_answers_the_class_shares(result):
    shares = mixed_rows()["answer"].value_counts(normalize=True)
    assert result.class_prior == pytest.approx({"no": shares["no"], "yes": shares["yes"]})


def test_what_fitted_it_is_recorded(result):
    assert {"python", "scikit-learn", "numpy", "skops"} <= set(result.libraries)
    assert "tensorflow" not in result.libraries
    assert result.hardware.device == "cpu"
    assert result.hardware.threads == threads_for(mixed_spec(), len(mixed_rows())) == 1
    assert threads_for(mixed_spec(), 100_000) == 2
    assert 0 < result.chosen.fit_seconds < result.seconds
    assert result.gpu.seconds == 0
    assert 50 < result.peak_memory_mb < 20_000
    assert result.hardware.note == ""


def test_a_gpu_that_an_earlier_training_of_this_process_used_is_none_of_this_one(monkeypatch):
    monkeypatch.setattr(fitting, "gpu_use", lambda: GpuUse("A GPU", 5.0, 100.0))
    result = fit_project(mixed_spec({"bayes": CLASSICAL["bayes"]}), mixed_rows(), no_functions, lambda *_: None)
    assert (result.hardware.device, result.hardware.device_name, result.gpu) == ("cpu", "", GpuUse())


@pytest.mark.slow
def test_the_history_of_a_network_is_kept_and_its_libraries_recorded():
    network = {"network": {"build": "networks:dense", "epochs": 2, "validation_share": 0.2}}
    spec = numbers_spec(
        {"nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}, "net": network},
        selection={"method": "holdout", "also_test": ["net"]},
    )
    told = []
    result = fit_project(spec, number_rows(), load, lambda *news: told.append(news))
    assert len(result.history["net"]["val_loss"]) == 2
    assert {"tensorflow", "keras"} <= set(result.libraries)
    assert ("selection: net, epoch", 2, 2) in [news[:3] for news in told]
    assert ("fit: net, epoch", 4, 4) in [news[:3] for news in told]


def test_the_fitted_model_depends_on_the_training_rows_alone(tmp_path):
    spec, rows = mixed_spec({"logistic": CLASSICAL["logistic"]}), mixed_rows(200)
    train = rows.iloc[:150]
    permuted = rows.copy()
    permuted.loc[150:, "answer"] = np.random.default_rng(0).permutation(rows["answer"].iloc[150:])
    digests = {
        save_model(fit_project(spec, frame.iloc[:150], no_functions, lambda *news: None).chosen.model, tmp_path / "m")
        for frame in (rows, permuted)
    }
    assert len(digests) == 1
    flipped = train.assign(answer=train["answer"].map({"yes": "no", "no": "yes"}))
    other = fit_project(spec, flipped, no_functions, lambda *news: None).chosen.model
    assert save_model(other, tmp_path / "other") not in digests


NETWORK = {"network": {"build": "networks:dense", "epochs": 1}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "fallback", "note"),
    [
        (
            {},
            "cpu",
            "A GPU was asked for; trained on the CPU: no GPU is visible, and project.yaml says compute.fallback",
        ),
        (
            {"KEEPFIT_NO_GPU": "1", "KEEPFIT_WORKER": "gpu-worker-0-without-gpu"},
            "none",
            "A GPU was asked for; trained on the CPU: gpu-worker-0-without-gpu serves the GPU pool and has no GPU",
        ),
    ],
    ids=["fallback", "worker without a GPU"],
)
def test_a_model_that_asked_for_a_gpu_and_got_none_says_so(environment, fallback, note, monkeypatch, caplog):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    spec = numbers_spec(
        {"net": NETWORK}, selection={"method": "holdout"}, compute={"device": "gpu", "fallback": fallback}
    )
    hardware = fit_project(spec, number_rows(), load, lambda *_: None).hardware
    assert hardware.note.startswith(note)
    assert caplog.text.count("trains on the CPU") == 1, "once for the run, however many networks it trains"
    assert (hardware.device, hardware.device_name) == ("cpu", "")
    assert hardware.worker == environment.get("KEEPFIT_WORKER", "")


def wants_too_much(shape, params):
    return np.empty(1 << 50)


def test_memory_that_runs_out_is_a_clear_failure():
    spec = numbers_spec({"net": NETWORK}, selection={"method": "holdout"})
    with pytest.raises(TrainingFailed, match="memory ran out in training even with batches of 8") as failed:
        fit_project(spec, number_rows(), lambda _: wants_too_much, lambda *_: None)
    assert isinstance(failed.value.__cause__, MemoryError)
    assert "more memory" in failed.value.remedy
