"""What a network computes in while it is trained; its weights, its answers and what is stored are float32 throughout."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.contracts.compute import PrecisionWish
from tasks.contracts.models import Precision

Capability = tuple[int, int]
"""Of an NVIDIA GPU, as its maker numbers them."""

TENSOR_CORES: Capability = (7, 0)
BFLOAT16: Capability = (8, 0)


def choose_precision(wish: PrecisionWish, capability: Capability | None) -> Precision:
    """Return what most of a network computes in.

    bfloat16 wherever it may be chosen: it has the range of float32, so that no gradient vanishes. float16 has not, and its loss
    is scaled up before gradients are taken (Micikevicius et al. 2018, ICLR, arXiv:1710.03740, section 3.2).

    Parameters
    ----------
    capability
        Of the GPU that is the least of those used; None: a CPU.

    Examples
    --------
    >>> choose_precision("auto", (9, 0)), choose_precision("auto", (7, 5)), choose_precision("auto", None)
    ('mixed_bfloat16', 'mixed_float16', 'float32')
    """
    if wish == "float32" or (wish == "auto" and (capability is None or capability < TENSOR_CORES)):
        return "float32"
    return "mixed_bfloat16" if capability is None or capability >= BFLOAT16 else "mixed_float16"


@contextmanager
def computing_in(keras: Any, precision: Precision) -> Iterator[None]:
    """Make layers that are built inside compute in this; Keras scales the loss of float16 by itself."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def answer_exactly(network: Any) -> None:
    """Make the network's end compute in float32, in place: its last layer with weights and all that follow."""
    for layer in reversed(network.layers):
        compute_exactly(layer)
        if layer.weights:
            return


def compute_exactly(layer: Any) -> None:
    """Make a layer or a network compute in float32, in place, whatever it was trained in: its weights are float32 already."""
    for part in layer._flatten_layers():
        part.dtype_policy = "float32"
