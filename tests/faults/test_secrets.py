"""Canaries in every secret, through good runs and failing ones with --debug: nowhere to be found (FAULTS.md row 23)."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

from tests.faults.invariants import check_invariants, find_in_prefect, look
from tests.faults.places import FaultPlace
from tests.faults.roles import Role, administer, draw_canary, make_database, make_role
from tests.flows.tables import SPEC

pytestmark = [pytest.mark.engine, pytest.mark.servers, pytest.mark.xdist_group("faults")]

QUERY = "SELECT signal, noise, label FROM measured ORDER BY id"
SOURCE = f'source: {{sql: {{query: "{QUERY}", url_env: WAREHOUSE_URL}}}}'
ROWS = """
CREATE TABLE measured AS
SELECT i AS id, s AS signal, sin(i * 7.3) AS noise, CASE WHEN s + sin(i * 3.1) / 2 > 0 THEN 'right' ELSE 'left' END AS label
FROM (SELECT i, CASE WHEN i % 50 = 0 THEN 999 ELSE 2 * sin(i * 1.7) END AS s FROM generate_series(1, 600) AS i) AS drawn
"""
"""Every fiftieth row breaks the contract and is set aside."""


class Warehouse(NamedTuple):
    """Somebody's database of measurements, and the role that may read it."""

    role: Role
    database: str
    spec: Path


@pytest.fixture
def warehouse(place: FaultPlace, tmp_path: Path) -> Warehouse:
    role = make_role(place.postgres)
    database = make_database(place.postgres, role)
    administer(place.postgres, ROWS, f"ALTER TABLE measured OWNER TO {role.name}", database=database)
    place.canaries.append(role.password)
    spec = tmp_path / "projects" / "table" / "project.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text(dedent(SPEC).replace("source: {csv: rows.csv}", SOURCE))
    place.environment |= {"KEEPFIT_PROJECTS": str(spec.parents[1]), "WAREHOUSE_URL": role.url(place.postgres, database)}
    return Warehouse(role, database, spec)


def test_no_secret_is_in_anything_that_a_good_run_says_and_leaves(place: FaultPlace, warehouse: Warehouse) -> None:
    code, said = place.keepfit_anew("--debug", "run", "table", "--reason", "a look at everything")
    assert code == 0, said
    assert "Beginning flow run" in said, "Prefect's own lines are among what was said"
    for command in (("show", "table@1"), ("lineage", "table@1"), ("history", "table"), ("doctor",), ("check", "table")):
        code, said = place.keepfit("--debug", *command, "--json")
        assert code == 0, said
    check_invariants(place)
    kept = look(place)
    (validated,) = [row["result"] for row in kept.tables["step"] if row["step"] == "validate"]
    assert (validated["accepted_rows"], validated["quarantined_rows"]) == (588, 12)
    assert list(find_in_prefect(place.prefect.database, ["a look at everything"])), "Prefect keeps what it is told"


FAILING: dict[str, Callable[[FaultPlace, Warehouse, str], tuple[dict[str, str], str]]] = {
    "the source's password": lambda place, warehouse, wrong: (
        {"WAREHOUSE_URL": Role(warehouse.role.name, wrong).url(place.postgres, warehouse.database)},
        "authentication failed",
    ),
    "the source's URL": lambda place, warehouse, wrong: (
        {"WAREHOUSE_URL": f"postgresql+psycopg://reader:{wrong}@127.0.0.1:port/nothing"},
        "WAREHOUSE_URL",
    ),
    "the store's secret": lambda place, warehouse, wrong: ({"AWS_SECRET_ACCESS_KEY": wrong}, "SignatureDoesNotMatch"),
    "the store's URL": lambda place, warehouse, wrong: (
        {"KEEPFIT_STORE_URL": f"s3://key:{wrong}@{place.bucket[0]}/keepfit"},
        "holds credentials",
    ),
    "the registry's password": lambda place, warehouse, wrong: (
        {"KEEPFIT_DATABASE_URL": Role(warehouse.role.name, wrong).url(place.postgres, warehouse.database)},
        "authentication failed",
    ),
    "the registry's URL": lambda place, warehouse, wrong: (
        {"KEEPFIT_DATABASE_URL": f"postgresql://reader:half@{wrong}@127.0.0.1/keepfit"},
        "more than one @",
    ),
}


def test_no_secret_is_in_what_a_failing_run_says_and_leaves(place: FaultPlace, warehouse: Warehouse) -> None:
    for name, fail in FAILING.items():
        wrong = draw_canary()
        place.canaries.append(wrong)
        environment, expected = fail(place, warehouse, wrong)
        code, said = place.keepfit("--debug", "run", "table", **environment)
        assert code > 0, name
        assert expected in said, name
        assert "Traceback" in said, "the traceback is looked at as well"
    warehouse.spec.write_text(warehouse.spec.read_text().replace("FROM measured", "FROM mislaid"))
    code, said = place.keepfit("--debug", "run", "table")
    assert (code, "mislaid" in said) == (3, True), said
    check_invariants(place)


def test_no_secret_is_in_what_a_server_says_that_refuses_us(place: FaultPlace) -> None:
    wrong = draw_canary()
    place.canaries.append(wrong)
    code, said = place.keepfit_anew("--debug", "run", "iris", PREFECT_API_AUTH_STRING=f"operator:{wrong}")
    assert code == 2, said
    assert "PREFECT_API_AUTH_STRING: the Prefect server at" in said
    assert "Traceback" in said
    with place.registry() as registry:
        assert registry.runs() == []
    check_invariants(place)
