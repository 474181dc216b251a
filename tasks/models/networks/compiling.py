"""A named network made ready to train: loss, optimizer and its rates."""

from typing import Any

from tasks.contracts.networks import Network
from tasks.contracts.optimisation import Optimizer
from tasks.models.networks.losses import build_label_loss, build_loss, count_right
from tasks.models.networks.rates import follow, plan_rates

_RATES = {"sgd": 0.01}
_RATE = 0.001
_DECAYS = {"adamw": 0.004}
NOT_DECAYED = ("bias", "gamma", "beta")
"""Weights that shift or scale: drawing them to zero changes what a network can say, not how smooth it is."""


def compile_network(
    keras: Any,
    network: Any,
    spec: Network,
    classes: int,
    steps: int,
    *,
    first_epoch: int = 0,
    rate_share: float = 1.0,
    several: bool = False,
) -> None:
    """Make the network ready to train, in place.

    Parameters
    ----------
    classes
        0: the answer is a number.
    steps
        Batches an epoch, which the schedule of the rate is planned by.
    first_epoch
        Epochs that were trained before: the schedule goes on from there.
    rate_share
        This times the rate, where layers are let go that move a little.
    several
        The classes are labels of which a row may have several.
    """
    rate = rate_share * (spec.optimizer.learning_rate or _RATES.get(spec.optimizer.name, _RATE))
    planned = plan_rates(spec.schedule, rate, spec.epochs, steps)
    shares = spec.augment.mixup > 0
    network.compile(
        optimizer=build_optimizer(
            keras, spec.optimizer, rate if planned is None else follow(keras, planned[first_epoch * steps :])
        ),
        loss=build_label_loss(keras, spec.loss) if several else build_loss(keras, spec.loss, classes, shares=shares),
        metrics=[_choose_metric(keras, classes, shares=shares, several=several)],
    )


def _choose_metric(keras: Any, classes: int, *, shares: bool, several: bool) -> Any:
    """Return what is told of each epoch beside the loss: the share of right answers, of labels that of right labels, of values the error."""
    if several:
        return keras.metrics.BinaryAccuracy(
            name="accuracy"
        )  # Keras' own choice would look for the largest of the labels
    if shares:
        return count_right(keras)
    return "accuracy" if classes else "mae"


def build_optimizer(keras: Any, spec: Optimizer, rate: Any) -> Any:
    """Return Keras' optimizer.

    A step is w ← w - rate * d with d the optimizer's direction for the clipped gradient; before it w ← w (1 - rate * decay), apart
    from the loss (Loshchilov and Hutter 2019, ICLR, algorithm 2). clip_norm c: g ← g min(1, c / |g|), |g| over all weights
    (Pascanu, Mikolov and Bengio 2013, ICML, section 3.2).
    """
    kinds = keras.optimizers
    kind = {"sgd": kinds.SGD, "rmsprop": kinds.RMSprop, "adam": kinds.Adam, "adamw": kinds.AdamW}[spec.name]
    decay = _DECAYS.get(spec.name, 0.0) if spec.weight_decay is None else spec.weight_decay
    given: dict[str, Any] = {"momentum": spec.momentum} if spec.momentum else {}
    if decay or spec.name == "adamw":
        given["weight_decay"] = decay
    optimizer = kind(learning_rate=rate, global_clipnorm=spec.clip_norm, clipvalue=spec.clip_value, **given)
    if decay:
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer
