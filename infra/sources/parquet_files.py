"""Parquet files of whatever writer as one frame."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from infra.errors import SourceError
from infra.sources.places import Place, find_places, name_s3_fault, require_same_columns

NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}
"""Integers and booleans with gaps would come as float64 and object otherwise."""


def read_parquet(patterns: str | Sequence[str], folder: Path) -> pd.DataFrame:
    """Return the rows of the files, one below the other.

    Parameters
    ----------
    patterns
        Paths, globs or s3:// addresses.
    folder
        What relative paths start from.

    Raises
    ------
    SourceError
        No such file, no Parquet, differing columns or types that do not go together.
    """
    places = find_places(patterns, folder)
    tables = [_read_one(place) for place in places]
    first = tables[0].column_names
    for place, table in zip(places, tables, strict=True):
        require_same_columns(table.column_names, first, place.address, places[0].address)
    try:
        whole = pa.concat_tables([table.select(first) for table in tables], promote_options="permissive")
    except pa.ArrowException as error:
        raise SourceError(
            f"{places[0].address} and {len(places) - 1} more: expected one type a column, received {error}.",
            remedy="Write the files with the same types.",
        ) from error
    frame: pd.DataFrame = whole.to_pandas(types_mapper=NULLABLE.get)
    return frame


def _read_one(place: Place) -> pa.Table:
    try:
        with place.open() as stream:
            table = pq.read_table(stream)
    except pa.ArrowException as error:
        raise SourceError(
            f"{place.address}: expected a whole Parquet file, received something else.",
            remedy="Correct the file, or the path in project.yaml under `source.parquet`.",
        ) from error
    except OSError as error:
        raise name_s3_fault(error, place.address) from error
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice:
        raise SourceError(f"{place.address}: expected each column once, received {twice} again.", remedy="Rename them.")
    return table.replace_schema_metadata(None)
