"""The article's network."""

from typing import Any

import keras


def build(shape: Any, params: dict[str, Any]) -> keras.Model:
    """Return the compiled network: the average of a review's word vectors, one hidden layer, one probability.

    `params`: `embedding` (width of a word's vector, 16) and `hidden` (units, 16).
    """
    model = keras.Sequential(
        [
            keras.Input((shape.inputs,), dtype="int32"),
            keras.layers.Embedding(shape.vocabulary, params.get("embedding", 16)),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(params.get("hidden", 16), activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model
