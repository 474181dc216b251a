import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from tasks.validation.contract import examine_frame
from tasks.validation.page import render_page
from tests.tasks.validation.projects import make_rows, make_spec


class Words(HTMLParser):
    """The words that a reader sees, and everything that would load something."""

    def __init__(self):
        super().__init__()
        self.words, self.loads = [], []

    def handle_starttag(self, tag, attributes):
        self.loads += [value for name, value in attributes if name in ("src", "href", "action")] + [tag] * (
            tag in ("script", "link", "iframe")
        )

    def handle_data(self, data):
        self.words.append(data.strip())


def read(frame, **validation):
    spec = make_spec(**validation)
    page = render_page(examine_frame(frame, spec), spec)
    parser = Words()
    parser.feed(page)
    return page, " ".join(filter(None, parser.words)), parser.loads


FRAMES = {
    "accepted": make_rows(),
    "set aside": make_rows().assign(size=[11.0, 12.0] + [1.0] * 38),
    "missing": make_rows().drop(columns="size"),
    "empty": pd.DataFrame(),
    "all null": make_rows().assign(**dict.fromkeys(make_rows().columns)),
}


@pytest.mark.parametrize("name", FRAMES)
def test_the_page_stands_by_itself_and_says_the_verdict_first(name):
    page, words, loads = read(FRAMES[name], quarantine_share=0.1)
    verdict = "ACCEPTED" if name in ("accepted", "set aside") else "REFUSED"
    assert loads == []
    assert not re.search(r"https?://|url\(|@import", page)
    assert words.index(verdict) < words.index("Checks")


def test_failed_checks_come_first_with_their_counts_and_reasons():
    _, words, _ = read(FRAMES["set aside"], quarantine_share=0.1)
    assert "38 of 40 rows keep the contract and go on, 2 are set aside" in words
    assert words.index("failed size expected at least 0 and at most 10 2") < words.index("passed id")
    assert "size: not at least 0 and at most 10 2" in words


def test_columns_are_summed_up_but_text_is_not_quoted():
    frame = make_rows().assign(note="quux")
    _, words, _ = read(frame)
    assert "1 1 4 to 4 characters, median 4" not in words.replace("0 1 4 to 4 characters, median 4", "")
    assert "4 to 4 characters, median 4" in words
    assert "a (20), b (20)" in words
    assert "quux" not in words


def test_what_the_data_says_is_escaped():
    frame = make_rows().assign(**{"<script>alert(1)</script>": 1})
    page, _, loads = read(frame)
    assert loads == []
    assert "&lt;script&gt;" in page
