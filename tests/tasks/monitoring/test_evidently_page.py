"""The page for people: it is made from any rows, and says what it is made from."""

import numpy as np
import pandas as pd
import pytest

from tasks.monitoring.evidently_page import write_page
from tasks.monitoring.watched import Watched

TYPES = {"x": "number", "odd": "number", "c": "category", "b": "boolean", "words": "text"}
WATCHED = [Watched(column=name, type=kind) for name, kind in TYPES.items()]


def rows(n, seed=0, **columns):
    rng = np.random.default_rng(seed)
    frame = {
        "x": rng.normal(size=n),
        "odd": np.full(n, np.nan),
        "c": rng.choice([f"value-{at}" for at in range(80)], n),
        "b": rng.random(n) < 0.5,
        "words": ["some words"] * n,
    }
    return pd.DataFrame({**frame, **columns})


@pytest.fixture
def page(tmp_path):
    def write(before, now):
        paths = [tmp_path / name for name in ("before.parquet", "now.parquet")]
        for frame, path in zip((before, now), paths, strict=True):
            frame.to_parquet(path)
        return write_page(*paths, WATCHED, tmp_path / "page.html", title="flights 2013-07 <b>")

    return write


@pytest.mark.slow
def test_the_page_says_how_many_rows_it_shows_and_what_it_leaves_out(page):
    before = rows(12_000)
    before.loc[5, ["x", "c"]] = [np.inf, None]
    html = page(before, rows(300, seed=1)).read_text()
    assert "300 of 300 rows of the window against 10,000 of 12,000 rows of the reference" in html
    assert "Not shown: odd, words." in html
    assert "flights 2013-07 &lt;b&gt;" in html
    assert "(others)" in html


@pytest.mark.parametrize("now", [rows(0), rows(1), rows(5)[["odd"]].assign(x=np.nan, c=None, b=None, words=None)])
def test_rows_that_show_nothing_make_no_page(page, now):
    assert page(rows(50), now.astype({"b": "boolean", "c": "string", "words": "string"})) is None
