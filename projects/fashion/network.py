"""A small convolutional network (LeCun, Bottou, Bengio & Haffner 1998), with or without changed pictures in training."""

from typing import Any

import keras


def build(shape: Any, params: dict[str, Any]) -> keras.Model:
    """Return the compiled network: two blocks of convolution and pooling, one hidden layer, a probability a class.

    `params`: `filters` (of the first block, 32; the second has twice as many), `hidden` (units, 128), `dropout` (share of
    them left out in a step, 0.3), `augment` (flip, shift and turn the pictures of a step; answers are never changed).
    """
    filters = params.get("filters", 32)
    changes = [
        keras.layers.RandomFlip("horizontal", seed=1),
        keras.layers.RandomTranslation(0.07, 0.07, seed=2),
        keras.layers.RandomRotation(0.02, seed=3),
    ]
    model = keras.Sequential(
        [
            keras.Input(shape.image),
            keras.layers.Rescaling(1 / 255),
            *(changes if params.get("augment") else []),
            keras.layers.Conv2D(filters, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(2 * filters, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(params.get("hidden", 128), activation="relu"),
            keras.layers.Dropout(params.get("dropout", 0.3), seed=4),
            keras.layers.Dense(shape.classes, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
