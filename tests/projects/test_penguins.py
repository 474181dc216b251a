"""The third project: a folder with project.yaml and one small Python file, and real data with holes."""

from pathlib import Path

import pandas as pd
import pytest

from infra.errors import SpecError
from infra.projects.located_yaml import parse_yaml
from tasks.project import LoadedProject, load_project, parse_spec

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def project() -> LoadedProject:
    return load_project(ROOT / "projects", "penguins")


@pytest.fixture(scope="module")
def rows(project: LoadedProject) -> pd.DataFrame:
    frame: pd.DataFrame = project.load("data:read_penguins")()
    return frame


def test_the_project_is_two_small_files() -> None:
    files = sorted(path for path in (ROOT / "projects" / "penguins").iterdir() if path.is_file())
    assert [path.name for path in files] == ["data.py", "project.yaml"]
    assert sum(len(path.read_text().splitlines()) for path in files) <= 100


def test_the_page_that_explains_it_counts_its_lines() -> None:
    lines = [len((ROOT / "projects/penguins" / name).read_text().splitlines()) for name in ("project.yaml", "data.py")]
    assert "{} lines of YAML and {} of Python".format(*lines) in (ROOT / "docs/projects.md").read_text()


def test_the_page_that_explains_it_shows_what_is_really_said() -> None:
    text = (ROOT / "projects/penguins/project.yaml").read_text()
    wrong = text.replace("test_share", "test_shar").replace("folds: 5", "folds: 1")
    with pytest.raises(SpecError, match="2 problems") as caught:
        parse_spec(parse_yaml(wrong, Path("projects/penguins/project.yaml")), "penguins")
    assert f"```text\n{caught.value.message}\n```" in (ROOT / "docs/projects.md").read_text()


def test_nothing_outside_the_folder_names_the_project() -> None:
    sources = [path for part in ("flows", "tasks", "infra") for path in (ROOT / part).rglob("*.py")]
    assert sources
    assert [path for path in sources if "penguin" in path.read_text(encoding="utf-8")] == []


def test_the_real_rows_keep_the_contract_but_for_two_that_are_set_aside(
    project: LoadedProject, rows: pd.DataFrame
) -> None:
    assert list(rows.columns) == list(project.spec.columns)
    broken = pd.Series(False, index=rows.index)
    for name, column in project.spec.columns.items():
        values = rows[name]
        assert values.isna().mean() <= max(column.null_share, project.spec.validation.quarantine_share), name
        if column.null_share == 0:
            broken |= values.isna()
        if column.allowed:
            assert set(values.dropna()) == set(column.allowed), name
        if column.min is not None:
            assert values.dropna().between(column.min, column.max or float("inf")).all(), name
    assert (len(rows), int(broken.sum())) == (344, 2)
    assert broken.mean() <= project.spec.validation.quarantine_share


def test_values_are_missing_where_the_contract_allows_it(rows: pd.DataFrame) -> None:
    assert rows["sex"].isna().sum() == 11
    assert rows["flipper_length_mm"].isna().sum() == 2


def test_each_slice_has_enough_test_rows_to_be_judged(project: LoadedProject, rows: pd.DataFrame) -> None:
    spec = project.spec
    for part in spec.gate.slices:
        counts = rows[part.column].value_counts()
        assert all(counts[value] * spec.split.test_share > spec.gate.min_slice_rows for value in part.values or ())


def test_the_package_is_read_and_never_run(rows: pd.DataFrame) -> None:
    import sys

    assert len(rows) > 0
    assert "palmerpenguins" not in sys.modules
