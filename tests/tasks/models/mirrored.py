"""The same network on one device and on two that share each batch: `python -m tests.tasks.models.mirrored` prints JSON.

In a process of its own: TensorFlow takes the number of devices once, before it does anything.
"""

import json
import sys

import numpy as np

from tasks.models.keras_models import KerasModel
from tasks.models.recipes import fit_candidate
from tasks.models.tensorflow_runtime import start_keras
from tests.tasks.models.examples import no_functions, number_rows, numbers_spec

PLAIN = {"architecture": {"name": "dense", "units": [8]}, "epochs": 3, "batch_size": 32}
NORMALISED = {
    "architecture": {"name": "dense", "units": [8], "normalise": "batch", "dropout": 0.2},
    "epochs": 2,
    "batch_size": 31,
    "validation_share": 0.1,
}


def fit(network, rows, **compute):
    spec = numbers_spec({"one": {"network": network}}, compute=compute)
    model = fit_candidate("one", spec, number_rows(rows), load=no_functions)
    assert isinstance(model, KerasModel)
    return model


def describe(model):
    weights = [np.asarray(weight).tolist() for weight in model.network.get_weights()]
    return {"weights": weights, "trained": model.trained.model_dump(), "history": model.history}


if __name__ == "__main__":
    start_keras(2)
    import tensorflow

    [cpu] = tensorflow.config.list_physical_devices("CPU")
    tensorflow.config.set_logical_device_configuration(cpu, [tensorflow.config.LogicalDeviceConfiguration()] * 2)
    fitted = {
        "one": fit(PLAIN, 80),
        "two": fit(PLAIN, 80, devices=2),
        "again": fit(PLAIN, 80, devices="all"),
        "normalised": fit(NORMALISED, 65, devices=2, precision="mixed"),
    }
    sys.stdout.write(json.dumps({name: describe(model) for name, model in fitted.items()}))
