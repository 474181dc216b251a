"""Versions, the champion and its history: the contract, on both databases."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from infra.errors import Conflict, UsageError
from infra.registry.records import RunGrant
from infra.registry.registry import Registry
from infra.registry.releases import stack_champions
from tests.infra.registry.builders import begin, commit, digest, promote, reference, register


@pytest.fixture
def grant(registry: Registry) -> RunGrant:
    """A run of iris that has registered the versions 1 to 4."""
    grant = begin(registry)
    for number in range(1, 5):
        register(registry, grant, key=str(number))
    return grant


def rollback(registry: Registry, number: int, seq: int) -> object:
    return promote(registry, number, seq, kind="rollback", why="worse in use")


def test_a_version_is_found_as_it_was_registered(registry: Registry) -> None:
    grant = begin(registry)
    made = register(registry, grant, payload={"z": 1, "a": [1, 2.5]}, verdict={"p": 0.01}, decision="HOLD")
    assert made == registry.version("iris", 1) == registry.versions("iris")[0]
    assert made.label == "iris@1"
    assert made.manifest == reference("manifest iris one")
    assert (made.payload, made.verdict, made.decision) == ({"z": 1, "a": [1, 2.5]}, {"p": 0.01}, "HOLD")
    assert made.run_id == grant.run_id
    assert made.created_at.tzinfo is not None


def test_registering_twice_is_once(registry: Registry) -> None:
    grant = begin(registry)
    first = register(registry, grant)
    assert register(registry, grant, payload={"other": True}) == first
    assert [row.number for row in registry.versions("iris")] == [1]
    assert [row.subject for row in registry.audit("iris") if row.action == "version.register"] == ["iris@1"]


def test_versions_are_numbered_by_project(registry: Registry, grant: RunGrant) -> None:
    assert register(registry, begin(registry, "imdb")).number == 1
    assert [row.number for row in registry.versions("iris")] == [1, 2, 3, 4]


def test_the_blobs_of_a_version_are_known(registry: Registry) -> None:
    register(registry, begin(registry), blobs=[reference("model"), reference("page")])
    assert {ref.digest for ref in registry.known_blobs()} == {
        digest("model"),
        digest("page"),
        digest("manifest iris one"),
    }


def test_a_run_registers_for_its_own_project_only(registry: Registry, grant: RunGrant) -> None:
    with pytest.raises(UsageError, match="expected 'iris', whose lease this run holds; received 'imdb'"):
        register(registry, grant, project="imdb")


def test_an_unknown_version_is_named_beside_those_there_are(registry: Registry, grant: RunGrant) -> None:
    with pytest.raises(UsageError, match="iris@9 is not registered; iris has the versions 1 to 4"):
        registry.version("iris", 9)
    with pytest.raises(UsageError, match="imdb has no version yet"):
        registry.version("imdb", 1)


def test_a_candidate_uses_the_test_rows_once_however_often_it_is_sent(registry: Registry) -> None:
    grant = begin(registry)
    rows = digest("test rows")
    assert registry.count_test_uses("iris", rows) == 0
    assert registry.record_test_use(grant, "iris", rows, digest("model one")) == 1
    assert registry.record_test_use(grant, "iris", rows, digest("model one")) == 1
    assert registry.record_test_use(grant, "iris", rows, digest("model two")) == 2
    register(registry, grant, content=digest("model one"))
    assert registry.count_test_uses("iris", rows) == 2, "registering the judged model is not another use"
    assert registry.count_test_uses("imdb", rows) == 0


def test_before_the_first_release_there_is_no_champion(registry: Registry) -> None:
    champion = registry.champion("iris")
    assert (champion.seq, champion.version, champion.since) == (0, None, None)
    assert registry.history("iris") == []
    assert registry.champion_at("iris", datetime.now(UTC)) is None


def test_a_release_moves_the_champion_and_keeps_its_evidence(registry: Registry, grant: RunGrant) -> None:
    row = promote(registry, 2, 0, why="+1 point", actor="ada", fencing=grant, evidence={"p_value": 0.004})
    assert (row.seq, row.kind, row.version, row.previous) == (1, "promote", 2, None)
    assert (row.why, row.actor, row.run_id, row.evidence) == ("+1 point", "ada", grant.run_id, {"p_value": 0.004})
    champion = registry.champion("iris")
    assert (champion.seq, champion.version, champion.since) == (1, 2, row.at)
    assert registry.history("iris") == [row]
    noted = registry.audit("iris", limit=1)[0]
    assert (noted.action, noted.actor, noted.subject) == ("release.promote", "ada", "iris@2")
    assert noted.detail == {"seq": 1, "previous": None}


def test_a_release_against_an_old_champion_is_a_conflict_that_names_the_new_one(
    registry: Registry, grant: RunGrant
) -> None:
    promote(registry, 1, 0)
    promote(registry, 2, 1, actor="ada", why="faster")
    with pytest.raises(
        Conflict, match=r"iris@3: expected .* move 1, found it at move 2: iris@2 since .* by ada: faster"
    ):
        promote(registry, 3, 1)
    with pytest.raises(Conflict, match="move 7"):
        promote(registry, 3, 7)
    assert registry.champion("iris").version == 2


def test_the_same_run_releasing_the_same_version_is_one_release(registry: Registry, grant: RunGrant) -> None:
    first = promote(registry, 1, 0, fencing=grant)
    assert promote(registry, 1, 0, fencing=grant) == first
    assert promote(registry, 1, 1, fencing=grant) == first
    assert len(registry.history("iris")) == 1
    with pytest.raises(Conflict):
        promote(registry, 2, 0, fencing=grant)


def test_promoting_the_champion_again_is_said_to_be_needless(registry: Registry, grant: RunGrant) -> None:
    promote(registry, 1, 0, actor="ada")
    with pytest.raises(UsageError, match=r"iris@1 is the champion already.*by ada"):
        promote(registry, 1, 1)


def test_only_a_registered_version_of_the_project_is_released(registry: Registry, grant: RunGrant) -> None:
    with pytest.raises(UsageError, match="iris@5 is not registered"):
        promote(registry, 5, 0)
    with pytest.raises(UsageError, match="imdb@1 is not registered"):
        promote(registry, 1, 0, project="imdb")
    assert registry.champion("iris").seq == registry.champion("imdb").seq == 0


def test_a_rollback_goes_back_to_a_former_champion_only(registry: Registry, grant: RunGrant) -> None:
    promote(registry, 1, 0)
    promote(registry, 2, 1)
    with pytest.raises(UsageError, match="iris@3 never was the champion"):
        rollback(registry, 3, 2)
    rollback(registry, 1, 2)
    assert [(row.kind, row.previous, row.version) for row in registry.history("iris")] == [
        ("promote", None, 1),
        ("promote", 1, 2),
        ("rollback", 2, 1),
    ]


def test_a_second_rollback_goes_one_further_back(registry: Registry, grant: RunGrant) -> None:
    for seq, number in enumerate((1, 3, 4)):
        promote(registry, number, seq)
    assert registry.rollback_target("iris").number == 3
    rollback(registry, 3, 3)
    assert registry.rollback_target("iris").number == 1, "not 4, which was just taken out of use"
    rollback(registry, 1, 4)
    with pytest.raises(UsageError, match="no earlier champion"):
        registry.rollback_target("iris")
    promote(registry, 2, 5)
    assert registry.rollback_target("iris").number == 1


@pytest.mark.parametrize(
    ("moves", "stack"),
    [
        ("", []),
        ("p1", [1]),
        ("p1 p2 p3 r1", [1]),
        ("p1 p2 r1 p3", [1, 3]),
        ("p1 p2 p1", [1, 2, 1]),
        ("p1 p2 p1 r2", [1, 2]),
        ("p1 p2 p1 p3 r1", [1, 2, 1]),
        ("p1 p2 r1 r2", [1, 2]),
    ],
    ids=["none", "first", "far back", "after a rollback", "again", "undo again", "nearest", "forward by hand"],
)
def test_a_rollback_undoes_the_promotions_above_its_target(moves: str, stack: list[int]) -> None:
    kinds = {"p": "promote", "r": "rollback"}
    assert stack_champions((kinds[move[0]], int(move[1:])) for move in moves.split()) == stack


def test_who_was_champion_at_a_time_is_a_query(registry: Registry, grant: RunGrant) -> None:
    rows = [promote(registry, number, seq) for seq, number in enumerate((1, 2, 3))]
    assert registry.champion_at("iris", rows[0].at - timedelta(microseconds=1)) is None
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        found = registry.champion_at("iris", row.at)
        assert found is not None
        assert found.seq >= row.seq  # two moves within one tick of SQLite's clock (1 ms)
        assert following is None or found.seq > row.seq or found.until == following.at
    abroad = rows[-1].at.astimezone(timezone(timedelta(hours=9)))
    last = registry.champion_at("iris", abroad)
    assert last is not None
    assert (last.version, last.until) == (3, None)
    with pytest.raises(UsageError, match="expected a time with a zone"):
        registry.champion_at("iris", datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_history_has_no_gap_in_time(registry: Registry, grant: RunGrant) -> None:
    for seq, number in enumerate((1, 2, 3)):
        promote(registry, number, seq)
    history = registry.history("iris")
    assert [row.until for row in history] == [*(row.at for row in history[1:]), None]
    assert sorted(row.at for row in history) == [row.at for row in history]


@pytest.mark.parametrize("table", ["release", "audit"])
@pytest.mark.parametrize("change", ["UPDATE {0} SET actor = 'nobody'", "DELETE FROM {0}", "replace all"])
def test_releases_and_audit_are_append_only(
    registry: Registry, grant: RunGrant, registry_url: str, table: str, change: str
) -> None:
    if change == "replace all":
        change = "REPLACE INTO {0} SELECT * FROM {0}" if registry_url.startswith("sqlite") else "TRUNCATE {0}"
    promote(registry, 1, 0)
    engine = create_engine(registry_url)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), engine.begin() as connection:
        connection.execute(text(change.format(table)))
    engine.dispose()
    assert len(registry.history("iris")) == 1


def test_every_change_of_state_has_its_audit_row(registry: Registry) -> None:
    grant = begin(registry)
    commit(registry, grant)
    registry.record_test_use(grant, "iris", digest("test rows"), digest("model one"))
    register(registry, grant)
    promote(registry, 1, 0, fencing=grant)
    registry.finish_run(grant, state="completed", outcome={})
    actions = [row.action for row in registry.audit("iris")]
    assert actions == ["run.completed", "release.promote", "version.register", "test.use", "step.commit", "run.begin"]
    assert [row.action for row in registry.audit(limit=2)] == ["run.completed", "release.promote"]
    assert registry.audit("imdb") == []
