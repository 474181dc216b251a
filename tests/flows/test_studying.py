"""A study of a project's candidates through the real flow: what is printed and kept, and that nothing is changed."""

from pathlib import Path

import pytest

from infra.registry.registry import open_registry
from tests.flows.conftest import Place

pytestmark = pytest.mark.engine

POINTS = ("study.start", "study.before_commit", "study.after_commit")

TWO = """\
candidates:
  logistic: {estimator: sklearn.linear_model.LogisticRegression}
  neighbour: {estimator: sklearn.neighbors.KNeighborsClassifier, params: {n_neighbors: 1}}
study: {folds: 3, repeats: 1, seeds: 1, learning_curve: {points: 3}}
"""


@pytest.fixture
def studied(table: Path) -> Path:
    """The project `table` with two candidates and a short study, its numbers complete."""
    path = table / "project.yaml"
    text = path.read_text().replace("type: number, null_share: 0.1", "type: number")
    head, _, tail = text.partition("candidates:\n")
    path.write_text(head + TWO + tail.partition("\n")[2])
    return table


def test_a_study_is_printed_kept_with_its_page_and_registers_nothing(place: Place, studied: Path) -> None:
    report = place.answer("study", "table")
    assert isinstance(report, dict)
    assert [one["candidate"] for one in report["diagnoses"]] == ["logistic", "neighbour"]
    assert report["rows"] == 360, "three of five rows: the others test"
    assert set(report["pictures"]) == {"Learning curves", "Candidates beside the best"}
    code, said = place.keepfit("study", "table")
    assert code == 0, said
    assert "as before" in said, "the second study is found in the ledger"
    for word in ("no test row was read", "over-fitted", "table-study.html"):
        assert word in said
    page = (place.home / "reports" / "table-study.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert place.answer("history", "table") == []
    with open_registry(place.database) as registry:
        assert {run.flow for run in registry.runs("table")} == {"study"}
        assert not registry.versions("table")
        assert registry.knows_blob(report["page"]["digest"])
    assert place.answer("run", "table")["status"] in ("released", "held"), "the run goes on as if nothing had been"


def test_after_kill_9_at_a_point_the_next_study_goes_on_and_gives_the_same(place: Place, studied: Path) -> None:
    for point in POINTS:
        code, said = place.keepfit("study", "table", "--candidate", "logistic", KEEPFIT_FAULT_POINT=point)
        assert code == -9, (point, said)
    code, said = place.keepfit("study", "table", "--candidate", "logistic")
    assert code == 0, said
    assert "as before" in said, "the last kill came after the commit"


def test_a_misspelt_candidate_is_refused_with_the_nearest_before_anything_is_started(
    place: Place, studied: Path
) -> None:
    code, said = place.keepfit("study", "table", "--candidate", "logisti")
    assert code == 2
    assert "Did you mean 'logistic'?" in said
    with open_registry(place.database) as registry:
        assert not registry.runs("table")
