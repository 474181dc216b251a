"""The 344 Palmer penguins, from the file inside the installed package `palmerpenguins` (CC0)."""

from importlib.util import find_spec
from pathlib import Path

import pandas as pd


def read_penguins() -> pd.DataFrame:
    """Return one row a penguin; the package itself is not imported, only its file is read."""
    package = find_spec("palmerpenguins")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The penguins come with a package: pip install palmerpenguins==0.1.4")
    return pd.read_csv(Path(package.origin).parent / "data" / "penguins.csv")
