"""Versions that a person did not let out: on both databases."""

import pytest

from infra.errors import UsageError
from infra.registry.registry import Registry
from tests.infra.registry.builders import begin, promote, register


def refuse(registry: Registry, number: int = 1, **changes: str) -> None:
    values = {"project": "iris", "why": "too slow for us", "actor": "ada"} | changes
    registry.refuse_version(number=number, evidence={"summary": "better"}, **values)  # type: ignore[arg-type]


def test_a_refusal_says_who_why_and_on_which_evidence(registry: Registry) -> None:
    register(registry, begin(registry))
    assert registry.refusal("iris", 1) is None

    refuse(registry)

    row = registry.refusal("iris", 1)
    assert row is not None
    assert (row.actor, row.action, row.subject) == ("ada", "release.refuse", "iris@1")
    assert row.detail == {"why": "too slow for us", "evidence": {"summary": "better"}}
    assert registry.champion("iris").version is None


def test_refusing_twice_is_once_and_the_first_stands(registry: Registry) -> None:
    register(registry, begin(registry))
    refuse(registry)
    before = registry.audit("iris")
    refuse(registry, why="another reason", actor="bob")
    assert registry.audit("iris") == before


def test_a_refusal_is_of_one_version_of_one_project(registry: Registry) -> None:
    grant = begin(registry)
    register(registry, grant, key="one")
    register(registry, grant, key="two")
    register(registry, begin(registry, "imdb"), key="one")
    refuse(registry)
    assert registry.refusal("iris", 2) is None
    assert registry.refusal("imdb", 1) is None


def test_the_champion_and_what_is_not_registered_are_not_refused(registry: Registry) -> None:
    register(registry, begin(registry))
    promote(registry, 1, 0)
    before = registry.audit()
    with pytest.raises(UsageError, match=r"iris@1 is the champion.*\n.*keepfit rollback iris"):
        refuse(registry)
    with pytest.raises(UsageError, match=r"iris@7 is not registered"):
        refuse(registry, number=7)
    assert registry.audit() == before


def test_a_release_that_does_not_overrule_leaves_what_was_refused(registry: Registry) -> None:
    register(registry, begin(registry))
    refuse(registry)
    move = {"project": "iris", "number": 1, "expected_seq": 0, "why": "fine", "actor": "bob", "evidence": {}}
    with pytest.raises(UsageError, match=r"iris@1 was refused by ada, .*: too slow for us\n.*keepfit promote iris@1"):
        registry.release(kind="promote", fencing=None, overruling=False, **move)  # type: ignore[arg-type]
    assert registry.history("iris") == []
    registry.release(kind="promote", fencing=None, **move)  # type: ignore[arg-type]
    assert registry.champion("iris").version == 1


def test_all_refusals_of_a_project_are_the_first_of_each_version(registry: Registry) -> None:
    grant = begin(registry)
    for key in ("one", "two", "three"):
        register(registry, grant, key=key)
    register(registry, begin(registry, "imdb"), key="one")
    for number in (3, 1):
        refuse(registry, number)
    refuse(registry, project="imdb")
    found = registry.refusals("iris")
    assert found == {number: registry.refusal("iris", number) for number in (1, 3)}
    assert registry.refusals("flights") == {}
