"""Checkpoints as torch wrote them before 1.6, without torch: for tests."""

import io
import pickle
import sys
from collections import OrderedDict
from types import ModuleType
from typing import Any

import numpy as np
import pytest

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class FloatStorage:
    """Stands for torch's: pickle writes its name."""


class LongStorage:
    """Stands for torch's."""


def _rebuild_tensor_v2() -> None:
    """Stand for torch's."""


FloatStorage.__module__ = LongStorage.__module__ = "torch"
_rebuild_tensor_v2.__module__ = "torch._utils"
KINDS = {"f": FloatStorage, "i": LongStorage}


class Tensor:
    """A tensor that is pickled as torch's are: a call of torch's function, its numbers elsewhere."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __reduce__(self) -> tuple[Any, ...]:
        values = self.values
        strides = tuple(step // values.itemsize for step in values.strides)
        return _rebuild_tensor_v2, (Numbers(values), 0, values.shape, strides, False, OrderedDict())


class Numbers:
    """The storage behind a tensor."""

    def __init__(self, values: Any) -> None:
        self.values = values


class Writer(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Numbers):
            return None
        return ("storage", KINDS[obj.values.dtype.kind], str(id(obj.values)), "cpu", obj.values.size, None)


def write_checkpoint(table: Any, keys: list[Any], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return the file's content: the table may hold anything, `keys` are the arrays whose numbers follow it."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    torch.__dict__.update(FloatStorage=FloatStorage, LongStorage=LongStorage)
    utils.__dict__["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    content = io.BytesIO()
    with monkeypatch.context() as here:
        here.setitem(sys.modules, "torch", torch)
        here.setitem(sys.modules, "torch._utils", utils)
        machine = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2}}
        for part in (MAGIC, PROTOCOL, machine, table, [str(id(values)) for values in keys]):
            Writer(content, 2).dump(part)
    for values in keys:
        content.write(values.size.to_bytes(8, "little") + np.ravel(values, order="K").tobytes())
    return content.getvalue()


def tables(**arrays: np.ndarray) -> OrderedDict[str, Tensor]:
    return OrderedDict((name, Tensor(values)) for name, values in arrays.items())
