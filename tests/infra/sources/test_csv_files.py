import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import SourceError
from infra.sources.csv_files import MISSING_WORDS, read_csv


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_globs_are_read_in_sorted_order_whatever_the_disk_says(tmp_path):
    for name in ("b", "a", "c"):
        write(tmp_path, f"data/{name}.csv", f"x\n{name}\n")
    assert list(read_csv("data/*.csv", tmp_path)["x"]) == ["a", "b", "c"]
    assert list(read_csv(["data/c.csv", "data/*.csv"], tmp_path)["x"]) == ["c", "a", "b"]


def test_columns_in_another_order_go_by_name(tmp_path):
    write(tmp_path, "1.csv", "a,b\n1,2\n")
    write(tmp_path, "2.csv", "b,a\n4,3\n")
    assert read_csv("*.csv", tmp_path)["a"].tolist() == [1, 3]


def test_an_integer_with_a_gap_stays_exact(tmp_path):
    write(tmp_path, "x.csv", f"a\n{2**53 + 1}\n\n1\n".replace("\n\n", "\nNA\n"))
    assert read_csv("x.csv", tmp_path)["a"].tolist() == [2**53 + 1, pd.NA, 1]


@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_are_parsed_exactly(numbers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    write(folder, "x.csv", "a\n" + "".join(f"{number!r}\n" for number in numbers))
    assert read_csv("x.csv", folder)["a"].to_numpy(dtype=float).tolist() == numbers


def test_columns_named_as_text_are_read_as_written(tmp_path):
    write(tmp_path, "x.csv", "id,word,n\n007,NA,1\n1.50,,2\n,null,NA\n")
    frame = read_csv("x.csv", tmp_path, {"id": MISSING_WORDS, "word": {""}})
    assert frame["id"].fillna("-").tolist() == ["007", "1.50", "-"]
    assert frame["word"].fillna("-").tolist() == ["NA", "-", "null"]
    assert frame["n"].isna().tolist() == [False, False, True]


def test_a_column_of_numbers_here_and_text_there_is_text_in_all(tmp_path):
    write(tmp_path, "1.csv", "a\n1\n2\n")
    write(tmp_path, "2.csv", "a\nx\n")
    assert read_csv("*.csv", tmp_path)["a"].tolist() == ["1", "2", "x"]


def test_compressed_files_and_a_byte_order_mark_are_read(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress("\ufeffa\n1\n".encode()))
    pd.testing.assert_frame_equal(read_csv("x.csv.gz", tmp_path), pd.DataFrame({"a": pd.array([1], dtype="Int64")}))


def test_infinities_come_through_for_validation_to_judge(tmp_path):
    write(tmp_path, "x.csv", "a\ninf\n-inf\n1e308\n")
    assert read_csv("x.csv", tmp_path)["a"].tolist() == [np.inf, -np.inf, 1e308]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a,a\n1,2\n", "names 'a' more than once"),
        ("a,\n1,2\n", "column 2 of the header has no name"),
        ("a,b\n1,2,3\n", "expected a CSV file"),
        ("a,b\n1,2\n1,2,3\n", "expected a CSV file"),
        ('a\n"never closed', "expected a CSV file"),
    ],
    ids=["empty", "twice", "unnamed", "long first row", "long row", "open quote"],
)
def test_what_is_no_csv_is_refused_with_its_address(text, message, tmp_path):
    path = write(tmp_path, "x.csv", text)
    with pytest.raises(SourceError, match=message) as caught:
        read_csv("x.csv", tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.csv", b"a\n\xff\xfe\n"), ("x.csv.gz", gzip.compress(b"a\n1\n" * 1000)[:-20]), ("y.csv.gz", b"a\n1\n")],
    ids=["latin", "cut", "not gzip"],
)
def test_bytes_that_are_no_text_are_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match="expected a CSV file"):
        read_csv(name, tmp_path)


def test_files_with_other_columns_are_refused_by_name(tmp_path):
    write(tmp_path, "1.csv", "a,b\n1,2\n")
    write(tmp_path, "2.csv", "a,c\n1,2\n")
    with pytest.raises(SourceError, match=r"2\.csv: expected the columns of .*1\.csv; lacking 'b', added 'c'"):
        read_csv("*.csv", tmp_path)


@pytest.mark.parametrize(("pattern", "found"), [("no.csv", "no file"), ("*.csv", "no file"), ("folder", "a folder")])
def test_a_pattern_that_names_no_file_is_refused(pattern, found, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(SourceError, match=f"found {found}"):
        read_csv(pattern, tmp_path)
