"""Mixup (Zhang et al. 2018, ICLR): training on pairs of pictures laid over each other, their answers in the same shares."""

from typing import Any


def mix_in_training(keras: Any, network: Any, alpha: float, classes: int, seed: int) -> Any:
    """Return the network as it is trained: of the same layers and weights, on mixed rows; rows that watch stay as they are.

    Each step draws a share λ from Beta(α, α) and mixes each row i with another j of its batch: λ x_i + (1 - λ) x_j. The loss
    is λ w_i l(y_i) + (1 - λ) w_j l(y_j), with w how much a row counts. Losses here are linear in the true class, so it is that
    of the answer (λ w_i y_i + (1 - λ) w_j y_j) / w at the weight w = λ w_i + (1 - λ) w_j. Loss and metrics are therefore told
    shares of each class, shape (n, classes), of the rows that watch too.

    Parameters
    ----------
    alpha
        α: the smaller, the more often λ is near 0 or 1.
    """
    ops = keras.ops

    class Mixed(keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> Any:
            rows, numbers, *weights = data
            rows = ops.cast(rows, "float32")  # pixels come as whole numbers
            weight = weights[0] if weights and weights[0] is not None else ops.ones(ops.shape(rows)[:1])
            share = keras.random.beta((), alpha, alpha, seed=self.drawing)
            share = ops.where(ops.isfinite(share), share, 1.0)  # 0 / 0, where both of its halves are too small
            return super().train_step(mix(ops, rows, share_classes(ops, numbers, classes), weight, share))

        def test_step(self, data: Any) -> Any:
            rows, numbers, *weights = data
            return super().test_step((rows, share_classes(ops, numbers, classes), *weights))

    mixed = Mixed(network.inputs[0], network.outputs[0])
    mixed.drawing = keras.random.SeedGenerator(seed)
    return mixed


def mix(ops: Any, rows: Any, shares: Any, weight: Any, share: Any) -> tuple[Any, Any, Any]:
    """Return rows, shares and weights, each row mixed with the one before it in its batch, which is in no order.

    >>> import numpy as np
    >>> mixed = mix(np, np.array([[0.0], [8.0]]), np.eye(2), np.ones(2), np.float64(0.75))
    >>> [part.tolist() for part in mixed]
    [[[2.0], [6.0]], [[0.75, 0.25], [0.25, 0.75]], [1.0, 1.0]]
    """
    own, others = share * weight, (1 - share) * ops.roll(weight, 1)
    whole = ops.maximum(own + others, 1e-12)
    told = (own[:, None] * shares + others[:, None] * ops.roll(shares, 1, axis=0)) / whole[:, None]
    return share * rows + (1 - share) * ops.roll(rows, 1, axis=0), told, own + others


def share_classes(ops: Any, numbers: Any, classes: int) -> Any:
    """Return 1 for the class of each row and 0 for the others, shape (n, classes)."""
    return ops.one_hot(ops.cast(ops.reshape(numbers, (-1,)), "int32"), classes)
