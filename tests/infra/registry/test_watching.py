"""Deliveries of labels, reports on windows, the breaker, and what the brakes ask: on both databases."""

from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from infra.errors import Conflict, UsageError
from infra.registry.registry import Registry
from tests.infra.registry.builders import (
    add_batch,
    add_labels,
    at,
    begin,
    digest,
    move_breaker,
    reference,
    register,
    report_window,
)


@pytest.fixture
def registry(registry: Registry) -> Registry:
    register(registry, begin(registry))
    return registry


def test_the_same_delivery_twice_is_one(registry: Registry) -> None:
    first = add_labels(registry)
    assert add_labels(registry, actor="somebody else") == first
    assert registry.label_deliveries("iris") == [first]
    assert registry.knows_blob(first.blob.digest)
    assert [row.action for row in registry.audit("iris", limit=1)] == ["labels.add"]


def test_deliveries_come_in_the_order_in_which_they_came_and_as_they_were_known(registry: Registry) -> None:
    days = (18, 16, 17)
    made = [add_labels(registry, str(day), at(day)) for day in days]
    assert registry.label_deliveries("iris") == made
    assert [row.known_at for row in registry.label_deliveries("iris", until=at(17))] == [at(16), at(17)]
    assert registry.label_deliveries("iris", until=at(15)) == []
    assert registry.label_deliveries("imdb") == []


def test_a_report_on_a_window_as_of_a_time_is_given_once(registry: Registry) -> None:
    first = report_window(registry, page=reference("page"), blobs=[reference("plot")])
    assert report_window(registry, status="RETRAIN", alarm=True) == first
    later = report_window(registry, as_of=at(17), status="UNKNOWN", alarm=None, version=None)
    assert registry.window_reports("iris") == [later, first]
    assert registry.window_reports("iris", limit=1) == [later]
    assert (first.alarm, later.alarm, first.page) == (False, None, digest("page"))
    assert registry.knows_blob(digest("page"))
    assert registry.knows_blob(digest("plot"))
    assert [row.action for row in registry.audit("iris", limit=2)] == ["window.report"] * 2


def test_the_breaker_is_closed_before_its_first_move(registry: Registry) -> None:
    assert registry.breaker("iris") is None
    assert registry.breaker_moves("iris") == []
    with pytest.raises(UsageError, match="closed already: nothing ever opened it"):
        move_breaker(registry, "closed")


def test_the_breaker_moves_by_compare_and_swap(registry: Registry) -> None:
    opened = move_breaker(registry, "open")
    with pytest.raises(Conflict, match=r"expected the breaker at move 0, found it at move 1: open .*by loop"):
        move_breaker(registry, "open")
    with pytest.raises(UsageError, match=r"the breaker is open already since .*by loop: three gates"):
        move_breaker(registry, "open", 1)
    closed = move_breaker(registry, "closed", 1, why="the sensor was changed", actor="ada")
    assert registry.breaker("iris") == closed
    assert registry.breaker_moves("iris") == [opened, closed]
    assert [(row.seq, row.state) for row in (opened, closed)] == [(1, "open"), (2, "closed")]
    assert opened.evidence == {"runs": ["a", "b", "c"]}
    assert [row.action for row in registry.audit("iris", limit=2)] == ["breaker.close", "breaker.open"]
    assert registry.breaker("imdb") is None


def test_only_runs_that_an_alarm_started_are_told_to_the_brakes(registry: Registry) -> None:
    registry.finish_run(register_run(registry, "kept"), state="completed", outcome={})
    started = []
    for kind in ("operator", "drift", "schedule", "performance"):
        grant = begin(registry, "imdb", trigger_kind=kind, parameters={"as_of": "2013-07-14"})
        registry.finish_run(grant, state="completed", outcome={"status": "held"})
        started.append((kind, grant.run_id))
    found = registry.started_by_alarm("imdb")
    assert [(row.trigger_kind, row.run_id) for row in found] == [started[3], started[1]]
    assert found[0].outcome == {"status": "held"}
    assert found[0].parameters == {"as_of": "2013-07-14"}
    assert found[0].ended_at is not None
    assert [row.trigger_kind for row in registry.started_by_alarm("imdb", limit=1)] == ["performance"]


def register_run(registry: Registry, key: str) -> Any:
    grant = begin(registry, "penguins", trigger_kind="drift")
    register(registry, grant, key=key)
    return grant


@pytest.mark.parametrize("table", ["label_delivery", "window_report", "breaker"])
@pytest.mark.parametrize("change", ["UPDATE {0} SET project = 'nobody'", "DELETE FROM {0}", "replace all"])
def test_what_arrived_and_what_was_said_is_append_only(
    registry: Registry, registry_url: str, table: str, change: str
) -> None:
    if change == "replace all":
        change = "REPLACE INTO {0} SELECT * FROM {0}" if registry_url.startswith("sqlite") else "TRUNCATE {0}"
    add_labels(registry)
    report_window(registry)
    move_breaker(registry)
    engine = create_engine(registry_url)
    with pytest.raises(DBAPIError, match=f"{table} is append-only"), engine.begin() as connection:
        connection.execute(text(change.format(table)))
    engine.dispose()
    assert (len(registry.label_deliveries("iris")), len(registry.window_reports("iris"))) == (1, 1)
    assert registry.breaker("iris") is not None


def test_every_change_has_its_audit_row(registry: Registry) -> None:
    for write in (add_batch, add_labels, report_window, move_breaker):
        before = len(registry.audit("iris", limit=1000))
        write(registry)
        assert len(registry.audit("iris", limit=1000)) == before + 1
