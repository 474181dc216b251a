"""Converters of histogram gradient boosting that give ONNX whole numbers where skl2onnx (1.20) gives it truth values.

ONNX refuses those since its protocol buffers check them; the leaf of a tree then costs the whole model.
"""

from typing import Any

import numpy as np

NAMES = ("SklearnHistGradientBoostingClassifier", "SklearnHistGradientBoostingRegressor")


class WholeNumbers:
    """A converter's container that writes True and False among a node's numbers as 1 and 0."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *place: Any, **attributes: Any) -> Any:
        """Do as the container does, with numbers."""
        return self._container.add_node(*place, **{name: _numbers(value) for name, value in attributes.items()})


def _numbers(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [int(each) if isinstance(each, bool | np.bool_) else each for each in value]


def register() -> None:
    """Put these converters in the place of skl2onnx's own, once in a process."""
    from skl2onnx.common._registration import get_converter, register_converter  # type: ignore[import-untyped]  # noqa: PLC0415

    for name in NAMES:
        known = get_converter(name)
        if not getattr(known, "gives_numbers", False):
            register_converter(name, _with_numbers(known), overwrite=True, options=known.get_allowed_options())
            get_converter(name).gives_numbers = True


def _with_numbers(known: Any) -> Any:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        known(scope, operator, WholeNumbers(container))

    return convert
