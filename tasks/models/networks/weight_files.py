"""Weights by name from a file that somebody else made: numpy's .npz, or a torch checkpoint, of which nothing is ever run.

A torch checkpoint is a pickle, which is a program. Its instructions are only read (`pickletools.genops` runs none): those that
a table of tensors is made of have a meaning here, that of plain values; at any other the file is refused.
"""

import io
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from infra.errors import IntegrityError, UnsafeArtifact
from tasks.models.model import Array

TORCH = (".pth", ".pt")
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""What a checkpoint of torch's form before 1.6 begins with: both, the machine it is from, the table, the storages' keys."""

DTYPES: dict[str, np.dtype[Any]] = {
    "torch DoubleStorage": np.dtype("<f8"),
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
}
TABLE, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
NAMES = frozenset({*DTYPES, TABLE, TENSOR})
"""All that a pickle may name; none of it is imported."""

VALUES = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"})
CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Name(NamedTuple):
    """What would be a class or function of torch: here a word on the list."""

    name: str


class _Storage(NamedTuple):
    dtype: np.dtype[Any]
    key: str
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_Pushed = _Name | _Storage | _Tensor | dict[Any, Any] | list[Any] | tuple[Any, ...] | str | int | bool | None


def read_weights(path: Path) -> dict[str, Array]:
    """Return the weights by name.

    Parameters
    ----------
    path
        A file whose digest was verified: .npz, or a torch checkpoint (.pth, .pt) of the form before torch 1.6.

    Raises
    ------
    UnsafeArtifact
        The file is of another form, or its pickle holds more than a table of tensors.
    IntegrityError
        It is damaged.
    """
    if path.suffix in TORCH:
        if zipfile.is_zipfile(path):
            raise UnsafeArtifact(
                f"{path.name}: torch's form since 1.6 is not read here.", remedy="Save the weights as .npz."
            )
        return _read_torch(path.name, io.BytesIO(path.read_bytes()))
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name]) for name in arrays.files}
    except (ValueError, OSError, EOFError, AttributeError, TypeError) as error:
        raise UnsafeArtifact(f"{path.name}: expected .npz or a torch checkpoint: {error}") from error


def _read_torch(name: str, content: io.BytesIO) -> dict[str, Array]:
    try:
        _require_head([_read_pickle(content) for _ in range(3)])
        table, keys = (_read_pickle(content) for _ in range(2))
        stored = _read_storages(content, keys, {each.storage for each in table.values() if isinstance(each, _Tensor)})
        return {key: _as_array(each, stored) for key, each in table.items() if isinstance(each, _Tensor)}
    except UnsafeArtifact as error:
        raise UnsafeArtifact(f"{name}: {error.message}", remedy=error.remedy) from error
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError) as error:
        raise IntegrityError(f"{name}: no whole torch checkpoint: {error!r}") from error


def _require_head(head: list[Any]) -> None:
    *numbers, machine = head
    if numbers != [MAGIC, PROTOCOL]:
        raise UnsafeArtifact("it does not begin as a torch checkpoint does.", remedy="Save the weights as .npz.")
    if machine["little_endian"] is not True:
        raise UnsafeArtifact("it is from a big-endian machine.", remedy="Save the weights as .npz.")


def _read_storages(content: io.BytesIO, keys: Any, wanted: set[_Storage]) -> dict[str, Array]:
    """Return the numbers behind the table: for each key their count and then themselves."""
    kinds, found = {each.key: each for each in wanted}, {}
    for key in keys:
        storage = kinds[key]
        count = int.from_bytes(content.read(8), "little")
        raw = content.read(count * storage.dtype.itemsize)
        if count != storage.size or len(raw) != count * storage.dtype.itemsize:
            raise ValueError(f"{storage.size} numbers expected under {key}, {count} announced")
        found[key] = np.frombuffer(raw, storage.dtype)
    return found


def _as_array(tensor: _Tensor, stored: dict[str, Array]) -> Array:
    """Return the numbers in the tensor's order: the one at (i, j, …) lies at offset + i times the first stride + ….

    The last one must lie inside of what is stored: the view is made without another look.
    """
    numbers = stored[tensor.storage.key][tensor.offset :]
    sizes = list(zip(tensor.shape, tensor.strides, strict=True))
    last = sum((size - 1) * stride for size, stride in sizes)
    outside = tensor.offset < 0 or any(size < 1 or stride < 0 for size, stride in sizes) or last >= len(numbers)
    if outside or prod(tensor.shape) > len(numbers):
        raise ValueError(f"a tensor of shape {tensor.shape} reaches beyond the {len(numbers)} numbers of its storage")
    steps = tuple(stride * numbers.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(numbers, tensor.shape, steps, writeable=False).copy()


def _read_pickle(content: io.BytesIO) -> Any:
    """Return what the next pickle's instructions stand for, as plain values."""
    return _Reading().follow((code.name, argument) for code, argument, _ in pickletools.genops(content))


class _Reading:
    """A pickle's stack and memory, of plain values alone."""

    def __init__(self) -> None:
        self.stack: list[_Pushed] = []
        self.marks: list[int] = []
        self.memory: dict[int, _Pushed] = {}
        self.steps: dict[str, Callable[[Any], None]] = {
            "MARK": lambda _: self.marks.append(len(self.stack)),
            "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_LIST": lambda _: self.stack.append([]),
            "TUPLE": lambda _: self.stack.append(tuple(self._since_mark())),
            "SETITEM": lambda _: self._set_items(self._take(2)),
            "SETITEMS": lambda _: self._set_items(self._since_mark()),
            "APPEND": lambda _: self._append(self._take(1)),
            "APPENDS": lambda _: self._append(self._since_mark()),
            "BINPERSID": lambda _: self.stack.append(_as_storage(self.stack.pop())),
            "REDUCE": lambda _: self.stack.append(_stand_for(*self._take(2))),
            "BUILD": lambda _: self._drop_state(),
            "GLOBAL": lambda name: self.stack.append(_require_name(name)),
        }
        for code in ("BINPUT", "LONG_BINPUT"):
            self.steps[code] = self._remember
        for code in ("BINGET", "LONG_BINGET"):
            self.steps[code] = lambda place: self.stack.append(self.memory[place])

    def follow(self, instructions: Iterator[tuple[str, Any]]) -> _Pushed:
        for code, argument in instructions:
            if code == "STOP":
                break
            self._follow_one(code, argument)
        (made,) = self.stack
        return made

    def _follow_one(self, code: str, argument: Any) -> None:
        if code in VALUES:
            self.stack.append(argument)
        elif code in CONSTANTS:
            self.stack.append(CONSTANTS[code])
        elif code in TUPLES:
            self.stack.append(tuple(self._take(TUPLES[code])))
        elif code in self.steps:
            self.steps[code](argument)
        elif code != "PROTO":
            raise _refuse(f"the instruction {code}")

    def _remember(self, place: int) -> None:
        self.memory[place] = self.stack[-1]

    def _take(self, count: int) -> list[_Pushed]:
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _since_mark(self) -> list[_Pushed]:
        return self._take(len(self.stack) - mark) if (mark := self.marks.pop()) < len(self.stack) else []

    def _set_items(self, flat: list[_Pushed]) -> None:
        if not isinstance(table := self.stack[-1], dict):
            raise _refuse("entries of what is no table")
        table.update(zip(flat[::2], flat[1::2], strict=True))

    def _append(self, items: list[_Pushed]) -> None:
        if not isinstance(row := self.stack[-1], list):
            raise _refuse("items of what is no list")
        row.extend(items)

    def _drop_state(self) -> None:
        """Leave out what a table carries beside its entries (a module's version)."""
        self.stack.pop()
        if not isinstance(self.stack[-1], dict):
            raise _refuse("a state of what is no table")


def _require_name(name: str) -> _Name:
    if name not in NAMES:
        raise _refuse(f"the name {name}")
    return _Name(name)


def _stand_for(function: Any, arguments: Any) -> _Pushed:
    """Return the plain value for a call of one of the two functions on the list."""
    if function == _Name(TABLE) and arguments == ():
        return {}
    if function == _Name(TENSOR) and isinstance(arguments[0], _Storage):
        return _Tensor(*arguments[:4])
    raise _refuse(f"a call of {function}")


def _as_storage(said: Any) -> _Storage:
    kind, name, key, _, count, *_ = said
    if kind != "storage" or not isinstance(name, _Name) or name.name not in DTYPES:
        raise _refuse(f"a storage of kind {name}")
    return _Storage(DTYPES[name.name], key, count)


def _refuse(what: str) -> UnsafeArtifact:
    return UnsafeArtifact(
        f"its pickle holds {what[:100]}, which no table of tensors needs.",
        remedy="Nothing of it was run. Use weights whose maker you know, or save them as .npz.",
    )
