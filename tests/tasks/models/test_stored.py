"""Inputs in a file: the same rows as in memory, by any positions; nothing left behind; a full disk is said."""

import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import TrainingFailed
from tasks.models import prepared
from tasks.models.inputs import InputColumns, Rows, take_inputs
from tasks.models.prepared import apply, apply_by_blocks, draw_rows, learn
from tasks.models.preprocessing import preprocessing_steps
from tasks.models.stored import Stored, hold, store
from tests.tasks.models.examples import mixed_rows, mixed_spec, number_rows, numbers_spec

ROWS = 40
BLOCK = 7
PREPARATIONS: dict[str, dict[str, Any]] = {
    "numbers filled in and scaled": {"number": {"scale": "standard", "missing_indicator": True}},
    "fences and ranks": {"number": {"outliers": "clip", "transform": "quantile", "scale": "minmax"}},
    "power and quartiles": {"number": {"transform": "power", "scale": "robust"}},
    "rare categories": {"category": {"encode": "ordinal", "min_share": 0.1}},
    "word numbers": {"text": {"encode": "tokens", "vocabulary": 8, "length": 6}},
    "the best columns": {"select": {"method": "univariate", "keep": 3}},
}
POSITIONS = st.lists(st.integers(0, ROWS - 1), max_size=20).map(lambda found: np.array(found, dtype=np.intp))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


def kept(inputs: Any, folder: Path) -> Stored:
    """Return the inputs in a file, written in several blocks of which the last is short."""
    return store(
        (take_inputs(inputs, np.arange(at, min(at + BLOCK, len(inputs)))) for at in range(0, len(inputs), BLOCK)),
        folder,
    )


def alike(first: Any, second: Any) -> bool:
    if isinstance(first, pd.DataFrame):
        pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))
        return True
    return bool(first.dtype == second.dtype and np.array_equal(first, second))


def inputs_of(kind: str) -> Any:
    if kind == "frame":
        frame = mixed_rows(ROWS).assign(at=pd.date_range("2026-01-01", periods=ROWS, tz="UTC"))
        columns = {**mixed_spec().model_dump()["columns"], "at": {"type": "datetime"}}
        return InputColumns.of(mixed_spec(columns=columns)).read(frame)
    values = np.random.default_rng(0).integers(0, 255, (ROWS, 3, 2, 1))
    return values.astype(np.uint8) if kind == "pictures" else values.reshape(ROWS, 6) / 7


@pytest.fixture(scope="module", params=["numbers", "pictures", "frame"])
def both(request: pytest.FixtureRequest, folder: Path) -> tuple[Any, Stored]:
    """Inputs in memory and in a file."""
    inputs = inputs_of(request.param)
    return inputs, kept(inputs, folder)


@given(first=POSITIONS, second=POSITIONS)
def test_inputs_in_a_file_are_those_in_memory_at_any_positions(
    both: tuple[Any, Stored], first: np.ndarray, second: np.ndarray
) -> None:
    (inputs, found), every = both, np.arange(ROWS)
    assert alike(found[first], take_inputs(inputs, first))
    assert alike(hold(found.take(first)), take_inputs(inputs, first))
    if len(first):
        within = second % len(first)
        assert alike(found.take(first)[within], take_inputs(inputs, first[within]))
        assert alike(hold(found.take(first).take(within)), take_inputs(inputs, first[within]))
    assert (len(found.take(first)), found.shape[1:]) == (len(first), inputs.shape[1:])
    assert alike(found[3:9], take_inputs(inputs, every[3:9]))


@pytest.mark.parametrize("kind", ["numbers", "frame"])
def test_blocks_are_all_rows_in_their_order(folder: Path, kind: str) -> None:
    inputs = inputs_of(kind)
    blocks = list(kept(inputs, folder).blocks(9))
    assert [len(block) for block in blocks] == [9, 9, 9, 9, 4]
    joined = pd.concat(blocks) if kind == "frame" else np.concatenate(blocks)
    assert alike(joined, inputs)


@pytest.mark.parametrize("kind", ["numbers", "frame"])
def test_the_file_has_no_name_and_its_space_is_given_back(tmp_path: Path, kind: str) -> None:
    def space() -> int:
        return sum(os.fstat(int(fd)).st_size for fd in open_files() if str(tmp_path) in read_link(fd))

    found = kept(inputs_of(kind), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(found) == ROWS
    del found
    gc.collect()
    assert space() == 0


def open_files() -> list[str]:
    return os.listdir("/proc/self/fd")


def read_link(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


@pytest.mark.parametrize("kind", ["numbers", "frame"])
def test_a_full_disk_is_said_with_what_to_do(tmp_path: Path, kind: str) -> None:
    many = take_inputs(inputs_of(kind), np.arange(200_000) % ROWS)
    with at_most(1_000_000), pytest.raises(TrainingFailed, match="cannot be kept in") as refused:
        store([many], tmp_path)
    assert "compute.memory_mb" in str(refused.value.remedy)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond this size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pipeline(preparation: dict[str, Any], columns: InputColumns) -> Any:
    from sklearn.pipeline import Pipeline

    spec = mixed_spec({"one": {"estimator": "sklearn.svm.SVC", "prepare": preparation}})
    return Pipeline(preprocessing_steps(columns, spec.preparation_of("one")))


@pytest.mark.parametrize("sampled", [False, True], ids=["all rows", "a draw"])
@pytest.mark.parametrize("preparation", PREPARATIONS.values(), ids=PREPARATIONS)
def test_a_preparation_learns_and_answers_the_same_from_a_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, preparation: dict[str, Any], sampled: bool
) -> None:
    spec = mixed_spec()
    rows, columns = Rows.read(mixed_rows(ROWS), spec), InputColumns.of(spec)
    if sampled:
        monkeypatch.setattr(prepared, "LEARN_VALUES", 25 * (3 + prepared.WORDS_A_TEXT))
    apart = Rows(kept(rows.inputs, folder), rows.target, None)
    found = []
    for given_rows in (rows, apart):
        fitted = pipeline(preparation, columns)
        matrix = learn(fitted, columns, given_rows, across=False, seed=0, where="one")
        again = apply(fitted, columns, given_rows.inputs)
        blocks = np.concatenate(list(apply_by_blocks(fitted, columns, given_rows.inputs, 2)))
        assert isinstance(matrix, Stored) == (given_rows is apart)
        assert alike(np.asarray(matrix), np.asarray(again))
        assert alike(np.asarray(matrix), blocks)
        found.append(np.asarray(matrix))
    assert alike(*found)
    assert len(found[0]) == ROWS


class Counting:
    """A preparation that knows how many rows it learnt from."""

    rows = 0

    def fit(self, X: Any, y: Any) -> "Counting":
        assert len(X) == len(y)
        self.rows = len(X)
        return self

    def transform(self, X: Any) -> Any:
        return X

    def fit_transform(self, X: Any, y: Any) -> Any:
        return self.fit(X, y).transform(X)


@pytest.mark.parametrize("apart", [False, True], ids=["in memory", "in a file"])
@pytest.mark.parametrize(("most", "learnt"), [(25, 25), (ROWS, ROWS)])
def test_a_preparation_learns_from_no_more_rows_than_hold_so_many_values(
    folder: Path, monkeypatch: pytest.MonkeyPatch, most: int, learnt: int, apart: bool
) -> None:
    spec, counting = numbers_spec({"one": {"estimator": "sklearn.svm.SVC"}}), Counting()
    near, columns = Rows.read(number_rows(ROWS), spec), InputColumns.of(spec)
    monkeypatch.setattr(prepared, "LEARN_VALUES", most * len(columns.names))
    rows = Rows(kept(near.inputs, folder), near.target, None) if apart else near
    assert len(learn(counting, columns, rows, across=False, seed=0, where="one")) == ROWS
    assert counting.rows == learnt


def test_a_draw_is_part_of_the_rows_without_repetition_and_follows_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = InputColumns.of(numbers_spec({"one": {"estimator": "sklearn.svm.SVC"}}))
    most = 50
    monkeypatch.setattr(prepared, "LEARN_VALUES", most * len(columns.names))
    assert draw_rows(most, columns, 0) is None
    first, again, other = (draw_rows(most + 10, columns, seed) for seed in (0, 0, 1))
    assert first is not None
    assert other is not None
    assert len(first) == most
    assert (np.diff(first) > 0).all()
    assert np.array_equal(first, np.asarray(again))
    assert not np.array_equal(first, other)


def test_encoding_across_folds_is_refused_from_a_file(folder: Path) -> None:
    spec = mixed_spec()
    rows, columns = Rows.read(mixed_rows(ROWS), spec), InputColumns.of(spec)
    apart = Rows(kept(rows.inputs, folder), rows.target, None)
    with pytest.raises(TrainingFailed, match=r"encode target needs all training rows in memory at once; 40 are kept"):
        learn(pipeline({"category": {"encode": "target"}}, columns), columns, apart, across=True, seed=0, where="one")


def test_numbers_without_a_preparation_reach_a_network_as_short_floats(folder: Path) -> None:
    spec = numbers_spec({"one": {"estimator": "sklearn.svm.SVC"}})
    rows, columns = Rows.read(number_rows(ROWS), spec), InputColumns.of(spec)
    matrix = apply(None, columns, kept(rows.inputs, folder))
    assert alike(np.asarray(matrix), np.asarray(apply(None, columns, rows.inputs)))
    assert matrix.dtype == np.float32
