"""Word vectors that somebody else made: verified, placed by word, kept still and then let go."""

import hashlib
import pickle
import sys

import numpy as np
import pandas as pd
import pytest

from infra.errors import IntegrityError, SpecError
from infra.settings import load_settings
from tasks.contracts.borrowing import Embeddings
from tasks.contracts.networks import Network
from tasks.models.loading import load_model
from tasks.models.networks.vectors import read_vectors
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.models.text import FIRST_WORD, list_words
from tests.tasks.models.examples import no_functions, numbers_spec
from tests.tasks.named_networks import NETWORKS

pytestmark = pytest.mark.xdist_group("networks")

VECTORS = {"bad": [1.0, 2.0, 3.0], "good": [4.0, 5.0, 6.0], "unheard": [7.0, 8.0, 9.0]}
ASKED = ["good", "film", "bad"]
WHOSE = {"source": "A test", "licence": "PDDL-1.0"}


def sha(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def as_text(folder):
    path = folder / "vectors.txt"
    path.write_text("".join(f"{word} {' '.join(map(str, values))}\n" for word, values in VECTORS.items()))
    return {"vectors": path.name, "digest": sha(path)}


def as_matrix(folder, words="words.txt"):
    path, named = folder / "vectors.npy", folder / words
    np.save(path, np.array([*VECTORS.values()], dtype=np.float32))
    if named.suffix == ".parquet":
        pd.DataFrame({"index": [*VECTORS]}).to_parquet(named)
    else:
        named.write_text("\n".join(VECTORS))
    return {"vectors": path.name, "digest": sha(path), "words": words, "words_digest": sha(named)}


def as_parquet(folder):
    return as_matrix(folder, "words.parquet")


@pytest.mark.parametrize("write", [as_text, as_matrix, as_parquet])
def test_vectors_are_found_by_word_in_any_form(write, tmp_path):
    table, known = read_vectors(Embeddings(**write(tmp_path), **WHOSE), tmp_path, ASKED)
    assert known.tolist() == [True, False, True]
    assert table.tolist() == [VECTORS["good"], [0, 0, 0], VECTORS["bad"]]


def test_a_packages_files_are_read_and_its_code_is_never_run(tmp_path, monkeypatch):
    package = tmp_path / "given_vectors"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('this code ran')\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = Embeddings(package="given_vectors", **as_text(package), **WHOSE)
    assert read_vectors(spec, tmp_path / "elsewhere", ASKED).known.sum() == 2
    assert "given_vectors" not in sys.modules


@pytest.mark.parametrize("key", ["digest", "words_digest"])
def test_another_file_than_the_digest_says_is_never_opened(key, tmp_path):
    spec = Embeddings.model_validate({**as_matrix(tmp_path), **WHOSE, key: "0" * 64})
    with pytest.raises(IntegrityError, match=r"expected the SHA-256 000000000000…, received"):
        read_vectors(spec, tmp_path, ASKED)


def test_a_pickle_with_the_right_digest_is_refused(tmp_path):
    given = as_matrix(tmp_path)
    (tmp_path / "vectors.npy").write_bytes(pickle.dumps([1]))
    spec = Embeddings.model_validate({**given, **WHOSE, "digest": sha(tmp_path / "vectors.npy")})
    with pytest.raises(IntegrityError, match="no matrix of numbers"):
        read_vectors(spec, tmp_path, ASKED)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("good 1 2\nbad 1\n", "line 2: expected 2 numbers, received 1"),
        ("good 1 x\n", "line 1: could not convert"),
        ("good 1 nan\n", "NaN or infinite"),
    ],
    ids=["short", "no number", "nan"],
)
def test_text_that_is_not_made_as_it_should_be_is_refused(content, said, tmp_path):
    (tmp_path / "v.txt").write_text(content)
    spec = Embeddings(vectors="v.txt", digest=sha(tmp_path / "v.txt"), **WHOSE)
    with pytest.raises(IntegrityError, match=said):
        read_vectors(spec, tmp_path, ASKED)


def test_a_matrix_of_other_rows_than_words_is_refused(tmp_path):
    given = as_matrix(tmp_path)
    (tmp_path / "words.txt").write_text("good")
    spec = Embeddings.model_validate({**given, **WHOSE, "words_digest": sha(tmp_path / "words.txt")})
    with pytest.raises(IntegrityError, match="expected a row for each of 1 words"):
        read_vectors(spec, tmp_path, ASKED)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"package": "no_such_package"}, "no_such_package is not installed"), ({}, r"no file nowhere\.txt in")],
    ids=["package", "file"],
)
def test_what_is_not_there_is_told(given, said, tmp_path):
    with pytest.raises(SpecError, match=said):
        read_vectors(Embeddings(vectors="nowhere.txt", digest="0" * 64, **given, **WHOSE), tmp_path, ASKED)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"words": "w.txt"}, "words and words_digest stand together"),
        ({"vectors": "v.npy"}, "needs `words`"),
        ({"trainable": True, "unfreeze_after": 1}, "not unfrozen"),
        ({"vectors": "../v.txt"}, "should match pattern"),
        ({"licence": ""}, "at least 1 character"),
    ],
    ids=["half", "no words", "unfrozen twice", "out of the folder", "no licence"],
)
def test_keys_that_cannot_be_meant_are_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Embeddings.model_validate({"vectors": "v.txt", "digest": "0" * 64, **WHOSE, **changes})


def fit(folder, monkeypatch, epochs=2, keys=None, **given):
    monkeypatch.setenv("KEEPFIT_PROJECTS", str(folder))
    (folder / "plain").mkdir(exist_ok=True)
    embeddings = {**as_text(folder / "plain"), **WHOSE, **given}
    architecture = {"name": "average_embedding", "units": [], "embeddings": embeddings}
    network = {"architecture": architecture, "epochs": epochs, "optimizer": {"learning_rate": 0.1}, **(keys or {})}
    candidate = {"network": network, "prepare": {"text": {"encode": "tokens", "vocabulary": 9, "length": 4}}}
    columns = {"note": {"type": "text"}, "y": {"type": "integer"}}
    spec = numbers_spec({"one": candidate}, columns=columns)
    frame = pd.DataFrame({"note": ["good film", "bad film"] * 20, "y": [1, 0] * 20})
    load_settings.cache_clear()
    try:
        return fit_candidate("one", spec, frame, load=no_functions)
    finally:
        load_settings.cache_clear()


def vectors_of(model):
    table = model.network.get_layer("words").get_weights()[0]
    return {word: table[FIRST_WORD + at].tolist() for at, word in enumerate(list_words(model.prepare))}


@pytest.mark.slow
def test_still_vectors_end_as_they_were_given_and_words_without_one_are_drawn(tmp_path, monkeypatch):
    model = fit(tmp_path, monkeypatch)
    found = vectors_of(model)
    assert {word: found[word] for word in ("good", "bad")} == {word: VECTORS[word] for word in ("good", "bad")}
    assert 0 < np.abs(found["film"]).max() < 0.1
    assert not model.network.get_layer("words").get_weights()[0][0].any()
    content = save_model(model, tmp_path / "model")
    again = load_model(tmp_path / "model", content)
    frame = pd.DataFrame({"note": ["good", "bad", "a film"]})
    assert np.array_equal(again.predict_proba(frame), model.predict_proba(frame))


@pytest.mark.slow
def test_trainable_vectors_are_learnt_on(tmp_path, monkeypatch):
    assert vectors_of(fit(tmp_path, monkeypatch, trainable=True))["good"] != VECTORS["good"]


@pytest.mark.slow
def test_vectors_are_let_go_after_as_many_epochs_as_asked(tmp_path, monkeypatch):
    still = fit(tmp_path, monkeypatch, epochs=2)
    let_go = fit(tmp_path, monkeypatch, epochs=3, unfreeze_after=2)
    assert vectors_of(let_go)["good"] != VECTORS["good"]
    assert let_go.history["loss"][:2] == still.history["loss"]
    assert len(let_go.history["loss"]) == 3


@pytest.mark.slow
def test_training_never_ends_early_before_the_vectors_are_let_go(tmp_path, monkeypatch):
    keys = {"validation_share": 0.5, "refit": False, "early_stopping": {"patience": 1, "min_delta": 10}}
    model = fit(tmp_path, monkeypatch, epochs=6, unfreeze_after=3, keys=keys)
    assert (len(model.history["loss"]), model.epochs) == (5, 4)
    assert vectors_of(model)["good"] != VECTORS["good"]


@pytest.mark.slow
def test_vectors_that_would_never_be_let_go_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="unfreeze_after: expected fewer than the 2 epochs there are"):
        fit(tmp_path, monkeypatch, epochs=2, unfreeze_after=2)


def test_whose_vectors_they_are_is_kept_with_the_model():
    network = Network.model_validate(NETWORKS["candidates"]["gru"]["network"])
    (one,) = network.borrowed
    assert (one.source, one.licence, one.digest) == ("GloVe", "PDDL-1.0", "a" * 64)
    assert Network.model_validate(NETWORKS["candidates"]["dense"]["network"]).borrowed == ()
