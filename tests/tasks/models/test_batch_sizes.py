"""Batches that memory has room for: every error here is one of a real allocation that was refused."""

import logging
import weakref

import numpy as np
import pytest

from infra.errors import MemoryRanOut
from tasks.models.batch_sizes import BatchSize, answer_within_memory, train_within_memory
from tasks.models.loading import load_model
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import number_rows, numbers_spec
from tests.tasks.models.networks import TOO_MUCH, load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


class Held:
    """What a training holds, to be looked for after its time."""


def fit(room: int, **network):
    """Return a network fitted on a machine that has room for so many rows."""
    one = {"network": {"build": "networks:hungry", "epochs": 1, **network}, "params": {"room": room}}
    return fit_candidate("one", numbers_spec({"one": one}), number_rows(), load=load)


def test_what_does_not_fit_is_trained_in_smaller_batches_and_says_so(caplog, tmp_path):
    """Watched and then refitted: the second training begins with the batches that the first had room for."""
    with caplog.at_level(logging.WARNING):
        model = fit(room=32, batch_size=60, validation_share=0.25)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["plain: candidates.one: memory ran out with batches of 60 rows; trained anew with 30"]
    assert model.trained.batch_size == 30
    assert model.trained.batch_size_why == "30 instead of 60: memory ran out"
    given = fit(room=32, batch_size=30)
    assert given.trained.batch_size_why == ""
    assert save_model(given, tmp_path / "given") == save_model(model, tmp_path / "halved")
    assert load_model(tmp_path / "halved").trained is None


def test_a_network_that_no_batch_makes_fit_ends_with_what_to_do():
    asked = []

    def train(size):
        asked.append(size.rows)
        np.empty(TOO_MUCH)

    with pytest.raises(MemoryRanOut, match=r"one: memory ran out in training even with batches of 8 rows") as caught:
        train_within_memory(train, BatchSize(50), "one")
    assert asked == [50, 25, 12, 8]
    assert "Make the network smaller" in caught.value.remedy


def test_what_was_too_large_is_given_back_before_the_next_try():
    held = weakref.WeakSet()

    def train(size):
        assert not held
        network = Held()
        held.add(network)
        return np.empty(TOO_MUCH if size.rows > 20 else 1)

    assert len(train_within_memory(train, BatchSize(64), "one")) == 1


@pytest.mark.parametrize("room", [1, 3, 100])
def test_answers_that_do_not_fit_at_once_are_given_in_parts(room):
    def answer(part):
        np.empty(TOO_MUCH if len(part) > room else 1)
        return part * 2

    inputs = np.arange(10.0)[:, None]
    assert np.array_equal(answer_within_memory(answer, inputs, 8), inputs * 2)


def test_a_row_whose_answer_does_not_fit_is_an_error():
    with pytest.raises(MemoryRanOut, match="a single row"):
        answer_within_memory(lambda _: np.empty(TOO_MUCH), np.zeros((2, 1)), 4)
