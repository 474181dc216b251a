import io

import pytest
from rich.console import Console

from flows.cli import render
from tasks.contracts.evaluation import GateCheck
from tests.flows.cli.outcomes import make_outcome
from tests.tasks.release.builders import make_verdict


@pytest.fixture
def screen(monkeypatch):
    written = io.StringIO()
    console = Console(file=written, width=80, markup=render.console._markup)
    monkeypatch.setattr(render, "console", console)
    return written


def test_brackets_in_what_people_wrote_are_shown_as_they_are(screen):
    text = "[urgent] see [/]"
    render.console.print(render.rows_table(("why",), [(text,)]))
    render.print_outcome(make_outcome(text, status="held", version="iris@1", champion=None, decision="HOLD"))
    said = screen.getvalue()
    assert said.count(text) >= 6
    assert said.count("[urgent]") == said.count("[/]")


def test_a_verdict_of_usual_checks_fits_80_columns_without_a_cut(screen):
    check = GateCheck(
        name="accuracy",
        kind="baseline",
        status="pass",
        candidate=0.9533,
        champion=0.9012,
        difference=0.0521,
        low=-0.0123,
        high=0.1123,
        n=25_000,
    )
    verdict = make_verdict(checks=(check,))
    render.print_verdict("iris", verdict)
    said = screen.getvalue()
    assert "…" not in said
    for figure in ("✓", "accuracy", "0.9533", "0.9012", "+0.052", "[-0.012, +0.112]", "25,000"):
        assert figure in said


@pytest.mark.parametrize(
    ("changed", "said", "unsaid"),
    [
        ({"status": "released", "version": "iris@1", "champion": "iris@1"}, "predict iris", "next  "),
        ({"status": "held", "version": "iris@1", "champion": None, "decision": "HOLD"}, "no champion yet", "predict"),
        ({"status": "held", "version": "iris@2", "champion": "iris@1", "decision": "HOLD"}, "iris@1 stays", "nobody"),
        ({"status": "dry_run", "version": None, "champion": "iris@1"}, "keepfit run iris", "show iris@1"),
    ],
    ids=["released", "the first is held", "held", "dry run"],
)
def test_the_end_of_a_run_says_what_is_and_what_can_be_done_next(screen, changed, said, unsaid):
    render.print_outcome(make_outcome(**changed))
    end = screen.getvalue().rpartition("power 0.8")[2]
    assert said in end
    assert unsaid not in end


def test_the_terminal_says_what_a_reader_must_know_and_the_rates_of_each_slice(screen):
    from tests.tasks.evaluation.test_rarity import shown

    outcome = make_outcome(status="held", version="iris@1", champion=None, decision="HOLD")
    render.print_figures(shown(), outcome.fit)
    said = " ".join(screen.getvalue().split())
    assert "Look: accuracy decides" in said
    assert "part=b 4 25.0% [5, 70] 0.0% [0, 79]" in said
