"""A batch shared by two devices: here two halves of a CPU, as TensorFlow can cut one."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from infra.errors import TrainingFailed
from tasks.contracts.compute import Compute

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fresh processes")]


@pytest.fixture(scope="module")
def fitted():
    command = [sys.executable, "-m", "tests.tasks.models.mirrored"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_the_same_seed_gives_the_same_weights_on_two_devices(fitted):
    assert fitted["two"]["weights"] == fitted["again"]["weights"]


def test_two_devices_learn_what_one_does_from_batches_of_the_same_size(fitted):
    pairs = zip(fitted["one"]["weights"], fitted["two"]["weights"], strict=True)
    assert max(float(np.abs(np.subtract(one, two)).max()) for one, two in pairs) < 1e-5


def test_how_many_devices_there_were_is_recorded(fitted):
    assert [fitted[name]["trained"]["devices"] for name in ("one", "two", "again")] == [1, 2, 2]
    assert fitted["two"]["trained"]["batch_size"] == 32


def test_rows_that_do_not_share_evenly_leave_no_device_without_any(fitted):
    """65 rows in batches of 31: one row would be left over, and batch normalisation of none is no number."""
    model = fitted["normalised"]
    assert model["trained"] == {
        "batch_size": 30,
        "batch_size_why": "30 instead of 31: shared by 2 devices",
        "precision": "mixed_bfloat16",
        "devices": 2,
    }
    assert all(math.isfinite(value) for values in model["history"].values() for value in values)


def test_more_devices_than_there_are_is_said():
    from tasks.models.tensorflow_runtime import choose_devices

    with pytest.raises(TrainingFailed, match=r"p: expected 64 devices of kind CPU .*, and TensorFlow sees"):
        choose_devices(Compute(devices=64), project="p")
    assert choose_devices(Compute(device="gpu", fallback="cpu", devices=64), project="p") == ("CPU:0",)
