"""What training makes small, by name: functions of the truth and the answer, one value a row."""

from collections.abc import Callable
from typing import Any

from infra.errors import SpecError
from tasks.contracts.optimisation import CrossEntropy, FocalLoss, HuberLoss, Loss, PairwiseLoss

LEAST = 1e-7
"""Probabilities are held this far from 0 and 1, as Keras holds them, so that every logarithm is finite."""

RowLoss = Callable[[Any, Any], Any]


def build_loss(keras: Any, loss: Loss | None, classes: int, *, shares: bool = False) -> str | RowLoss:
    """Return the loss as Keras' `compile` takes it; None is cross-entropy, and for a number (`classes` 0) mse.

    Parameters
    ----------
    shares
        The truth comes as the share of each class (mixup), shape (n, classes), and not as the class' number.

    Raises
    ------
    SpecError
        A loss for numbers where there are classes, or the other way round, or pairwise without two classes; shares of a number.
    """
    of_classes = isinstance(loss, CrossEntropy | FocalLoss | PairwiseLoss)
    if loss is not None and of_classes != (classes > 0):
        fits = "cross_entropy, focal, pairwise" if classes else "mse, mae, huber"
        what = f"{classes} classes" if classes else "a number"
        raise SpecError(f"loss {loss.name}: expected one of {fits}, for the target is {what}.")
    if shares and not classes:
        raise SpecError(
            "augment.mixup mixes the answers of classes, and the target is a number.", remedy="Leave mixup out."
        )
    if isinstance(loss, PairwiseLoss):
        if classes != 2:
            raise SpecError(f"loss pairwise: expected two classes to rank between, received {classes}.")
        return _close(pairwise, keras.ops)
    smoothing = loss.label_smoothing if isinstance(loss, CrossEntropy | FocalLoss) else 0.0
    if isinstance(loss, FocalLoss) or smoothing or shares:
        gamma = loss.gamma if isinstance(loss, FocalLoss) else 0.0
        return _close(focal, keras.ops, classes=classes, gamma=gamma, smoothing=smoothing, shares=shares)
    if classes:
        return "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    if isinstance(loss, HuberLoss):
        return _close(huber, keras.ops, delta=loss.delta)
    return "mse" if loss is None else str(loss.name)


def build_label_loss(keras: Any, loss: Loss | None) -> RowLoss:
    """Return the loss of labels of which a row may have several: the mean over its labels of the loss of each.

    Raises
    ------
    SpecError
        One that is not of labels.
    """
    if loss is not None and not isinstance(loss, CrossEntropy | FocalLoss):
        raise SpecError(f"loss {loss.name}: expected one of cross_entropy, focal, for a row may have several labels.")
    gamma = loss.gamma if isinstance(loss, FocalLoss) else 0.0
    return _close(label_focal, keras.ops, gamma=gamma, smoothing=loss.label_smoothing if loss else 0.0)


def _close(function: Callable[..., Any], ops: Any, **given: Any) -> RowLoss:
    """Return the loss as a plain function: Keras cannot write a partial one into a network's config."""

    def loss(truth: Any, answers: Any) -> Any:
        return function(ops, truth, answers, **given)

    return loss


def focal(
    ops: Any, truth: Any, answers: Any, *, classes: int, gamma: float, smoothing: float, shares: bool = False
) -> Any:
    """Return -Σ_c t_c (1 - p_c)^γ log p_c of each row, shape (n,) (Lin et al. 2017, ICCV, equation 4).

    t is 1 for the true class and 0 for the k - 1 others, smoothed to t (1 - ε) + ε / k (Szegedy et al. 2016, CVPR, section 7).
    With γ = 0 it is cross-entropy.

    Parameters
    ----------
    truth
        Number of each row's class, shape (n,) or (n, 1); with `shares` t itself, shape (n, k).
    answers
        Probability of class 1, shape (n, 1), or of each class, shape (n, k).
    """
    given = ops.clip(_share_each(ops, answers), LEAST, 1 - LEAST)
    true = (
        ops.cast(truth, given.dtype)
        if shares
        else ops.one_hot(ops.cast(ops.reshape(truth, (-1,)), "int32"), classes, dtype=given.dtype)
    )
    true = true * (1 - smoothing) + smoothing / classes
    return -ops.sum(true * (1 - given) ** gamma * ops.log(given), axis=-1)


def count_right(keras: Any) -> RowLoss:
    """Return the metric that says of each row whether the most probable class is the one with the largest share."""
    ops = keras.ops

    def accuracy(truth: Any, answers: Any) -> Any:
        right = ops.argmax(truth, axis=-1) == ops.argmax(_share_each(ops, answers), axis=-1)
        return ops.cast(right, answers.dtype)

    return accuracy


def label_focal(ops: Any, truth: Any, answers: Any, *, gamma: float, smoothing: float) -> Any:
    """Return the mean over the labels of `focal` for two classes, that the row has the label and that it has not, shape (n,).

    With γ = 0 it is binary cross-entropy.

    Parameters
    ----------
    truth
        1 for each label that the row has, else 0, shape (n, labels).
    answers
        Probability of each label, shape (n, labels).
    """
    given = ops.clip(answers, LEAST, 1 - LEAST)
    true = ops.cast(truth, given.dtype) * (1 - smoothing) + smoothing / 2
    yes, no = true * (1 - given) ** gamma * ops.log(given), (1 - true) * given**gamma * ops.log(1 - given)
    return -ops.mean(yes + no, axis=-1)


def pairwise(ops: Any, truth: Any, answers: Any) -> Any:
    """Return each row's part of mean log(1 + exp(s_j - s_i)) over all pairs of a positive row i and a negative row j.

    s = log(p / (1 - p)) (Burges et al. 2005, ICML, section 3). A row's part is half of that of its pairs, times the number of
    rows over that of pairs, so that the mean over the rows is the mean over the pairs; a batch of one class has loss 0.
    """
    given = ops.clip(ops.reshape(answers, (-1,)), LEAST, 1 - LEAST)
    score = ops.log(given) - ops.log(1 - given)
    positive = ops.cast(ops.reshape(truth, (-1,)), given.dtype)
    pairs = positive[:, None] * (1 - positive[None, :])
    lost = pairs * ops.softplus(score[None, :] - score[:, None])
    rows = ops.cast(ops.shape(given)[0], given.dtype)
    return (ops.sum(lost, axis=0) + ops.sum(lost, axis=1)) / 2 * rows / ops.maximum(ops.sum(pairs), 1.0)


def huber(ops: Any, truth: Any, answers: Any, *, delta: float) -> Any:
    """Return e² / 2 where |e| <= δ, and δ (|e| - δ / 2) beyond (Huber 1964, Annals of Mathematical Statistics 35:73-101)."""
    far = ops.abs(ops.reshape(answers, (-1,)) - ops.cast(ops.reshape(truth, (-1,)), answers.dtype))
    return ops.where(far <= delta, far**2 / 2, delta * (far - delta / 2))


def _share_each(ops: Any, answers: Any) -> Any:
    return ops.concatenate([1 - answers, answers], axis=-1) if answers.shape[-1] == 1 else answers
