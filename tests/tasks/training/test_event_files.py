"""TensorBoard's form of a training, read back by TensorFlow itself."""

import pytest

from tasks.training.event_files import FILE_NAME, write_events

HISTORY = {"loss": [0.5, 0.25], "val_loss": [0.75, 0.625], "refit_accuracy": [0.5], "learning_rate": [0.125, 0.0625]}


def test_the_same_training_gives_the_same_file():
    assert write_events(HISTORY) == write_events(dict(reversed(HISTORY.items())))
    assert write_events(HISTORY) != write_events({**HISTORY, "loss": [0.5, 0.375]})


@pytest.mark.slow
@pytest.mark.xdist_group("networks")
def test_tensorflow_reads_each_value_at_its_epoch(tmp_path):
    from tasks.models.tensorflow_runtime import _import_tensorflow

    path = tmp_path / FILE_NAME
    path.write_bytes(write_events(HISTORY))
    tensorflow = _import_tensorflow()
    records = [record.numpy() for record in tensorflow.data.TFRecordDataset(str(path))]
    events = [tensorflow.compat.v1.Event.FromString(record) for record in records]
    assert events[0].file_version == "brain.Event:2"
    found = {(value.tag, event.step): value.simple_value for event in events[1:] for value in event.summary.value}
    assert found == {
        ("loss/training", 1): 0.5, ("loss/training", 2): 0.25, ("loss/watched", 1): 0.75, ("loss/watched", 2): 0.625,
        ("accuracy/all_rows", 1): 0.5, ("learning_rate/training", 1): 0.125, ("learning_rate/training", 2): 0.0625,
    }  # fmt: skip
