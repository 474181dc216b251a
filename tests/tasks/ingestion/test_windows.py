"""What a project's own functions bring of one window, and what is said when they bring something else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from infra.errors import SourceError, SpecError, UsageError
from tasks.ingestion.windows import read_labels, read_window_rows
from tasks.project import LoadedProject, load_project

MARCH, APRIL, MAY = (datetime(2024, month, 1, tzinfo=UTC) for month in (3, 4, 5))
SPEC = {
    "name": "shop",
    "source": {"function": "data:read"},
    "columns": {
        "id": {"type": "integer"},
        "at": {"type": "datetime"},
        "size": {"type": "number"},
        "sold": {"type": "boolean"},
    },
    "target": "sold",
    "row_id": "id",
    "time": "at",
    "candidates": {"dummy": {"estimator": "sklearn.dummy.DummyClassifier"}},
    "monitoring": {"window": "month", "rows": "data:rows", "labels": {"delay_days": 1, "function": "data:labels"}},
}
HEAD = "import pandas as pd\ndef read(): ...\n"
ROWS = HEAD + "def labels(start, end, as_of): ...\ndef rows(start, end):\n    return "
LABELS = HEAD + "def rows(start, end): ...\ndef labels(start, end, as_of):\n    return "
TWO = "pd.DataFrame({'id': [1, 2], 'at': [start, '2024-03-31T23:59:59Z'], 'size': 1.0})"


def project(root: Path, code: str, **spec: object) -> LoadedProject:
    (root / "shop").mkdir()
    (root / "shop" / "data.py").write_text(code)
    (root / "shop" / "project.yaml").write_text(yaml.safe_dump({**SPEC, **spec}, sort_keys=False))
    return load_project(root, "shop")


def test_the_rows_of_a_window_come_as_the_function_gives_them(tmp_path: Path) -> None:
    rows = read_window_rows(project(tmp_path, ROWS + TWO), MARCH, APRIL)
    assert rows["id"].tolist() == [1, 2]
    assert list(rows.columns) == ["id", "at", "size"]


def test_a_window_without_rows_is_no_error(tmp_path: Path) -> None:
    rows = read_window_rows(project(tmp_path, ROWS + "pd.DataFrame()"), MARCH, APRIL)
    assert (len(rows), list(rows.columns)) == (0, ["id", "at"])


WRONG_ROWS = {
    "no frame": ("[1, 2]", "data:rows: expected a pandas DataFrame, received list"),
    "no time": ("pd.DataFrame({'id': [1], 'when': 2})", "expected the columns 'id', 'at', received 'id', 'when'"),
    "another window": (TWO.replace("[start, ", "[end, "), "1 of 2 lie outside by 'at': 1"),
    "the target": (TWO + ".assign(sold=True)", "received the target 'sold' with them"),
    "names twice": ("pd.DataFrame([[1, 2]], columns=['id', 'id'])", "data:rows: Expected each column once"),
}


@pytest.mark.parametrize(("returned", "said"), WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_rows_that_are_not_what_was_asked_for_are_refused(tmp_path: Path, returned: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_window_rows(project(tmp_path, ROWS + returned), MARCH, APRIL)


def test_a_function_that_takes_something_else_is_refused_with_both_signatures(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"expected a function of \(start, end\), received one of \(as_of\)"):
        read_window_rows(project(tmp_path, HEAD + "def labels(): ...\ndef rows(as_of): ..."), MARCH, APRIL)


def test_a_function_that_is_not_there_is_told_when_the_project_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"(?s)2 problems.*monitoring\.rows.*monitoring\.labels\.function"):
        project(tmp_path, HEAD)


def test_a_project_without_such_functions_says_so(tmp_path: Path) -> None:
    bare = project(tmp_path, HEAD, monitoring={})
    with pytest.raises(SpecError, match=r"no function in monitoring\.rows"):
        read_window_rows(bare, MARCH, APRIL)
    with pytest.raises(SpecError, match=r"no function in monitoring\.labels\.function"):
        read_labels(bare, MARCH, APRIL, MAY)


def test_a_window_needs_a_length_and_a_time_zone(tmp_path: Path) -> None:
    shop = project(tmp_path, ROWS + TWO)
    with pytest.raises(UsageError, match="ends after it starts"):
        read_window_rows(shop, APRIL, MARCH)
    with pytest.raises(UsageError, match="time zone with `start`"):
        read_window_rows(shop, MARCH.replace(tzinfo=None), APRIL)
    with pytest.raises(UsageError, match="time zone with `as_of`"):
        read_labels(shop, MARCH, APRIL, MAY.replace(tzinfo=None))


def test_labels_are_the_id_and_the_target_of_what_is_known(tmp_path: Path) -> None:
    code = LABELS + "pd.DataFrame({'sold': [True, None, False, True], 'note': 'x', 'id': [1, 2, 3, 1]})"
    labels = read_labels(project(tmp_path, code), MARCH, APRIL, MAY)
    assert labels.to_dict("list") == {"id": [1, 3], "sold": [True, False]}


WRONG_LABELS = {
    "two labels": ("pd.DataFrame({'id': [1, 1], 'sold': [True, False]})", "different ones of 1"),
    "no id": ("pd.DataFrame({'sold': [True]})", "expected the columns 'id', 'sold', received 'sold'"),
    "nobody's": ("pd.DataFrame({'id': [1, None], 'sold': True})", "an? 'id' with every label; 1 of 2 are missing"),
    "no frame": ("None", "received NoneType"),
}


@pytest.mark.parametrize(("returned", "said"), WRONG_LABELS.values(), ids=WRONG_LABELS)
def test_labels_that_cannot_be_meant_are_refused(tmp_path: Path, returned: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_labels(project(tmp_path, LABELS + returned), MARCH, APRIL, MAY)
