import base64
import re
from html.parser import HTMLParser

import pytest

from tasks.contracts.evaluation import GateCheck
from tasks.release.page import render_report
from tests.tasks.evaluation.builders import make_spec
from tests.tasks.release.builders import blob, make_manifest, make_verdict

PICTURE = b"\x89PNG picture"
HOSTILE = """<script>alert("x")</script><img src='http://evil.example/' onerror=go()>&{{ 7 * 7 }}'"--></title>"""


class Page(HTMLParser):
    """What a browser would make of the page: its tags with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


def render(text="plain", label="demo@1", **verdict):
    spec = make_spec().model_copy(update={"description": text})
    return render_report(label, spec, make_manifest(text), make_verdict(text, **verdict), read=lambda ref: PICTURE)


def test_every_check_of_the_verdict_is_on_the_page_with_its_outcome():
    checks = tuple(
        GateCheck(name=f"check {status}", kind="guard", status=status, metric="f1", n=31, detail=f"because {status}")
        for status in ("pass", "inconclusive", "fail")
    )
    lines = Page(render(checks=checks)).text
    for check in checks:
        assert re.search(rf"[✓?✗]\s*{check.name}[^A-Za-z]*31", lines), check.name
        assert re.search(rf"{check.status}\s*{check.name}\s*:\s*{check.detail}", lines), check.name


def test_the_page_says_the_decision_and_what_to_do_next_before_the_evidence():
    text = Page(render()).text
    assert 0 < text.index("HOLD") < text.index("Next:") < text.index("The gate, check by check")


def test_words_of_others_stand_on_the_page_as_words():
    usual, hostile = Page(render()), Page(render(HOSTILE, label=HOSTILE))
    # One for one the same tags: not one more, and none of them with an attribute that it had not before.
    assert [(tag, sorted(attrs)) for tag, attrs in hostile.tags] == [(tag, sorted(attrs)) for tag, attrs in usual.tags]
    assert hostile.text.count(HOSTILE) >= usual.text.count("plain") > 10


@pytest.mark.parametrize("text", ["plain", HOSTILE], ids=["plain", "hostile"])
def test_the_page_needs_nothing_beside_itself(text):
    page = Page(render(text))
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    addresses = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "srcset", "action") if key in attrs]
    assert addresses == [f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"]
    style = render(text).partition("<style>")[2].partition("</style>")[0]
    assert style
    assert not re.search(r"url\(|@import", style)
    assert "default-src 'none'" in next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs)


def test_the_picture_is_read_from_the_blob_that_the_manifest_names():
    asked = []
    render_report("demo@1", make_spec(), make_manifest(), make_verdict(), read=lambda ref: asked.append(ref) or PICTURE)
    assert asked == [blob("6")]


def test_how_each_candidate_differs_from_the_chosen_stands_beside_it_in_words():
    page = Page(render("0.01 behind knn, p 0.5: not told apart."))
    row = page.text.partition("beside the chosen")[2].partition("The data")[0]
    assert row.count("not told apart.") == 3, "its name, the reason, the difference"
    assert "corrected resampled t-test" in page.text
