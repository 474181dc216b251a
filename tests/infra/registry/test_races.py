"""Eight processes want the same thing at the same moment: one gets it, and the history says so."""

from multiprocessing.synchronize import Barrier
from pathlib import Path

import psycopg
import pytest

from infra.errors import Conflict, DuplicateTrigger, LeaseHeld, UsageError
from infra.registry.registry import Registry, open_registry
from infra.registry.schema import SCHEMA_VERSION
from tests.infra.registry.builders import (
    add_batch,
    add_labels,
    begin,
    commit,
    dead_holder,
    digest,
    move_breaker,
    promote,
    register,
)
from tests.infra.registry.crew import Crew

ROUNDS = 50
FRESH_ROUNDS = 5

pytestmark = pytest.mark.slow


def promote_each_round(index: int, barrier: Barrier, url: str) -> list[bool]:
    """Even rounds promote one of versions 1 to 8, odd ones one of 9 to 16: nobody asks for the present champion."""
    won = []
    with open_registry(url) as registry:
        for expected_seq in range(ROUNDS):
            barrier.wait()
            try:
                row = promote(registry, 1 + index + 8 * (expected_seq % 2), expected_seq, why=f"by {index}")
            except Conflict:
                won.append(False)
            else:
                assert row.why == f"by {index}"
                won.append(True)
    return won


def test_eight_processes_that_promote_at_once_make_one_winner_a_round(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    grant = begin(registry)
    for number in range(1, 17):
        register(registry, grant, key=str(number))

    won = crew.run(promote_each_round, registry_url)

    winners = [[index for index in range(crew.size) if won[index][turn]] for turn in range(ROUNDS)]
    assert [len(names) for names in winners] == [1] * ROUNDS
    assert len({names[0] for names in winners}) > 1, "one process won every round: they did not race"
    history = registry.history("iris")
    assert [row.seq for row in history] == list(range(1, ROUNDS + 1))
    assert [row.previous for row in history] == [None, *(row.version for row in history[:-1])]
    assert [row.why for row in history] == [f"by {names[0]}" for names in winners]
    champion = registry.champion("iris")
    assert (champion.seq, champion.version) == (ROUNDS, history[-1].version)
    moves = [row for row in registry.audit("iris", limit=1000) if row.action == "release.promote"]
    assert [row.detail["seq"] for row in moves] == list(range(ROUNDS, 0, -1))


def open_at_once(index: int, barrier: Barrier, url: str) -> list[str]:
    import alembic.command  # noqa: F401  # loaded before, or the processes would reach the database one by one

    found = []
    for _ in range(FRESH_ROUNDS):
        if index == 0:
            wipe(url)
        barrier.wait()
        with open_registry(url) as registry:
            found.append(registry.schema_version())
        barrier.wait()
    return found


def wipe(url: str) -> None:
    if url.startswith("sqlite"):
        for end in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + end).unlink(missing_ok=True)
        return
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_eight_processes_that_open_a_fresh_database_at_once_all_find_the_schema(registry_url: str, crew: Crew) -> None:
    assert crew.run(open_at_once, registry_url) == [[SCHEMA_VERSION] * FRESH_ROUNDS] * crew.size


def begin_at_once(index: int, barrier: Barrier, url: str, trigger_key: str | None) -> tuple[str, str]:
    with open_registry(url) as registry:
        barrier.wait()
        try:
            return "began", begin(registry, trigger_key=trigger_key).run_id
        except DuplicateTrigger as error:
            return "duplicate", error.run_id
        except LeaseHeld as error:
            return "held", error.message
        finally:
            barrier.wait()  # nobody leaves before all have tried: the winner's process is alive all the while


def test_eight_processes_that_begin_a_run_at_once_get_one_lease(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    answers = crew.run(begin_at_once, registry_url, None)

    began = [run_id for what, run_id in answers if what == "began"]
    assert len(began) == 1
    assert [what for what, _ in answers].count("held") == crew.size - 1
    assert all(began[0] in message for what, message in answers if what == "held")
    assert [row.run_id for row in registry.runs("iris")] == began


def test_a_trigger_key_that_arrives_eight_times_at_once_makes_one_run(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    answers = crew.run(begin_at_once, registry_url, "drift 2013-07")

    assert sorted(what for what, _ in answers) == ["began"] + ["duplicate"] * (crew.size - 1)
    assert len({run_id for _, run_id in answers}) == 1
    assert len(registry.runs("iris")) == 1


def register_and_commit(index: int, barrier: Barrier, url: str, fencing: tuple[str, str, int]) -> list[object]:
    from infra.registry.records import Fencing

    with open_registry(url) as registry:
        grant = Fencing(*fencing)
        barrier.wait()
        numbers = [register(registry, grant, key=f"{index} {turn}").number for turn in range(5)]
        barrier.wait()
        shared = register(registry, grant, key="shared").number
        barrier.wait()
        result = commit(registry, grant, of="shared", result={"by": index})
        barrier.wait()
        uses = registry.record_test_use(grant, "iris", digest("other rows"), digest(f"model {index}"))
        return [numbers, shared, result, uses]


def test_versions_registered_at_once_are_numbered_without_gaps_and_a_key_is_registered_once(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    grant = begin(registry)

    answers = crew.run(register_and_commit, registry_url, tuple(grant.fencing))

    own = sorted(number for numbers, _, _, _ in answers for number in numbers)
    assert own == list(range(1, 5 * crew.size + 1))
    assert {shared for _, shared, _, _ in answers} == {5 * crew.size + 1}
    assert len({result["by"] for _, _, result, _ in answers}) == 1
    assert sorted(uses for _, _, _, uses in answers) == list(range(1, crew.size + 1))
    assert [row.number for row in registry.versions("iris")] == list(range(1, 5 * crew.size + 2))


def end_dead_at_once(index: int, barrier: Barrier, url: str) -> list[str]:
    with open_registry(url) as registry:
        barrier.wait()
        return [run.run_id for run in registry.end_dead_runs(f"sweeper {index}")]


def test_eight_sweepers_that_find_one_dead_run_end_it_once(registry: Registry, registry_url: str, crew: Crew) -> None:
    dead = begin(registry, holder=dead_holder())
    answers = crew.run(end_dead_at_once, registry_url)
    assert [name for names in answers for name in names] == [dead.run_id]
    assert [row.subject for row in registry.audit("iris") if row.action == "run.crash"] == [dead.run_id]


def add_batch_at_once(index: int, barrier: Barrier, url: str, rounds: int) -> list[str]:
    """Even rounds: all bring the same rows. Odd ones: each brings its own."""
    found = []
    with open_registry(url) as registry:
        for turn in range(rounds):
            barrier.wait()
            try:
                content = f"{turn}" if turn % 2 == 0 else f"{turn} by {index}"
                row = add_batch(registry, f"w-{turn + 10}", content=content, actor=f"process {index}")
            except UsageError:
                found.append("refused")
            else:
                found.append(row.actor)
    return found


def test_eight_processes_that_score_one_window_at_once_make_one_batch(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    register(registry, begin(registry))
    rounds = 10
    answers = crew.run(add_batch_at_once, registry_url, rounds)
    for turn in range(rounds):
        said = [answer[turn] for answer in answers]
        if turn % 2 == 0:
            assert len(set(said)) == 1, "the same rows are one batch, and all are told whose it is"
        else:
            assert said.count("refused") == crew.size - 1
    assert len(registry.batches("iris")) == rounds
    assert [row.action for row in registry.audit("iris", limit=1000)].count("batch.add") == rounds


def open_breaker_each_round(index: int, barrier: Barrier, url: str, rounds: int) -> list[bool]:
    won = []
    with open_registry(url) as registry:
        for seq in range(rounds):
            barrier.wait()
            try:
                move_breaker(registry, "closed" if seq % 2 else "open", seq, why=f"by {index}")
            except Conflict:
                won.append(False)
            else:
                won.append(True)
    return won


def test_eight_processes_that_move_the_breaker_at_once_make_one_winner_a_round(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    rounds = 10
    won = crew.run(open_breaker_each_round, registry_url, rounds)
    assert [sum(each[turn] for each in won) for turn in range(rounds)] == [1] * rounds
    moves = registry.breaker_moves("iris")
    assert [row.seq for row in moves] == list(range(1, rounds + 1))
    assert [row.state for row in moves] == ["open", "closed"] * (rounds // 2)


def deliver_at_once(index: int, barrier: Barrier, url: str) -> int:
    with open_registry(url) as registry:
        barrier.wait()
        return int(add_labels(registry, actor=f"process {index}").id)


def test_eight_processes_that_deliver_the_same_labels_at_once_make_one_delivery(
    registry: Registry, registry_url: str, crew: Crew
) -> None:
    assert len(set(crew.run(deliver_at_once, registry_url))) == 1
    assert len(registry.label_deliveries("iris")) == 1
