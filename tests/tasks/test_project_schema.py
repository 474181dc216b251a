"""The shipped schema and the reference page say what the contract says."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from infra.projects import LocatedYaml, list_projects, read_yaml
from tasks.project.reference import PAGE, SCHEMA_FILE, complete_page
from tasks.project.schema import build_schema, write_schema
from tests.tasks.test_project import ALL, SPELLINGS, misspell, rename

ROOT = Path(__file__).parents[2]
SECTIONS = {"project.yaml": build_schema(), **build_schema()["$defs"]}
KEYS = [(name, key, part) for name, node in SECTIONS.items() for key, part in node.get("properties", {}).items()]


def test_the_shipped_schema_is_the_contracts() -> None:
    remedy = "run: python -m tasks.project.reference"
    assert (ROOT / SCHEMA_FILE).read_text(encoding="utf-8") == write_schema(), remedy


def test_the_reference_page_is_the_contracts() -> None:
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert page == complete_page(page), "run: python -m tasks.project.reference"


def test_the_schema_is_a_valid_one() -> None:
    Draft202012Validator.check_schema(json.loads(write_schema()))


@pytest.mark.parametrize(("section", "key", "part"), KEYS, ids=[f"{section}.{key}" for section, key, _ in KEYS])
def test_each_key_says_what_it_means(section: str, key: str, part: dict[str, Any]) -> None:
    referred = SECTIONS.get(part.get("$ref", "").rpartition("/")[2], {})
    assert part.get("description") or referred.get("description"), f"{section}.{key}"


@pytest.mark.parametrize("name", [name for name, node in SECTIONS.items() if "properties" in node])
def test_each_section_refuses_keys_that_it_does_not_know(name: str) -> None:
    assert SECTIONS[name]["additionalProperties"] is False


@pytest.mark.parametrize(
    "located",
    [read_yaml(f.spec) for f in list_projects(ROOT / "projects")],
    ids=lambda located: located.path.parent.name,
)
def test_shipped_projects_agree_with_the_schema(located: LocatedYaml) -> None:
    assert list(Draft202012Validator(build_schema()).iter_errors(located.data)) == []


@pytest.mark.slow
def test_the_schema_refuses_each_misspelt_key_as_we_do() -> None:
    validator = Draft202012Validator(build_schema())
    assert all(validator.is_valid(data) for data in ALL)
    for data, where in SPELLINGS:
        typo = min(misspell(str(where[-1]), 2))
        assert not validator.is_valid(rename(data, where, typo)), (where, typo)
