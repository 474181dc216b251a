"""Finding project folders and loading their functions."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import SpecError, UsageError
from infra.projects import (
    ProjectFolder,
    digest_code,
    find_project,
    find_reference_problem,
    list_projects,
    load_function,
)


def make_folder(root: Path, name: str = "wine", **modules: str) -> ProjectFolder:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "project.yaml").write_text(f"name: {name}\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    return ProjectFolder(name, folder)


def test_only_folders_with_a_project_yaml_and_a_safe_name_are_projects(tmp_path: Path) -> None:
    for name in ("wine", "beer", "Bad Name", ".hidden"):
        make_folder(tmp_path, name)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert [folder.name for folder in list_projects(tmp_path)] == ["beer", "wine"]


def test_find_project_returns_its_folder(tmp_path: Path) -> None:
    make_folder(tmp_path)
    assert find_project(tmp_path, "wine") == ProjectFolder("wine", tmp_path / "wine")


def test_a_misspelt_project_is_answered_with_the_nearest_and_all(tmp_path: Path) -> None:
    for name in ("wine", "iris"):
        make_folder(tmp_path, name)
    with pytest.raises(UsageError, match=r"No project 'irs'.* Did you mean 'iris'\? There are: iris, wine"):
        find_project(tmp_path, "irs")


def test_a_folder_without_a_project_yaml_is_said_to_be_incomplete(tmp_path: Path) -> None:
    (tmp_path / "wine").mkdir()
    with pytest.raises(UsageError, match=r"holds no project\.yaml"):
        find_project(tmp_path, "wine")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../wine", "/etc", "wine/", "Wine", "a" * 64, "wine\n", "wine\0", "ｗine"]
)
def test_a_name_that_is_no_name_never_reaches_the_file_system(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path)
    with pytest.raises(UsageError, match="A project's name is"):
        find_project(tmp_path, name)


def test_a_missing_root_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KEEPFIT_PROJECTS"):
        list_projects(tmp_path / "nowhere")


def test_load_function_returns_the_function_of_a_folder_outside_the_repository(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, data="def read():\n    return 5\n")
    assert load_function(folder, "data:read")() == 5


def test_modules_of_a_project_import_one_another_relatively(tmp_path: Path) -> None:
    source = "from .numbers_of_mine import FIVE\n\ndef read():\n    return FIVE\n"
    folder = make_folder(tmp_path, "with-hyphen", data=source, numbers_of_mine="FIVE = 5\n")
    assert load_function(folder, "data:read")() == 5


def test_a_function_is_defined_once_while_the_code_stays_the_same(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, data="class Layer:\n    pass\n")
    assert load_function(folder, "data:Layer") is load_function(folder, "data:Layer")


def test_edited_code_is_what_runs_even_at_the_same_size_and_time(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, data="from . import other\n\ndef read():\n    return other.N\n", other="N = 1\n")
    assert load_function(folder, "data:read")() == 1
    make_folder(tmp_path, other="N = 2\n")
    assert load_function(folder, "data:read")() == 2
    assert not list(folder.path.rglob("*.pyc"))


def test_edited_code_is_taken_up_while_another_thread_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's own threads import lazily: sys.modules then grows under whoever walks it."""

    class Late(str):
        """The name of a module whose turn it is just when another one is imported."""

        __slots__ = ()

        def startswith(self, *_: object) -> bool:
            monkeypatch.setitem(sys.modules, f"imported_meanwhile_{len(sys.modules)}", sys)
            return False

    monkeypatch.setitem(sys.modules, Late("imported_before"), sys)
    for number in range(2):
        folder = make_folder(tmp_path, data=f"def read():\n    return {number}\n")
        assert load_function(folder, "data:read")() == number


def test_projects_of_one_name_in_two_roots_never_mix(tmp_path: Path) -> None:
    first = make_folder(
        tmp_path / "a", data="from . import other\n\ndef read():\n    return other.N\n", other="N = 1\n"
    )
    second = make_folder(
        tmp_path / "b", data="from . import other\n\ndef read():\n    return other.N\n", other="N = 2\n"
    )
    assert [load_function(folder, "data:read")() for folder in (first, second, first)] == [1, 2, 1]


def test_loading_leaves_the_search_path_alone(tmp_path: Path) -> None:
    before = list(sys.path)
    load_function(make_folder(tmp_path, data="read = int\n"), "data:read")
    assert sys.path == before


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("dat:read", r"no dat\.py .* Did you mean 'data'\? There are: data"),
        ("data:reed", r"no function 'reed' in wine/data\.py\. Did you mean 'read'\? There are: read\."),
        ("data:FIVE", r"'FIVE' is no function"),
        ("data", "expected `module:function`"),
        ("../data:read", "expected `module:function`"),
        ("os.path:join", "expected `module:function`"),
        ("os:system", r"no os\.py"),
    ],
)
def test_a_wrong_reference_says_what_there_is(tmp_path: Path, reference: str, said: str) -> None:
    folder = make_folder(tmp_path, data="import os\nFIVE = 5\n\ndef read():\n    return 5\n")
    with pytest.raises(SpecError, match=said):
        load_function(folder, reference)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def read(:\n", r"SyntaxError"),
        ("x = 1\nraise RuntimeError('no luck')\n", r"\(line 2 of data\.py\): RuntimeError: no luck"),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
        ("import nowhere_to_be_found\n", "Install the package that holds 'nowhere_to_be_found'"),
        ("import other_part\n", "Write `from . import other_part`"),
    ],
)
def test_a_module_that_fails_at_import_says_where_and_why(tmp_path: Path, source: str, said: str) -> None:
    folder = make_folder(tmp_path, data=source, other_part="")
    with pytest.raises(SpecError, match=said):
        load_function(folder, "data:read")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "root")
    canary = tmp_path / "canary"
    (tmp_path / "outside.py").write_text(f"open({str(canary)!r}, 'w').close()\n\ndef read():\n    return 1\n")
    (folder.path / "data.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(SpecError, match="a link that leads out"):
        load_function(folder, "data:read")
    assert not canary.exists()


@pytest.mark.parametrize("link", ["other.py", "parts"])
def test_code_that_comes_in_through_a_link_is_refused_since_the_digest_does_not_name_it(
    tmp_path: Path, link: str
) -> None:
    line = "from .parts import other" if link == "parts" else "from . import other"
    folder = make_folder(tmp_path / "root", data=f"{line}\n\ndef read():\n    return 1\n")
    outside = make_folder(tmp_path / "elsewhere", other="").path
    (folder.path / link).symlink_to(outside if link == "parts" else outside / "other.py")
    with pytest.raises(SpecError, match=r"received .* through a link"):
        load_function(folder, "data:read")


def test_modules_in_a_folder_within_are_part_of_the_project(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, data="from .parts.five import FIVE\n\ndef read():\n    return FIVE\n")
    make_folder(folder.path, "parts", five="FIVE = 5\n")
    assert load_function(folder, "data:read")() == 5
    assert not list(folder.path.rglob("*.pyc"))


@pytest.mark.parametrize(
    "source", ["def read(): ...", "import x as read", "read = 1", "if 1:\n    def read(): ...", "from x import *"]
)
def test_a_function_that_may_be_there_is_no_problem_before_it_runs(tmp_path: Path, source: str) -> None:
    assert find_reference_problem(make_folder(tmp_path, data=source), "data:read") == ""


def test_looking_for_a_function_does_not_run_the_module(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    folder = make_folder(tmp_path, data=f"open({str(canary)!r}, 'w').close()\n\ndef read(): ...\n")
    assert "Did you mean 'read'" in find_reference_problem(folder, "data:raed")
    assert not canary.exists()


names = st.from_regex(r"[a-z]{1,6}", fullmatch=True)


@pytest.mark.slow
@given(st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=20), max_size=4))
def test_the_code_digest_follows_names_and_contents_alone(
    tmp_path_factory: pytest.TempPathFactory, modules: dict[str, str]
) -> None:
    folders = [make_folder(tmp_path_factory.mktemp("root")) for _ in range(2)]
    for folder, items in zip(folders, (list(modules.items()), list(modules.items())[::-1]), strict=True):
        for name, text in items:
            (folder.path / f"{name}.py").write_bytes(text.encode())
    (folders[1].path / "notes.txt").write_text("no code")
    (folders[1].path / "__pycache__").mkdir()
    (folders[1].path / "__pycache__" / "x.py").touch()
    assert digest_code(folders[0]) == digest_code(folders[1])


def test_the_code_digest_tells_a_moved_boundary_between_name_and_content(tmp_path: Path) -> None:
    one = make_folder(tmp_path / "1", a="b", c="")
    two = make_folder(tmp_path / "2", a="", c="b")
    three = make_folder(tmp_path / "3", a="b", d="")
    assert len({digest_code(folder) for folder in (one, two, three)}) == 3


def test_the_code_digest_reaches_into_folders(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    before = digest_code(folder)
    (folder.path / "parts").mkdir()
    (folder.path / "parts" / "x.py").write_text("1")
    assert digest_code(folder) != before


def test_the_module_imports_nothing_heavy() -> None:
    heavy = "{'pandas', 'numpy', 'sklearn', 'prefect', 'tensorflow'}"
    code = f"import sys, infra.projects; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
