"""The order of a training's rows, and reading them from memory or from a file."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.compute import Compute
from tasks.contracts.networks import Network
from tasks.models.feed import Feed, Place, lies_in_a_file, order_rows

ROWS, SIZE, EPOCHS = 22, 5, 3
networks = [pytest.mark.slow, pytest.mark.xdist_group("networks")]


@given(st.integers(0, 50), st.integers(-5, 2**70), st.integers(0, 9))
def test_an_epoch_has_each_row_once_in_an_order_of_its_own(rows: int, seed: int, epoch: int) -> None:
    order = order_rows(rows, seed, epoch)
    assert sorted(order.tolist()) == list(range(rows))
    assert order.tolist() == order_rows(rows, seed, epoch).tolist()


def test_another_epoch_and_another_seed_have_another_order() -> None:
    orders = {tuple(order_rows(30, seed, epoch).tolist()) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def arrays() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 3)).astype(np.float32), rng.integers(0, 2, ROWS), rng.uniform(1, 2, ROWS)


def batches(dataset: Any) -> list[list[bytes]]:
    return [[part.tobytes() for part in batch] for batch in dataset.as_numpy_iterator()]


@pytest.fixture(scope="module")
def started() -> Any:
    from tasks.models.tensorflow_runtime import start_keras

    start_keras(Compute().threads)
    import tensorflow

    return tensorflow


@pytest.fixture
def on_disk(tmp_path: Any) -> Any:
    """The inputs as a file that only ever gives what it is asked for; `asked`: how many rows at a time."""

    class Counted(np.memmap):
        asked: list[int] = []  # noqa: RUF012  for this test alone

        def __getitem__(self, positions: Any) -> Any:
            self.asked.append(len(positions))
            return np.asarray(super().__getitem__(positions))

    inputs = arrays()[0]
    inputs.tofile(tmp_path / "rows")
    return Counted(tmp_path / "rows", inputs.dtype, "r", shape=inputs.shape)


def test_a_view_of_a_mapped_file_lies_in_a_file_and_a_copy_does_not(on_disk: Any) -> None:
    assert all(lies_in_a_file(array) for array in (on_disk, np.asarray(on_disk), np.asarray(on_disk).T))
    assert not any(lies_in_a_file(array) for array in (np.array(on_disk), np.arange(3)))


class TestFeed:
    pytestmark = networks

    def test_from_any_place_on_it_is_the_rest_of_what_it_is_from_the_beginning(self, started: Any) -> None:
        feed = Feed(started, arrays(), batch_size=SIZE, seed=7)
        whole = batches(feed.shuffled(Place(), EPOCHS))
        assert len(whole) == EPOCHS * feed.steps
        for place in (Place(0, 3), Place(1), Place(2, 4)):
            done = place.epoch * feed.steps + place.step
            assert batches(feed.shuffled(place, EPOCHS)) == whole[done:]

    def test_rows_and_their_targets_and_weights_stay_together(self, started: Any) -> None:
        inputs, target, weights = arrays()
        order = order_rows(ROWS, 7, 1)
        epoch = list(
            Feed(started, (inputs, target, weights), batch_size=SIZE, seed=7).shuffled(Place(1), 2).as_numpy_iterator()
        )
        for at, array in enumerate((inputs, target, weights.astype(np.float32))):
            assert np.array_equal(np.concatenate([batch[at] for batch in epoch]), array[order])

    @pytest.mark.parametrize("size", [SIZE, ROWS, ROWS + 1, 11], ids=["rest", "one", "larger", "even"])
    def test_a_file_gives_the_batches_that_memory_gives(self, size: int, on_disk: Any, started: Any) -> None:
        inputs, *others = arrays()
        held, mapped = (Feed(started, (rows, *others), batch_size=size, seed=7) for rows in (inputs, on_disk))
        assert batches(mapped.shuffled(Place(1, 0), 3)) == batches(held.shuffled(Place(1, 0), 3))
        assert batches(mapped.in_order()) == batches(held.in_order())
        assert max(on_disk.asked) <= size

    def test_a_network_trained_from_a_file_has_the_weights_of_one_trained_from_memory(
        self, on_disk: Any, started: Any
    ) -> None:
        inputs, target, weights = arrays()
        assert train(on_disk, target, weights) == train(inputs, target, weights)
        assert max(on_disk.asked) <= SIZE


def train(inputs: Any, target: Any, weights: Any) -> list[bytes]:
    import keras

    from tasks.models.epochs import train_network

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dropout(0.5), keras.layers.Dense(1, "sigmoid")])
    network.compile(optimizer="adam", loss="binary_crossentropy")
    spec = Network.model_validate({"build": "a:b", "epochs": EPOCHS, "batch_size": SIZE})
    course = train_network(network, (inputs, target), weights, (inputs, target), spec, seed=7, on_epoch=None, where="x")
    assert course.pace is not None
    assert course.pace.epochs == EPOCHS - 1
    return [weight.numpy().tobytes() for weight in network.weights] + [repr(course.history).encode()]
