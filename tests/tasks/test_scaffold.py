"""`keepfit new`: a project that works at once, whole or not at all."""

import json
from pathlib import Path

import pytest

from infra.errors import UsageError
from infra.projects import list_projects
from tasks.project import create_project, load_project
from tasks.project.scaffold import SCHEMA_NAME, TEMPLATE_FILES, TEMPLATE_NAME


def test_a_new_project_is_sound_and_its_source_reads(tmp_path: Path) -> None:
    assert create_project(tmp_path, "wine-2") == tmp_path / "wine-2"
    project = load_project(tmp_path, "wine-2")
    assert project.spec.source.function is not None
    frame = project.load(project.spec.source.function)()
    assert set(frame.columns) == set(project.spec.columns)
    for name, column in project.spec.columns.items():
        if column.type == "number":
            assert frame[name].between(column.min, column.max).all(), name
        else:
            assert set(frame[name]) == set(column.allowed or ()), name


def test_a_new_project_bears_its_own_name_everywhere(tmp_path: Path) -> None:
    folder = create_project(tmp_path, "wine-2")
    assert sorted(path.name for path in folder.iterdir()) == sorted(TEMPLATE_FILES)
    assert all(TEMPLATE_NAME not in (folder / name).read_text() for name in TEMPLATE_FILES)


def test_the_schema_that_a_new_project_points_at_lies_beside_it(tmp_path: Path) -> None:
    folder = create_project(tmp_path / "not" / "yet", "wine")
    first = (folder / "project.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema=../{SCHEMA_NAME}"
    assert json.loads((folder / ".." / SCHEMA_NAME).read_text())["$schema"]


def test_a_schema_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / SCHEMA_NAME).write_text("mine")
    create_project(tmp_path, "wine")
    assert (tmp_path / SCHEMA_NAME).read_text() == "mine"


@pytest.mark.parametrize("kind", ["project", "empty folder", "file", "dangling link"])
def test_a_name_that_is_taken_is_refused_and_what_is_there_stays(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "wine"
    if kind == "project":
        create_project(tmp_path, "wine")
        (place / "data.py").write_text("mine")
    elif kind == "empty folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="Expected a new name"):
        create_project(tmp_path, "wine")
    assert sorted(tmp_path.rglob("*")) == before
    assert kind != "project" or (place / "data.py").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "Wine", "../wine", "wine/x", "2wine", "wine\n"])
def test_a_bad_name_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="A project's name is"):
        create_project(tmp_path / "root", name)
    assert not list(tmp_path.iterdir())


def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.project.scaffold.TEMPLATE_FILES", ("project.yaml", "nowhere.py"))
    with pytest.raises(UsageError, match=r"Cannot write .*wine: No such file"):
        create_project(tmp_path, "wine")
    assert [path.name for path in tmp_path.iterdir()] == [SCHEMA_NAME]
    assert list_projects(tmp_path) == []


def test_a_root_that_is_a_file_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(UsageError, match=r"Expected a folder of projects at .*root, found a file"):
        create_project(tmp_path / "root", "wine")
