"""The rows of the fashion project: Fashion-MNIST as pictures, wherever its four files are."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from infra.errors import SourceError
from tasks.images import encode_png

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
GARMENTS = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIDE = 28
HEADERS = {"images-idx3": 16, "labels-idx1": 8}
"""Bytes before the values in a file of the IDX format."""

FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
"""SHA-256 of each file's content, whoever packed it."""


def read() -> pd.DataFrame:
    """Return 70,000 pictures with what they show and their place; the authors' 10,000 test pictures come last.

    Raises
    ------
    SourceError
        The files are not on this machine, or are others.
    """
    folder = _find_folder()
    train, test = (_read_part(folder, part) for part in ("train", "t10k"))
    pixels = np.concatenate([train[0], test[0]])
    labels = np.concatenate([train[1], test[1]])
    return pd.DataFrame(
        {
            "picture": [encode_png(each) for each in pixels],
            "garment": np.array(GARMENTS, dtype=object)[labels],
            "position": np.arange(len(labels)) / (len(labels) - 1),
        }
    )


def _find_folder() -> Path:
    keras = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "datasets" / "fashion-mnist"
    for folder in (DEBIAN, keras):
        if all((folder / f"{name}.gz").is_file() for name in FILES):
            return folder
    raise SourceError(
        f"Expected the four files of Fashion-MNIST in {DEBIAN} or {keras}; they are in neither.",
        remedy="On Debian and Ubuntu: `apt-get install dataset-fashion-mnist`. Elsewhere, with internet: "
        "`python -c 'import keras; keras.datasets.fashion_mnist.load_data()'`.",
    )


def _read_part(folder: Path, part: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    images, labels = (_read_values(folder, f"{part}-{kind}-ubyte", header) for kind, header in HEADERS.items())
    return images.reshape(-1, SIDE, SIDE), labels


def _read_values(folder: Path, name: str, header: int) -> npt.NDArray[np.uint8]:
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    if (found := hashlib.sha256(content).hexdigest()) != FILES[name]:
        raise SourceError(
            f"{folder / name}.gz: expected the content {FILES[name][:12]}…, received {found[:12]}….",
            remedy="Get the file anew: these are not the published pictures.",
        )
    return np.frombuffer(content, np.uint8)[header:]
