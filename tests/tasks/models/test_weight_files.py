"""Weights from files of others: the numbers are those that were written, and nothing in a file is ever run."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import IntegrityError, UnsafeArtifact
from tasks.models.networks.weight_files import read_weights
from tests.tasks.models.torch_files import tables, write_checkpoint

ARRAYS = {
    "stem.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "seen": np.array(7),
}


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        table: Any = tables(**ARRAYS)
        table._metadata = {"": {"version": 1}}
        return write_checkpoint(table, [*ARRAYS.values()], patch)


def read(content: bytes, folder: Path, name: str = "net.pth") -> dict[str, Any]:
    (folder / name).write_bytes(content)
    return read_weights(folder / name)


def test_a_checkpoint_is_read_as_it_was_written_in_any_order_of_its_numbers(checkpoint: bytes, tmp_path: Path) -> None:
    found = read(checkpoint, tmp_path)
    assert found.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        assert np.array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_the_same_names_are_read_from_numpys_form(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", **ARRAYS)
    found = read_weights(tmp_path / "net.npz")
    assert {name: each.tolist() for name, each in found.items()} == {n: each.tolist() for n, each in ARRAYS.items()}


class Canary:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("canary",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["first", "among the tensors"])
def test_a_program_in_the_file_is_refused_and_does_not_run(
    place: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps(Canary(), protocol)
    if place != "first":
        content = write_checkpoint({"weight": Canary()}, [], monkeypatch)
    with pytest.raises(UnsafeArtifact, match=r"net\.pth: its pickle holds the (name|instruction) "):
        read(content, tmp_path)
    assert not (tmp_path / "canary").exists()
    pickle.loads(content if place == "first" else pickle.dumps(Canary()))
    assert (tmp_path / "canary").exists(), "the control: it would have run"


def test_a_call_of_what_only_names_a_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"\x80\x02ctorch\nFloatStorage\n)R."
    with pytest.raises(UnsafeArtifact, match="a call of"):
        read(content, tmp_path)


def test_numpys_form_with_a_pickle_inside_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", weight=np.array([{}], dtype=object))
    with pytest.raises(UnsafeArtifact, match=r"expected \.npz or a torch checkpoint"):
        read_weights(tmp_path / "net.npz")


def test_torchs_later_form_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    with pytest.raises(UnsafeArtifact, match=r"since 1\.6 is not read here") as refused:
        read_weights(tmp_path / "net.pth")
    assert refused.value.remedy == "Save the weights as .npz."


@pytest.mark.parametrize(
    ("shape", "strides"),
    [((9,), (1,)), ((2, 2), (4, 1)), ((5,), (-1,)), ((10**12,), (0,))],
    ids=["longer", "wider", "backwards", "endless"],
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.tasks.models import torch_files

    values = np.zeros(5, dtype=np.float32)

    class Beyond(torch_files.Tensor):
        def __reduce__(self) -> tuple[Any, ...]:
            function, (numbers, *_) = super().__reduce__()
            return function, (numbers, 0, shape, strides, False, {})

    content = write_checkpoint({"weight": Beyond(values)}, [values], monkeypatch)
    with pytest.raises(IntegrityError, match=r"reaches beyond the 5 numbers"):
        read(content, tmp_path)


@given(data=st.data())
def test_a_damaged_file_is_an_integrity_error_or_other_numbers_and_nothing_else(
    data: st.DataObject, checkpoint: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    at = data.draw(st.integers(0, len(checkpoint) - 1))
    cut = data.draw(st.booleans())
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != checkpoint[at]))
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(checkpoint[:at] if cut else checkpoint[:at] + bytes([byte]) + checkpoint[at + 1 :], folder)
    except IntegrityError:
        return
    assert not cut
    assert all(isinstance(each, np.ndarray) for each in found.values())
