import pytest

from tasks.contracts.champions import ChampionRef
from tasks.contracts.evaluation import GateCheck, Verdict
from tasks.evaluation.steps import hold_if_withdrawn

CONTENT = "a" * 64
PASSED = GateCheck(name="accuracy", kind="primary", status="pass")


def verdict(decision="PROMOTE"):
    return Verdict(
        decision=decision,
        policy="superiority",
        summary="better",
        next_step="none",
        checks=(PASSED,),
        candidate_content=CONTENT,
        champion_seq=3,
        test_digest="d" * 64,
    )


def test_a_model_that_somebody_rolled_back_from_is_held_with_the_reason_and_the_way_out():
    held = hold_if_withdrawn(verdict(), ChampionRef(seq=3, withdrawn=("b" * 64, CONTENT)))
    assert held.decision == "HOLD"
    assert [check.status for check in held.checks] == ["inconclusive", "pass"]
    assert "rolled back" in held.checks[0].detail
    assert "keepfit promote" in held.next_step


@pytest.mark.parametrize("decision", ["HOLD", "REJECT"])
def test_a_worse_verdict_is_never_softened(decision):
    assert hold_if_withdrawn(verdict(decision), ChampionRef(seq=3, withdrawn=(CONTENT,))) == verdict(decision)


@pytest.mark.parametrize("withdrawn", [(), ("b" * 64,)], ids=["none", "another"])
def test_any_other_model_keeps_its_verdict(withdrawn):
    assert hold_if_withdrawn(verdict(), ChampionRef(seq=3, withdrawn=withdrawn)) == verdict()


def test_a_model_that_somebody_refused_is_held_in_other_words():
    held = hold_if_withdrawn(verdict(), ChampionRef(seq=3, refused=(CONTENT,)))
    assert (held.decision, held.checks[0].name) == ("HOLD", "not refused")
    assert "refused to release" in held.summary
