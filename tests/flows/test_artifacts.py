"""What stands on the pages of a run, and that words of others stay words there."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect import flow

from flows.artifacts import monitoring, study, validation, verdict
from flows.artifacts.publishing import artifact_key
from flows.artifacts.validation import REFUSED, publish_refused_data, publish_validation
from infra.registry.holder import describe_process
from infra.workspace import open_workspace
from tasks.contracts.data import Check
from tasks.contracts.evaluation import GateCheck
from tasks.contracts.models import FoldDifference
from tasks.contracts.monitoring import Change, DriftReport, MonitorReport, Window
from tasks.contracts.study_report import CandidateStudy, Diagnosis, Luck
from tests.flows.desk import Desk, open_desk
from tests.tasks.release.builders import make_manifest, make_verdict
from tests.tasks.release.waiting import own_workspace

HOSTILE = (
    "a|b\n# Heading\n| --- |<img src=x> c\\|d ![](http://there/x.png) [here](http://there) `code` **bold** roc_auc"
)
CHECKS = (
    Check(expectation="expect_a", column="x", status="passed", detail="fine"),
    Check(expectation="expect_b", column=None, status="failed", detail="3 of them", failed_rows=3),
)
REPORT = make_manifest().validation.model_copy(
    update={"checks": CHECKS, "warnings": ("Look\nhere",), "accepted_rows": 147, "quarantined_rows": 3}
)


def table_of(lines: list[str]) -> list[list[str]]:
    """Return the cells of the Markdown tables."""
    return [re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1] for line in lines if line.startswith("|")]


def test_validation_shows_what_did_not_pass_first_with_its_rows() -> None:
    lines = list(validation._render("iris", REPORT))
    rows = [[part.strip() for part in row] for row in table_of(lines)[2:]]
    assert rows == [["✗ failed", "the table", "3", "3 of them"], ["✓ passed", "x", "", "fine"]]
    assert "- **Look:** Look here" in lines
    assert (
        validation._summarise(REPORT, refused=False)
        == "Validation accepted the data: 147 of 150 rows go on, 3 are set aside."
    )


def test_words_of_the_data_stay_in_their_cell() -> None:
    hostile = Check(expectation="expect_c", column=HOSTILE, status="failed", detail=HOSTILE)
    report = REPORT.model_copy(update={"checks": (hostile,), "warnings": ()})
    check = GateCheck(name=HOSTILE, kind="slice", status="pass", n=3)
    for lines in (
        list(validation._render("iris", report)),
        list(verdict.render_verdict("iris@1", make_verdict(HOSTILE, checks=(check,)))),
    ):
        assert len({len(row) for row in table_of(lines)}) == 1
        assert not any("\n" in line or "<" in line for line in lines)
        assert not any(re.search(r"(?<!\\)(\[here|\]\(|`)|\*\*bold", line) for line in lines if "there" in line)
        assert any("roc_auc" in line for line in lines)


def test_a_key_is_one_that_prefect_takes() -> None:
    assert artifact_key("my_shop-2", "verdict") == "my-shop-2-verdict"


def test_the_page_of_a_window_shows_what_drifted_first_and_keeps_every_word_in_its_cell() -> None:
    quiet, loud = (
        Change(
            name=name,
            aspect="feature",
            type="number",
            test="ks",
            effect=0.2,
            threshold=0.05,
            p_adjusted=1e-9,
            drifted=moved,
            note=HOSTILE,
        )
        for name, moved in (("quiet", False), (HOSTILE, True))
    )
    drift = DriftReport(
        reference=HOSTILE,
        reference_digest="a" * 64,
        window_rows=9,
        changes=(quiet, loud),
        drifted=(HOSTILE,),
        alarm=True,
        reason=HOSTILE,
        false_alarm_rate=0.01,
    )
    start = datetime(2013, 3, 1, tzinfo=UTC)
    report = MonitorReport(
        project="iris",
        window=Window(name="2013-03", start=start, end=start),
        as_of=start,
        champion="iris@1",
        status="RETRAIN",
        reasons=(HOSTILE,),
        next_step="Do `keepfit run iris`.",
        scored_rows=9,
        quarantined_rows=0,
        drift=drift,
        performance=None,
    )
    lines = [*monitoring.render_report(report), *monitoring._render_changes(report)]
    rows = [[part.strip() for part in row] for row in table_of(lines)]
    assert [row[0].startswith("▲") for row in rows[2:]] == [True, False]
    assert {len(row) for row in rows} == {6}
    assert rows[2][3] == "&lt;0.0001"
    assert "**Next:** Do `keepfit run iris`." in lines
    assert not any("<img" in line or "\n" in line for line in lines)


@pytest.fixture
def desk(prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with own_workspace(tmp_path / "home", monkeypatch), open_desk(prefect_url) as desk:
        yield desk


@pytest.mark.engine
def test_refused_data_shows_its_evidence_on_the_page_of_its_run(desk: Desk) -> None:
    registry = open_workspace().registry
    known = {"flow": "retrain", "trigger_kind": "operator", "trigger_key": None, "why": "", "parameters": {}}
    grant = registry.begin_run(project="demo", **known, actor="tester", holder=describe_process())
    result = json.loads(REPORT.model_dump_json())
    registry.commit_step(grant, key="f" * 64, step=REFUSED, result=result, blobs=[], seconds=0.0)

    @flow(name="validation-test", persist_result=False)
    def show() -> None:
        publish_refused_data("demo", grant.run_id)

    run = desk.client.create_flow_run(show)
    desk.run(show, run)
    shown = desk.artifacts(run)["Validation"]
    assert shown.description == "Validation refused the data: of 150 rows, 3 break the contract; none goes on."
    assert "3 of them" in str(shown.data)


def test_without_a_run_there_is_no_page_and_nothing_is_published() -> None:
    publish_validation("iris", REPORT)
    publish_refused_data("iris", "0" * 32)


def test_the_run_page_says_how_each_candidate_differs_from_the_chosen() -> None:
    selection = make_manifest(HOSTILE).fit.selection
    lines = list(verdict.render_selection(selection))
    (row,) = table_of(lines)[2:]
    assert len(row) == 5
    assert row[0].strip().startswith("**")
    assert row[4].count("roc_auc") == 1, "the difference in words"
    assert list(verdict.render_selection(())) == []


def test_the_page_of_a_study_keeps_every_word_in_its_cell_and_shows_each_finding_with_its_reasons() -> None:
    seen = FoldDifference(
        against=HOSTILE, difference=-0.1, low=-0.2, high=0.0, p_value=0.04, told_apart=True, detail=HOSTILE
    )
    one, other = (
        Diagnosis(
            candidate=name,
            findings=("over-fitted", "more data would help"),
            reasons=(HOSTILE,),
            next_step="Look at `study.repeats`.",
            mean=0.8,
            error=0.01,
            training_mean=1.0,
            difference=difference,
        )
        for name, difference in (("best", None), (HOSTILE, seen))
    )
    report = CandidateStudy(
        project="iris",
        metric="roc_auc",
        direction="higher",
        rows=100,
        folds=10,
        parted="10 folds",
        dummy=0.5,
        matters=0.01,
        best="best",
        diagnoses=(one, other),
        curves=(),
        luck=(Luck(candidate=HOSTILE, seeds=3, seed_std=0.1, fold_std=0.2, detail=HOSTILE),),
        seconds=1.0,
    )
    lines = list(study.render_study(report))
    rows = table_of(lines)
    assert {len(row) for row in rows} == {7}
    assert [part.strip() for part in rows[3][4:]] == ["-0.1000", "-0.2000 to 0.0000", "0.0400"]
    assert "## best: over-fitted, more data would help" in lines
    assert lines.count("**Next:** Look at `study.repeats`.") == 2
    assert not any("<img" in line or "\n" in line for line in lines)
