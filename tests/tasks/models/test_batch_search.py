"""`batch_size: auto`: real steps, whose memory is really taken or really refused."""

import numpy as np
import pytest

from tasks.models.batch_search import LARGEST, SMALLEST, find_batch_size
from tasks.models.recipes import fit_candidate
from tasks.models.saving import save_model
from tests.tasks.models.examples import number_rows, numbers_spec
from tests.tasks.models.networks import TOO_MUCH, load

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("networks")]

MB = 1_000_000


def taking(bytes_a_row):
    """Return a step that takes so many bytes a row for a moment, and the sizes that it was asked for."""
    asked = []

    def step(rows):
        asked.append(rows)
        for _ in range(5):
            np.ones(rows * bytes_a_row, dtype=np.uint8).sum()

    return step, asked


def test_the_most_is_a_twentieth_of_the_rows():
    step, asked = taking(8)
    assert find_batch_size(step, 2_600, on_cpu=True, where="one").rows == 128
    assert asked == [32, 64, 128]


def test_so_many_rows_as_nobody_wants_in_a_batch_are_not_tried():
    step, asked = taking(8)
    found = find_batch_size(step, 10**7, on_cpu=True, where="one")
    assert found == (LARGEST, "found: more are never tried")
    assert max(asked) == LARGEST


def test_on_a_cpu_a_step_that_would_take_too_much_is_never_tried():
    step, asked = taking(MB)
    found = find_batch_size(step, 10**6, on_cpu=True, where="one", room_bytes=400 * MB)
    assert found.rows == max(asked) == 256
    assert found.why == "found: twice as many would take more than 400 MB"


def test_on_a_gpu_the_device_says_what_does_not_fit():
    def step(rows):
        np.empty(TOO_MUCH if rows > 256 else 1)

    found = find_batch_size(step, 10**6, on_cpu=False, where="one")
    assert found == (256, "found: twice as many do not fit into memory")


def test_where_not_even_the_smallest_fits_training_begins_with_it_and_halves():
    found = find_batch_size(lambda _: np.empty(TOO_MUCH), 10**6, on_cpu=False, where="one")
    assert found == (SMALLEST, "found: memory has no room for more")


def test_the_weights_follow_from_seed_and_found_size_alone(tmp_path):
    def fit(batch_size):
        network = {"architecture": {"name": "dense", "dropout": 0.2}, "epochs": 1, "batch_size": batch_size}
        spec = numbers_spec({"one": {"network": network}})
        return fit_candidate("one", spec, number_rows(1_500), load=load)

    found, given = fit("auto"), fit(64)
    assert found.trained.batch_size == 64
    assert found.trained.batch_size_why == "found: more would be over a 20th of the 1,500 rows"
    assert save_model(found, tmp_path / "found") == save_model(given, tmp_path / "given")
