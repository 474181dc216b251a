from datetime import UTC, datetime

import pytest

from infra.registry.records import ReleaseRow
from tasks.release.champions import find_refused, find_withdrawn

CONTENTS = {1: "a" * 64, 2: "b" * 64, 3: "c" * 64, 4: "b" * 64}
"""Version 4 is the model of version 2 again."""


def history(*moves):
    rows, previous = [], None
    for seq, (kind, version) in enumerate(moves, start=1):
        known = {"project": "demo", "why": "", "actor": "tester", "run_id": None, "evidence": {}}
        at = datetime(2026, 1, seq, tzinfo=UTC)
        rows.append(ReleaseRow(**known, seq=seq, kind=kind, version=version, previous=previous, at=at))
        previous = version
    return rows


@pytest.mark.parametrize(
    ("moves", "versions"),
    [
        ([("promote", 1), ("promote", 2)], set()),
        ([("promote", 1), ("promote", 2), ("rollback", 1)], {2}),
        ([("promote", 1), ("promote", 2), ("promote", 3), ("rollback", 2), ("rollback", 1)], {2, 3}),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)], {2}),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 2), ("promote", 3)], set()),
        ([("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 4), ("promote", 3)], set()),
    ],
    ids=["none", "one", "two in a row", "for good", "until released again", "by whatever number"],
)
def test_a_model_is_withdrawn_from_its_rollback_until_it_is_released_again(moves, versions):
    assert find_withdrawn(history(*moves), CONTENTS) == {CONTENTS[number] for number in versions}


@pytest.mark.parametrize(
    ("refused", "moves", "versions"),
    [
        ({}, [("promote", 1)], set()),
        ({2: 5}, [("promote", 1)], {2}),
        ({2: 5}, [("promote", 1), ("promote", 2)], {2}),
        ({2: 1}, [("promote", 1), ("promote", 2)], set()),
        ({2: 1}, [("promote", 1), ("promote", 4)], set()),
        ({2: 1, 3: 1}, [("promote", 1), ("promote", 3)], {2}),
    ],
    ids=["none", "one", "refused after it served", "until released", "by whatever number", "each for itself"],
)
def test_a_model_is_refused_until_somebody_releases_it(refused, moves, versions):
    refusals = {number: datetime(2026, 1, day, tzinfo=UTC) for number, day in refused.items()}
    assert find_refused(refusals, history(*moves), CONTENTS) == {CONTENTS[number] for number in versions}
