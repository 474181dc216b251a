"""Functions that a project could name in `prepare.steps`: some keep the contract, the others break it each in their way."""

import numpy as np
import pandas as pd

from tests.tasks.models.examples import WORDS

_SEEN = []


def ratio(frame, floor=1.0):
    return pd.DataFrame({"ratio": frame["height"] / frame["count"].clip(lower=floor)})


def talk(frame):
    words = frame["note"].str.split()
    kind = frame["kind"].where(frame["kind"].notna(), "none") + "-" + (frame["count"] > 4).astype(str)
    return pd.DataFrame({"loud": words.str.len() > len(WORDS), "both": kind})


def product(frame):
    return pd.DataFrame({"product": frame["a"] * frame["b"]})


def of_the_mean(frame):
    return pd.DataFrame({"product": frame["a"] - frame["a"].mean()})


def of_the_one_before(frame):
    return pd.DataFrame({"product": frame["a"].shift(1)})


def of_the_draw(frame):
    return pd.DataFrame({"product": np.random.default_rng().normal(size=len(frame))})


def of_the_first_call(frame):
    _SEEN.append(len(frame))
    return pd.DataFrame({"product": frame["a"] + len(_SEEN)})


def in_place(frame):
    frame["a"] = 0.0
    return pd.DataFrame({"product": frame["a"]})


def other_columns(frame):
    return frame.assign(product=1.0)


def fewer_rows(frame):
    return pd.DataFrame({"product": frame["a"]}).iloc[1:]


def other_order(frame):
    return pd.DataFrame({"product": frame["a"]}).sort_values("product")


def failing(frame):
    raise ZeroDivisionError("no")


def infinite(frame):
    return pd.DataFrame({"product": np.full(len(frame), np.inf)})


def nothing(frame):
    return None


def is_loud(frame):
    return pd.DataFrame({"loud": frame["note"].str.len() > 20})


def both(frame):
    return pd.DataFrame({"both": frame["note"].str.split().str[0]})


def shout(frame):
    return pd.DataFrame({"shout": frame["note"].str.upper()})


def day_after(frame):
    return pd.DataFrame({"after": frame["taken"] + pd.Timedelta(days=1)})
