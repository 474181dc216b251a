from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore, open_store
from infra.errors import IntegrityError, StoreUnavailable
from infra.frames import read_parquet, write_parquet
from tasks.contracts.models import ModelRef
from tasks.models.model import FittedModel
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tasks.scoring.fresh import Contender, Request, answer, ask_fresh_process, standing_by
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

pytestmark = pytest.mark.slow

CANDIDATES = {"nb": {"estimator": "sklearn.naive_bayes.GaussianNB"}}
SPEC = numbers_spec(CANDIDATES)
ROWS = number_rows(30, seed=3)


class Stored(NamedTuple):
    """A model in a store, and what is asked of it."""

    store: BlobStore
    home: Path
    model: FittedModel
    request: Request

    def blob(self, ref: ArtifactRef) -> Path:
        return self.home / "store" / ref.key

    def asked(self, **changed: Any) -> Request:
        """Return the request with another reference to its model."""
        contender = self.request.contenders[0]
        model = contender.model.model_copy(update=changed)
        return self.request.model_copy(update={"contenders": (contender.model_copy(update={"model": model}),)})


def keep(store: BlobStore, scratch: Path, rows_seed: int) -> tuple[FittedModel, ModelRef]:
    model = fit_candidate("nb", SPEC, number_rows(80, rows_seed), load=no_functions)
    content = save_model(model, scratch / "model")
    artifact = store.put_file(scratch / "model", "application/x-model")
    ref = ModelRef(
        candidate="nb", backend="sklearn", artifact=artifact, content=content, classes=model.classes, fit_seconds=1
    )
    return model, ref


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    home = tmp_path / "home"
    monkeypatch.setenv("KEEPFIT_HOME", str(home))
    store = open_store((home / "store").as_uri())
    model, ref = keep(store, tmp_path, rows_seed=0)
    write_parquet(ROWS, tmp_path / "rows.parquet")
    request = Request(
        spec=store.put_bytes(SPEC.model_dump_json().encode(), "application/json"),
        rows=store.put_file(tmp_path / "rows.parquet", "application/x-parquet"),
        contenders=(Contender(role="candidate", label="nb", model=ref),),
        output=str(tmp_path / "answers.parquet"),
    )
    return Stored(store, home, model, request)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_a_stored_model_answers_all_rows_in_order_as_it_did_where_it_was_fitted(stored, tmp_path):
    reply = answer(stored.request, stored.store, tmp_path)
    table = read_parquet(Path(stored.request.output))
    assert table["row"].tolist() == list(range(len(ROWS)))
    assert table["truth"].tolist() == ROWS["y"].tolist()
    assert table["candidate:nb:predicted"].tolist() == stored.model.predict(ROWS).tolist()
    np.testing.assert_array_equal(table[["candidate:nb:p:0", "candidate:nb:p:1"]], stored.model.predict_proba(ROWS))
    assert reply.models[0].content == stored.request.contenders[0].model.content
    assert reply.models[0].latency_ms > 0


def test_a_model_with_one_flipped_byte_is_refused_before_it_is_opened(stored, tmp_path, monkeypatch):
    flip_a_byte(stored.blob(stored.request.contenders[0].model.artifact))
    opened = []
    monkeypatch.setattr("tasks.models.loading.load_model", lambda *a, **k: opened.append(a))
    with pytest.raises(IntegrityError):
        answer(stored.request, stored.store, tmp_path)
    assert not opened
    assert not Path(stored.request.output).exists()


def test_another_sound_model_in_the_place_of_this_one_is_refused(stored, tmp_path):
    _, other = keep(stored.store, tmp_path, rows_seed=1)
    with pytest.raises(IntegrityError, match="Expected the model with content"):
        answer(stored.asked(artifact=other.artifact), stored.store, tmp_path)


def test_rows_with_one_flipped_byte_are_not_answered(stored, tmp_path):
    flip_a_byte(stored.blob(stored.request.rows))
    with pytest.raises(IntegrityError):
        answer(stored.request, stored.store, tmp_path)


def test_what_a_fresh_process_refuses_it_says_why(stored):
    ref = stored.request.contenders[0].model.artifact
    flip_a_byte(stored.blob(ref))
    with pytest.raises(
        IntegrityError, match=rf"in a fresh process \(exit 1\)(.|\n)*IntegrityError(.|\n)*{ref.digest[:12]}"
    ):
        ask_fresh_process(stored.request)


def test_the_process_that_stands_by_answers_and_is_gone_afterwards(stored):
    with standing_by(wanted=True):
        reply = ask_fresh_process(stored.request)
    assert [model.label for model in reply.models] == ["nb"]
    assert len(read_parquet(Path(stored.request.output))) == len(ROWS)


def test_a_process_that_nobody_asks_ends_with_the_body():
    from tasks.scoring import fresh

    with standing_by(wanted=True):
        waiting = fresh._standing_by[-1]
    assert waiting._process.poll() is not None
    assert waiting not in fresh._standing_by


def test_a_store_that_does_not_answer_in_the_fresh_process_may_be_asked_again(stored, monkeypatch):
    monkeypatch.setenv("KEEPFIT_STORE_URL", "s3://bucket/prefix")
    monkeypatch.setenv("KEEPFIT_STORE_DEADLINE_S", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    with pytest.raises(StoreUnavailable, match=r"bucket"):
        ask_fresh_process(stored.request)


def test_a_package_of_the_same_name_in_the_current_folder_does_not_come_first(stored, tmp_path, monkeypatch):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    assert ask_fresh_process(stored.request).models[0].label == "nb"
