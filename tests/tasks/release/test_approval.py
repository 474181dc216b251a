"""A person's yes or no to a version that may go."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import event

from infra.errors import Conflict, IntegrityError, UsageError
from infra.registry.records import Fencing
from infra.workspace import open_workspace
from tasks.contracts.release import Proposal
from tasks.release.approval import (
    Settlement,
    approve_proposal,
    find_proposal,
    find_refusals,
    find_settlement,
    find_waiting,
    propose,
    refuse_proposal,
)
from tasks.release.champions import find_champion
from tasks.release.moves import promote_by_hand, roll_back
from tests.tasks.release.waiting import PROJECT, make_version, make_waiting, own_workspace


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with own_workspace(tmp_path / "home", monkeypatch):
        yield tmp_path / "home"


def champion() -> int | None:
    return open_workspace().registry.champion(PROJECT).version


def test_a_version_waits_until_somebody_approves_it_and_the_history_says_who_and_why() -> None:
    proposal = make_waiting("a")
    assert [one.label for one in find_waiting(PROJECT)] == ["demo@1"]
    assert champion() is None
    settled = approve_proposal(proposal, " It is right ", "ann")
    assert settled.end == "approved"
    assert find_waiting(PROJECT) == []
    (row,) = open_workspace().registry.history(PROJECT)
    assert (row.version, row.actor, row.why, row.run_id) == (1, "ann", "It is right", None)
    assert row.evidence["champion_seq"] == 0
    assert row.evidence["candidate_content"] == "a" * 64


def test_approving_again_is_once() -> None:
    proposal = make_waiting("a")
    for _ in range(2):
        assert approve_proposal(proposal, "It is right", "ann").end == "approved"
    assert len(open_workspace().registry.history(PROJECT)) == 1


def test_approving_in_the_same_moment_is_once() -> None:
    proposal = make_waiting("a")
    together = Barrier(4)

    def approve(name: str) -> str:
        together.wait(timeout=20)
        return approve_proposal(proposal, "It is right", name).end

    with ThreadPoolExecutor(4) as people:
        assert set(people.map(approve, ("ann", "bob", "cleo", "dan"))) == {"approved"}
    assert len(open_workspace().registry.history(PROJECT)) == 1


def test_of_a_yes_and_a_no_in_the_same_moment_one_is_told_that_it_came_too_late() -> None:
    proposal = make_waiting("a")
    together = Barrier(2)

    def act(settle: Callable[[Proposal, str, str], Settlement]) -> bool:
        together.wait(timeout=20)
        try:
            settle(proposal, "It is so", "ann")
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(2) as people:
        approved, refused = people.map(act, (approve_proposal, refuse_proposal))
    assert approved != refused
    assert (champion() == 1) == approved
    assert (open_workspace().registry.refusal(PROJECT, 1) is not None) == refused


def test_a_refusal_moves_nothing_and_stands_with_its_evidence() -> None:
    proposal = make_waiting("a")
    assert refuse_proposal(proposal, "Not now", "ann").message == "demo@1 is refused by ann: Not now"
    assert "by ann" in refuse_proposal(proposal, "Never", "bob").message
    assert champion() is None
    assert find_waiting(PROJECT) == []
    refusal = open_workspace().registry.refusal(PROJECT, 1)
    assert refusal is not None
    assert (refusal.actor, refusal.detail["why"]) == ("ann", "Not now")
    with pytest.raises(UsageError, match="was refused by ann"):
        approve_proposal(proposal, "After all", "bob")


def test_a_refused_model_is_known_to_the_next_run_until_somebody_promotes_it() -> None:
    proposal = make_waiting("a")
    assert find_champion(PROJECT).refused == ()
    refuse_proposal(proposal, "Not now", "ann")
    assert find_champion(PROJECT).refused == ("a" * 64,)
    promote_by_hand("demo@1", "After all", "bob")
    assert find_champion(PROJECT).refused == ()
    assert champion() == 1


def test_the_champion_that_moved_meanwhile_makes_the_evidence_void() -> None:
    make_version("a", approval="none")
    proposal = make_waiting("b")
    promote_by_hand("demo@1", "by hand", "bob")
    assert find_waiting(PROJECT) == []
    settled = find_settlement(proposal)
    assert settled is not None
    assert settled.end == "superseded"
    assert "the champion is demo@1" in settled.message
    for settle in (approve_proposal, refuse_proposal):
        with pytest.raises(Conflict, match="of which this evidence says nothing") as caught:
            settle(proposal, "It is right", "ann")
        assert "keepfit run demo" in caught.value.remedy
    assert champion() == 1


def test_nobody_is_asked_about_a_verdict_on_an_earlier_champion() -> None:
    make_version("a", approval="none")
    proposal = make_waiting("b")
    promote_by_hand("demo@1", "by hand", "bob")
    with pytest.raises(Conflict, match="of which this evidence says nothing"):
        propose(Fencing(proposal.run_id, PROJECT, 2), proposal)


def test_of_two_that_wait_only_one_can_go() -> None:
    first, second = make_waiting("a"), make_waiting("b")
    assert [one.label for one in find_waiting(PROJECT)] == ["demo@2", "demo@1"]
    approve_proposal(second, "The newer one", "ann")
    with pytest.raises(Conflict, match="demo@2"):
        approve_proposal(first, "This one too", "ann")


def count_statements(work: Callable[[], object]) -> int:
    """Return how many statements reached the database meanwhile."""
    statements: list[str] = []
    engine = open_workspace().registry._database.engine

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return len(statements)


def test_what_waits_and_what_was_refused_is_found_in_as_many_queries_for_five_versions_as_for_one() -> None:
    looks = (lambda: find_waiting(PROJECT), lambda: find_refusals(PROJECT))
    refuse_proposal(make_waiting("a"), "Not now", "ann")
    with_one = [count_statements(look) for look in looks]
    for letter in "bcde":
        make_waiting(letter)
    refuse_proposal(find_proposal("demo@3"), "Nor this", "bob")
    assert [count_statements(look) for look in looks] == with_one
    assert [one.number for one in find_waiting(PROJECT)] == [5, 4, 2]
    assert {number: row.actor for number, row in find_refusals(PROJECT).items()} == {1: "ann", 3: "bob"}


def test_what_was_approved_can_be_rolled_back_and_is_no_more_approved_by_the_same_form() -> None:
    make_version("a", approval="none")
    promote_by_hand("demo@1", "first", "bob")
    proposal = make_waiting("b")
    approve_proposal(proposal, "It is right", "ann")
    roll_back(PROJECT, "it was not", "bob")
    assert approve_proposal(proposal, "It is right", "ann").message.startswith("demo@2 was released (release 2) by ann")
    assert champion() == 1


@pytest.mark.parametrize(("why", "by"), [("", "ann"), ("  ", "ann"), ("It is right", " ")])
def test_nobody_decides_without_a_reason_and_a_name(why: str, by: str) -> None:
    proposal = make_waiting("a")
    for settle in (approve_proposal, refuse_proposal):
        with pytest.raises(UsageError, match=r"(why|by): expected some words"):
            settle(proposal, why, by)
    assert find_settlement(proposal) is None


def test_a_model_whose_bytes_were_changed_is_never_approved(home: Path) -> None:
    proposal = make_waiting("a")
    model = next(path for path in (home / "store").rglob("*") if path.is_file() and path.read_bytes() == b"model a")
    model.write_bytes(b"model b")
    with pytest.raises(IntegrityError, match="expected SHA-256"):
        approve_proposal(proposal, "It is right", "ann")
    assert champion() is None


def test_a_proposal_is_found_by_the_run_that_made_it_too() -> None:
    proposal = make_waiting("a")
    assert find_proposal("demo@1", proposal.run_id) == find_proposal("demo@1") == proposal
    with pytest.raises(UsageError, match="demo@1 does not wait for approval in run"):
        find_proposal("demo@1", "0" * 32)


def test_a_version_of_a_project_that_asks_nobody_does_not_wait() -> None:
    make_version("a", approval="none")
    assert find_waiting(PROJECT) == []
    with pytest.raises(UsageError, match="its project asks nobody"):
        find_proposal("demo@1")
