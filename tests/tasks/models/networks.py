"""Networks that tests build, as a project's network.py would."""

import importlib
from collections.abc import Callable
from typing import Any


def load(reference: str) -> Callable[..., Any]:
    """Resolve a reference in this module, as the project's loader does in a project's folder."""
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(f"tests.tasks.models.{module}"), function)


def dense(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    outputs = 1 if shape.classes == 2 else shape.classes
    model = keras.Sequential(
        [
            keras.Input((shape.inputs,)),
            keras.layers.Dense(params.get("hidden", 8), activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax"),
        ]
    )
    loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
    rate = params.get("learning_rate", 0.01)
    model.compile(optimizer=keras.optimizers.SGD(rate), loss=loss, metrics=["accuracy"])
    return model


def functional(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    inputs = keras.Input((shape.inputs,))
    left, right = keras.layers.Dense(4)(inputs), keras.layers.Dense(4, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Add()([left, right])))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model


def words(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    model = keras.Sequential(
        [
            keras.Input((shape.inputs,), dtype="int32"),
            keras.layers.Embedding(shape.vocabulary, 4),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def with_lambda(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    layers = [keras.Input((shape.inputs,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(loss="mse")
    return model


def uncompiled(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    return keras.Sequential([keras.Input((shape.inputs,)), keras.layers.Dense(1)])


def too_narrow(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    model = keras.Sequential([keras.Input((shape.inputs,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="mse")
    return model


def quadratic(shape: Any, params: dict[str, Any]) -> Any:
    """Return a network whose loss has no bound, so that a step too long never comes back."""
    import keras

    model = keras.Sequential([keras.Input((shape.inputs,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(params["learning_rate"]), loss="mse")
    return model


def convolution(shape: Any, params: dict[str, Any]) -> Any:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(shape.image),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy")
    return model


TOO_MUCH = 2**46
"""Numbers of 4 bytes that no process has addresses for: refused on every machine, by TensorFlow after ten seconds of trying."""


def hungry(shape: Any, params: dict[str, Any]) -> Any:
    """Return a network that memory has no room for where a batch has more than `params["room"]` rows."""
    import keras
    import tensorflow as tf

    def loss(truth: Any, answer: Any) -> Any:
        asked = tf.where(tf.shape(answer)[0] > params["room"], tf.constant(TOO_MUCH, tf.int64), 1)
        return keras.losses.binary_crossentropy(truth, answer) + tf.reduce_min(
            tf.random.stateless_uniform([asked], (0, 0))
        )

    layers = [keras.Input((shape.inputs,)), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    return model
