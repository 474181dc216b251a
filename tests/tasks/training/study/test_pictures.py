"""The pictures and the page of a study show what it found, and need nothing beside themselves."""

import re

import pytest

from tasks.contracts.study_report import CandidateStudy
from tasks.training.study.page import render_page
from tasks.training.study.pictures import draw_study
from tests.tasks.training.study.made import BAYES, NEIGHBOUR, study, two_clouds

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def report() -> CandidateStudy:
    curve = {"candidate": "neighbour", "parameter": "n_neighbors", "values": [1, 9]}
    short = {"folds": 3, "repeats": 1, "learning_curve": {"points": 2}, "validation_curve": curve, "nested": True}
    return study({"bayes": BAYES, "neighbour": NEIGHBOUR}, two_clouds(120), study=short)


def test_each_part_of_a_study_has_its_picture_and_the_same_study_the_same_ones(report: CandidateStudy) -> None:
    drawn = draw_study(report)
    assert set(drawn) == {"Learning curves", "Validation curve", "Candidates beside the best"}
    assert all(picture.startswith(b"\x89PNG") for picture in drawn.values())
    assert drawn == draw_study(report)
    fewer = report.model_copy(update={"curves": report.curves[:1]})
    assert draw_study(fewer)["Learning curves"] != drawn["Learning curves"]


def test_what_was_not_measured_has_no_picture(report: CandidateStudy) -> None:
    alone = report.diagnoses[0].model_copy(update={"difference": None})
    single = report.curves[0].model_copy(update={"points": report.curves[0].points[-1:]})
    bare = report.model_copy(update={"diagnoses": (alone,), "curves": (single,), "validation_curve": None})
    assert draw_study(bare) == {}


def test_a_dummy_that_is_far_off_does_not_press_the_curves_into_one_line(report: CandidateStudy) -> None:
    near, far, farther = (
        draw_study(report.model_copy(update={"dummy": dummy}))["Validation curve"] for dummy in (0.5, -9.0, -90.0)
    )
    assert near != far
    assert len(far) > 0.9 * len(near), "the curves are still there"
    assert far != farther, "it is named in the legend"


def test_the_page_says_every_finding_with_its_figures_and_shows_every_picture(report: CandidateStudy) -> None:
    page = render_page(report, {"A picture": b"\x89PNG"})
    for diagnosis in report.diagnoses:
        assert f"{diagnosis.candidate}: {', '.join(diagnosis.findings)}" in page
    assert report.nested is not None
    assert report.nested.detail.split(" (")[0] in page
    assert page.count("data:image/png;base64,") == 1
    assert not re.search(r"https?://|<script|@import|url\(", page)


def test_words_of_others_stand_on_the_page_as_words(report: CandidateStudy) -> None:
    hostile = report.diagnoses[0].model_copy(update={"candidate": HOSTILE, "reasons": (HOSTILE,)})
    page = render_page(report.model_copy(update={"diagnoses": (hostile,), "metric": HOSTILE}), {HOSTILE: b"x"})
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4
