"""Columns that are made of others, each row out of itself: named by `prepare.steps`."""

import numpy as np
import pandas as pd


def sum_capital(frame: pd.DataFrame) -> pd.DataFrame:
    """Return gains less losses on a scale of orders of magnitude: sign(x) log(1 + |x|), 0 for the nine in ten who had neither."""
    net = frame["capital_gain"] - frame["capital_loss"]
    return pd.DataFrame({"capital": np.sign(net) * np.log1p(net.abs())})
