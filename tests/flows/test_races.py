"""Somebody moves the champion while a run judges its candidate (FAULTS.md row 9, at the level of the flow)."""

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from flows.retraining import RELEASE_ATTEMPTS
from infra.registry.registry import open_registry
from tests.flows.conftest import Place, Zygote
from tests.flows.prepared import prepare_once
from tests.flows.tables import SPEC, make_table, write_rows

pytestmark = pytest.mark.engine


SPEC_OF_REFRESHES = dedent(SPEC).replace("superiority", "non_inferiority, margin: 0.3")


@pytest.fixture(scope="session")
def two_released(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KEEPFIT_HOME with table@1, then table@2 as champion; to be copied."""

    def make(home: Path) -> None:
        place = Place(zygote, home)
        table = make_table(place, tmp_path_factory.mktemp("refreshed") / "projects")
        (table / "project.yaml").write_text(SPEC_OF_REFRESHES)
        for number in (1, 2):
            write_rows(table, sharpness=2.0, seed=number)
            assert place.answer("run", "table")["champion"] == f"table@{number}"  # type: ignore[index,call-overload]

    return prepare_once(tmp_path_factory, "two versions", make)


@pytest.fixture
def two_versions(place: Place, table: Path, two_released: Path) -> Path:
    """Rows from which a third version can be made."""
    shutil.copytree(two_released, place.home, dirs_exist_ok=True)
    (table / "project.yaml").write_text(SPEC_OF_REFRESHES)
    write_rows(table, sharpness=2.0, seed=3)
    return table


def test_a_run_that_lost_the_race_is_judged_against_the_new_champion(place: Place, two_versions: Path) -> None:
    place.operator_moves = 1
    code, said = place.keepfit("run", "table")
    assert code == 0, said
    assert "Judging again" in said
    with open_registry(place.database) as registry:
        moves = [(row.version, row.actor) for row in registry.history("table")]
        assert moves == [(1, "gate"), (2, "gate"), (1, "operator"), (3, "gate")]
        evidence = registry.history("table")[-1].evidence
        assert evidence["champion_seq"] == 3
        assert registry.runs("table")[0].state == "completed"
        assert len(registry.versions("table")) == 3


def test_a_run_that_always_loses_ends_and_its_version_stays_registered(place: Place, two_versions: Path) -> None:
    place.operator_moves = RELEASE_ATTEMPTS
    code, said = place.keepfit("run", "table")
    assert code == 1, said
    assert "Traceback" not in said
    with open_registry(place.database) as registry:
        moves = [row.version for row in registry.history("table")]
        assert moves == [1, 2, 1, 2, 1]
        assert [row.number for row in registry.versions("table")] == [1, 2, 3]
        assert registry.runs("table")[0].state == "failed"
    place.operator_moves = 0
    code, said = place.keepfit("promote", "table@3", "--why", "it was good enough three times")
    assert code == 0, said
