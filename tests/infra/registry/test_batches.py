"""Scored batches: one a window, on both databases."""

import pytest

from infra.errors import UsageError
from infra.registry.registry import Registry
from tests.infra.registry.builders import add_batch, at, begin, digest, reference, register


@pytest.fixture
def registry(registry: Registry) -> Registry:
    grant = begin(registry)
    register(registry, grant, key="one")
    register(registry, grant, key="two")
    return registry


def added(registry: Registry) -> list[str]:
    return [row.action for row in registry.audit("iris") if row.action.startswith("batch.")]


def test_a_batch_is_found_as_it_was_added(registry: Registry) -> None:
    made = add_batch(registry)
    assert made == registry.batch("iris", "2013-07-14") == registry.batches("iris")[0]
    assert (made.label, made.model) == ("iris/2013-07-14", "iris@1")
    assert (made.start, made.end, made.as_of) == (at(14), at(15), at(15))
    assert made.rows_blob == reference("rows one")
    assert made.quarantine_blob == reference("aside one")
    assert (made.rows, made.quarantined_rows) == (10, 2)
    assert made.findings == {"reasons": {"signal: missing": 2}}
    assert registry.batch("iris", "2013-07-15") is None
    assert registry.batches("imdb") == []


def test_its_blobs_are_known_so_that_no_sweep_takes_them(registry: Registry) -> None:
    made = add_batch(registry)
    assert made.quarantine_blob is not None
    for ref in (made.rows_blob, made.predictions_blob, made.quarantine_blob):
        assert registry.knows_blob(ref.digest)
    assert ref.digest in registry.known_among([ref.digest])


def test_the_same_window_twice_is_one_batch_whoever_asks_and_whatever_the_champion_is_then(registry: Registry) -> None:
    first = add_batch(registry)
    assert add_batch(registry, version=2, actor="somebody else", as_of=at(20)) == first
    assert registry.batches("iris") == [first]
    assert added(registry) == ["batch.add"]


def test_another_content_for_a_scored_window_is_refused_and_says_what_stands_there(registry: Registry) -> None:
    first = add_batch(registry)
    said = rf"iris/2013-07-14: .*{digest('received one')[:12]}.*10 rows scored by iris@1, 2 set aside.*by tester"
    with pytest.raises(UsageError, match=said):
        add_batch(registry, content="another")
    assert registry.batch("iris", "2013-07-14") == first
    assert not registry.knows_blob(digest("rows another"))


def test_a_batch_that_was_set_aside_whole_gives_way_to_the_mended_rows(registry: Registry) -> None:
    add_batch(registry, content="broken", rows=0, quarantined_rows=12)
    mended = add_batch(registry, content="mended", version=2)
    assert registry.batch("iris", "2013-07-14") == mended
    assert (mended.rows, mended.version) == (10, 2)
    replaced = registry.audit("iris")[0]
    assert (replaced.action, replaced.detail["before"]) == ("batch.replace", digest("received broken"))
    assert replaced.detail["set_aside"] == 12
    assert registry.knows_blob(digest("aside broken")), "what was set aside stays"
    with pytest.raises(UsageError, match="expected the content of the batch that stands there"):
        add_batch(registry, content="broken", rows=0, quarantined_rows=12)


def test_batches_are_listed_by_the_start_of_their_windows(registry: Registry) -> None:
    for window in ("2013-07-16", "2013-07-14", "2013-07-15"):
        add_batch(registry, window, content=window)
    assert [row.window for row in registry.batches("iris")] == ["2013-07-14", "2013-07-15", "2013-07-16"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": 0, "quarantined_rows": 0, "quarantine_blob": None}, "expected rows, received 0 scored"),
        ({"quarantine_blob": None}, "2 rows set aside, but not the blob"),
        ({"quarantined_rows": 0}, "0 rows set aside, but not the blob"),
        ({"start": at(15), "end": at(15)}, "start comes before its end"),
        ({"as_of": at(15).replace(tzinfo=None)}, "expected a time with a zone"),
        ({"version": 9}, "iris@9 is not registered"),
        ({"window": " " * 101 + "14"}, "at most 100 characters"),
        ({"key": "abc"}, "expected 64 hexadecimal digits"),
    ],
    ids=["empty", "no quarantine", "quarantine of nothing", "no time", "no zone", "no version", "long", "no digest"],
)
def test_what_is_no_batch_is_refused_and_nothing_is_known_of_it(
    registry: Registry, changes: dict[str, object], said: str
) -> None:
    before = registry.audit()
    with pytest.raises(UsageError, match=said):
        add_batch(registry, **changes)
    assert registry.audit() == before
    assert not registry.knows_blob(digest("rows one"))
