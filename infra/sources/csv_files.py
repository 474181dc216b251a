"""CSV files as one frame; what a cell means is left to the project's contract."""

import bz2
import csv
import gzip
import io
import lzma
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import pandas as pd

from infra.errors import SourceError, name_values
from infra.sources.places import Place, find_places, name_s3_fault, require_same_columns

MISSING_WORDS = frozenset(
    [
        "",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
    ]
)
"""Cells that mean "missing" unless a column says otherwise: pandas' own list, fixed here."""

INDEX = "Unnamed: 0"
"""pandas' own name for a first column without one."""

OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def read_csv(
    patterns: str | Sequence[str],
    folder: Path,
    texts: Mapping[str, Collection[str]] | None = None,
    *,
    index: bool = False,
) -> pd.DataFrame:
    """Return the rows of the files, one below the other; UTF-8, comma-separated, a header in each.

    Numbers are parsed exactly (the nearest float64), integers with gaps stay integers.

    Parameters
    ----------
    patterns
        Paths, globs or s3:// addresses; `.gz`, `.bz2` and `.xz` are unpacked.
    folder
        What relative paths start from.
    texts
        Columns that are read as written ("007" stays "007"), each with the cells that mean "missing" in it.
    index
        The first column may be without a name, as pandas writes an index; it becomes the column INDEX.

    Raises
    ------
    SourceError
        No such file, no CSV, repeated or differing columns.
    """
    places = find_places(patterns, folder)
    frames = [_read_one(place, texts or {}, index=index) for place in places]
    for place, frame in zip(places, frames, strict=True):
        require_same_columns(list(frame.columns), list(frames[0].columns), place.address, places[0].address)
    torn = {name: MISSING_WORDS for name in frames[0].columns if _is_torn(name, frames)}
    if torn:
        frames = [_read_one(place, {**torn, **(texts or {})}, index=index) for place in places]
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _is_torn(name: str, frames: list[pd.DataFrame]) -> bool:
    """Say whether one file's cells read as numbers and another's as text."""
    return len({pd.api.types.is_string_dtype(frame[name]) for frame in frames if frame[name].notna().any()}) > 1


def _read_one(place: Place, texts: Mapping[str, Collection[str]], *, index: bool) -> pd.DataFrame:
    try:
        names = _read_names(place, index=index)
        missing = {name: sorted(texts.get(name, MISSING_WORDS)) for name in names}
        with warnings.catch_warnings(), _open(place) as stream:
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                stream,
                names=names,
                header=0,
                index_col=False,
                dtype={name: "string" for name in names if name in texts},
                dtype_backend="numpy_nullable",
                keep_default_na=False,
                na_values=missing,
                float_precision="round_trip",
                low_memory=False,
                encoding="utf-8-sig",
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, csv.Error) as error:
        raise _no_csv(place, str(error).strip().splitlines()[0]) from error
    except (UnicodeError, EOFError, lzma.LZMAError) as error:
        raise _no_csv(place, f"{type(error).__name__}: not UTF-8, or cut short") from error
    except OSError as error:
        raise (
            name_s3_fault(error, place.address)
            if place.address.startswith("s3://")
            else _no_csv(place, type(error).__name__)
        ) from error


def _read_names(place: Place, *, index: bool) -> list[str]:
    """Return the header as it stands: pandas would rename the second of two equal names."""
    with _open(place) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        names = next(csv.reader(text), [])
        text.detach()
    if not names:
        raise _no_csv(place, "the file is empty")
    if index and not names[0]:
        names[0] = INDEX
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise _no_csv(place, f"the header names {name_values(twice)} more than once")
    if "" in names:
        raise _no_csv(place, f"column {names.index('') + 1} of the header has no name")
    return names


def _open(place: Place) -> IO[Any]:
    raw = place.open()
    opener = OPENERS.get(Path(place.address).suffix)
    return opener(raw, "rb") if opener else raw  # type: ignore[operator, no-any-return]


def _no_csv(place: Place, reason: str) -> SourceError:
    return SourceError(
        f"{place.address}: expected a CSV file with a header (UTF-8, comma-separated), received: {reason}.",
        remedy="Correct the file, or the path in project.yaml under `source.csv`.",
    )
