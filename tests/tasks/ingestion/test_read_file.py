import pandas as pd
import pytest

from infra.errors import SourceError
from tasks.contracts.project import ProjectSpec
from tasks.ingestion.reading import read_file, read_source

SPEC = ProjectSpec.model_validate(
    {
        "name": "demo",
        "source": {"csv": "rows.csv"},
        "columns": {
            "branch": {"type": "category"},
            "note": {"type": "text"},
            "size": {"type": "integer"},
            "y": {"type": "integer"},
        },
        "target": "y",
        "candidates": {"a": {"estimator": "sklearn.naive_bayes.GaussianNB"}},
    }
)
TEXT = "branch,note,size,y\n007,NA,1,0\n008,None,,1\n"


def no_function(name):
    raise AssertionError(name)


def test_a_file_to_answer_is_read_as_the_source_that_was_trained_on(tmp_path):
    (tmp_path / "rows.csv").write_text(TEXT)
    trained_on, _ = read_source(SPEC, tmp_path, pd.Timestamp("2026-01-01", tz="UTC"), no_function)
    asked = read_file(tmp_path / "rows.csv", SPEC)
    pd.testing.assert_frame_equal(asked, trained_on)
    assert asked["branch"].tolist() == ["007", "008"]
    assert asked["note"].tolist() == ["NA", "None"]


def test_an_index_without_a_name_does_not_matter_and_a_column_without_one_does(tmp_path):
    frame = pd.DataFrame({"branch": ["a"], "note": ["b"], "size": [1], "y": [0]})
    frame.to_csv(tmp_path / "rows.csv")
    read = read_file(tmp_path / "rows.csv", SPEC)
    assert read[list(frame.columns)].to_dict() == frame.to_dict()
    (tmp_path / "rows.csv").write_text("a,\n1,2\n")
    with pytest.raises(SourceError, match="column 2 of the header has no name"):
        read_file(tmp_path / "rows.csv", SPEC)


@pytest.mark.parametrize("name", ["rows [1].csv", "rows*.csv", "~rows.csv"])
def test_a_files_name_is_no_pattern(tmp_path, name):
    (tmp_path / "rows 1.csv").write_text("branch\nwrong\n")
    (tmp_path / name).write_text(TEXT)
    assert read_file(tmp_path / name, SPEC)["branch"].tolist() == ["007", "008"]
