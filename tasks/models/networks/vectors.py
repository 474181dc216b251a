"""Word vectors from a file that somebody else made: found, verified, and read without running anything."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from infra.errors import IntegrityError
from infra.frames import read_parquet
from tasks.contracts.borrowing import Embeddings
from tasks.models.model import Array
from tasks.models.networks.given_files import find_file
from tasks.models.networks.layers import EMBEDDING
from tasks.models.text import FIRST_WORD, PADDING

logger = logging.getLogger(__name__)


class Vectors(NamedTuple):
    """The vectors of some words."""

    table: Array
    """float32, shape (words, width); 0 where there is none."""
    known: Array
    """Whether there is one, shape (words,)."""


def read_vectors(spec: Embeddings, folder: Path, words: Sequence[str]) -> Vectors:
    """Return the vectors of these words.

    Parameters
    ----------
    folder
        The project's, for files that are in no package.

    Raises
    ------
    SpecError
        The package or a file is not there.
    IntegrityError
        A file is another one than its digest says, or is not made as it should be.
    """
    path = find_file(spec.package, spec.vectors, folder, spec.digest, key="embeddings")
    if spec.words is None or spec.words_digest is None:
        vectors = _read_text(path, words)
    else:
        named = _read_words(find_file(spec.package, spec.words, folder, spec.words_digest, key="embeddings"))
        vectors = _read_matrix(path, named, words)
    logger.info("%d of %d words have a vector in %s", vectors.known.sum(), len(words), path.name)
    return vectors


def place_vectors(network: Any, vectors: Vectors) -> None:
    """Put the vectors into the network's table, in place; words without keep what was drawn, and padding is 0."""
    layer = network.get_layer(EMBEDDING)
    table = layer.get_weights()[0]
    table[PADDING] = 0
    table[FIRST_WORD : FIRST_WORD + len(vectors.table)][vectors.known] = vectors.table[vectors.known]
    layer.set_weights([table])


def _read_words(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return [str(word) for word in read_parquet(path).iloc[:, 0]]
    return path.read_text(encoding="utf-8").splitlines()


def _read_matrix(path: Path, named: Sequence[str], words: Sequence[str]) -> Vectors:
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise IntegrityError(f"{path.name}: no matrix of numbers: {error}") from error
    if matrix.ndim != 2 or len(matrix) != len(named):
        raise IntegrityError(f"{path.name}: expected a row for each of {len(named)} words, received {matrix.shape}.")
    place = {word: at for at, word in enumerate(named)}
    known = np.array([word in place for word in words], dtype=bool)
    table = np.zeros((len(words), matrix.shape[1]), dtype=np.float32)
    table[known] = matrix[[place[word] for word in words if word in place]]
    return _finite(path, Vectors(table, known))


def _read_text(path: Path, words: Sequence[str]) -> Vectors:
    wanted, found, width = set(words), dict[str, Array](), 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip("\n").split(" ")
            width = width or len(values)
            if len(values) != width or not width:
                raise IntegrityError(f"{path.name}, line {number}: expected {width} numbers, received {len(values)}.")
            if word in wanted:
                found[word] = _read_numbers(path, number, values)
    known = np.array([word in found for word in words], dtype=bool)
    table = np.zeros((len(words), width), dtype=np.float32)
    for at, word in enumerate(words):
        if word in found:
            table[at] = found[word]
    return _finite(path, Vectors(table, known))


def _read_numbers(path: Path, line: int, values: list[str]) -> Array:
    try:
        return np.array(values, dtype=np.float32)
    except ValueError as error:
        raise IntegrityError(f"{path.name}, line {line}: {error}") from error


def _finite(path: Path, vectors: Vectors) -> Vectors:
    if not np.isfinite(vectors.table).all():
        raise IntegrityError(f"{path.name}: a vector is NaN or infinite.")
    return vectors
