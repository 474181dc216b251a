"""From inputs to what a network takes: preparation is learnt, then applied; block by block where the inputs lie in a file.

Whether they do never changes what is learnt, only how much memory that takes: the fitted model is the same, bit by bit.
"""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from infra.errors import TrainingFailed
from tasks.models.inputs import InputColumns, Inputs, Rows, Undecoded
from tasks.models.model import Array
from tasks.models.stored import Stored, hold, store

logger = logging.getLogger(__name__)

LEARN_VALUES = 1 << 24
"""Values (rows times columns) that a preparation is learnt from: 128 MB of numbers. Of more rows, a sample."""
WORDS_A_TEXT = 200
"""A text counts as this many columns."""

TABLE_BLOCKS = 16
"""Blocks of rows of a table that are prepared at once: a pipeline costs some milliseconds a call."""

Matrix = Array | Stored
"""What a network takes, in memory or in a file; both are read by `matrix[positions]`."""
Readable = Inputs | Stored | Undecoded


def learn(prepare: Any, columns: InputColumns, rows: Rows, *, across: bool, seed: int, where: str) -> Matrix:
    """Fit the preparation in place and return the rows as a network takes them.

    Learnt from all rows, or, where they hold more than `LEARN_VALUES` values, from as many as hold no more, drawn without
    replacement: a mean of a million rows moves by a thousandth of a standard deviation from draw to draw. Rare categories
    and words that the draw misses count as unknown ones.

    Parameters
    ----------
    prepare
        Unfitted pipeline; None: nothing is asked.
    across
        The pipeline answers the rows that it is fitted on otherwise than others (target encoding): all of them at once,
        in memory, or not at all.
    seed
        Of the draw.
    where
        Of the candidate, for messages.

    Raises
    ------
    TrainingFailed
        Rows in a file cannot be prepared across folds, or the file that they are prepared into is full.
    """
    inputs, drawn = rows.inputs, draw_rows(len(rows), columns, seed)
    if isinstance(inputs, Stored):
        _require_rowwise(across, len(rows), where)
    elif prepare is None or across or drawn is None:
        shown = columns.derive(inputs, guarded=True)
        return as_matrix(shown if prepare is None else prepare.fit_transform(shown, rows.target))
    if prepare is not None or columns.steps:
        part = (rows if drawn is None else rows.take(drawn)).held
        shown = columns.derive(hold(part.inputs), guarded=True)
        if prepare is not None:
            logger.info("%s: its preparation is learnt from %d of %d rows", where, len(part), len(rows))
            prepare.fit(shown, part.target)
    return apply(prepare, columns, inputs)


def _require_rowwise(across: bool, rows: int, where: str) -> None:
    if across:
        raise TrainingFailed(
            f"{where}: prepare.category.encode target needs all training rows in memory at once; {rows:,} are kept in a file, "
            "since they take more memory than is allowed.",
            remedy="Choose another encoding (one_hot with `min_share`, ordinal), or allow more memory (compute.memory_mb).",
        )


def apply(prepare: Any, columns: InputColumns, inputs: Inputs | Stored) -> Matrix:
    """Return inputs as a network takes them, by a preparation that was fitted; those in a file in another file."""
    if not isinstance(inputs, Stored):
        return _apply(prepare, columns, inputs)
    if prepare is None and not columns.steps and inputs.dtype == np.uint8:
        return inputs  # pixels are taken as they are
    return store((_apply(prepare, columns, block) for block in inputs.blocks()), inputs.folder)


def apply_by_blocks(prepare: Any, columns: InputColumns, inputs: Readable, rows: int) -> Iterator[Array]:
    """Yield inputs as a network takes them, so many rows at a time: what they take more than in their own form is bounded."""
    size = rows if columns.images else TABLE_BLOCKS * rows
    for start in range(0, len(inputs), size):
        block = _cut(inputs, slice(start, start + size))
        columns.require_numbers(block)
        prepared = _transform(prepare, columns.derive(block))
        for at in range(0, len(block), rows):
            yield as_matrix(prepared[at : at + rows])


def _apply(prepare: Any, columns: InputColumns, inputs: Inputs) -> Array:
    return as_matrix(_transform(prepare, columns.derive(inputs)))


def _transform(prepare: Any, derived: Inputs) -> Any:
    return derived if prepare is None else prepare.transform(derived)


def _cut(inputs: Readable, part: slice) -> Any:
    return inputs.iloc[part] if isinstance(inputs, pd.DataFrame) else inputs[part]


def draw_rows(n: int, columns: InputColumns, seed: int) -> Array | None:
    """Return the positions of the rows that a preparation is learnt from, in order; None: all rows."""
    width = len(columns.numbers) + len(columns.categories) + len(columns.times) + WORDS_A_TEXT * len(columns.texts)
    most = max(1, LEARN_VALUES // max(1, width))
    return None if n <= most else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def as_matrix(prepared: Any) -> Array:
    """Return what a network takes: dense, int32 for word numbers, uint8 for pixels and float32 for all else."""
    dense = prepared.toarray() if hasattr(prepared, "toarray") else np.asarray(prepared)
    return dense if dense.dtype in (np.int32, np.uint8) else dense.astype(np.float32)
