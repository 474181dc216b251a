"""Keys of `network` that say how a named architecture learns: optimizer, schedule of its rate, loss, early stopping."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts.frozen import Contract
from tasks.contracts.values import OpenShare, Positive, Share

Amount = Annotated[float, Field(ge=0)]
AboveZero = Annotated[float, Field(gt=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


class EarlyStopping(Contract):
    """When training ends before its last epoch: no better on the rows that watch; the best epoch's weights are kept."""

    metric: str = Field(
        "loss",
        description="A metric per epoch, such as loss or accuracy; its value on the rows that watch is followed.",
    )
    patience: Positive = Field(3, description="Epochs without a better value after which training ends.")
    min_delta: Amount = Field(0.0, description="A value is better only by more than this, in units of the metric.")


class Optimizer(Contract):
    """From gradients to steps."""

    name: Literal["sgd", "rmsprop", "adam", "adamw"] = Field(
        "adam",
        description="sgd: plain steps, with `momentum` often the best in the end but needs its rate tuned; rmsprop (Hinton "
        "2012); adam (Kingma and Ba 2015): right at first; adamw: adam with weight decay (Loshchilov and Hutter 2019).",
    )
    learning_rate: AboveZero | None = Field(
        None, description="Length of a step; with a schedule the highest. Left out: 0.01 for sgd, 0.001 for the others."
    )
    momentum: BelowOne = Field(
        0.0, description="sgd, rmsprop: share of the last step that is taken again; 0.9 is usual."
    )
    weight_decay: Amount | None = Field(
        None,
        description="At each step all weights but biases and those of normalisation shrink by this share of the learning rate; "
        "against learning by heart. Left out: 0.004 for adamw, 0 for the others.",
    )
    clip_norm: AboveZero | None = Field(
        None,
        description="A gradient longer than this, over all weights together, is cut to it (Pascanu et al. 2013): for recurrent "
        "networks, and where the loss leaps.",
    )
    clip_value: AboveZero | None = Field(
        None, description="Each entry of the gradient is held within plus and minus this."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.momentum and self.name not in ("sgd", "rmsprop"):
            raise ValueError(f"momentum stands with sgd or rmsprop; {self.name} has its own")
        if self.clip_norm and self.clip_value:
            raise ValueError("clip_norm and clip_value do the same: choose one")
        return self


class _WarmedUp(Contract):
    name: str
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(
        0,
        description="The rate first rises evenly from near 0 over so many epochs (Goyal et al. 2017): for large batches.",
    )


class ConstantRate(_WarmedUp):
    """One rate throughout."""

    name: Literal["constant"] = Field(description="One rate, after a warm-up.")


class CosineRate(_WarmedUp):
    """Half a cosine from the rate to its end."""

    name: Literal["cosine"] = Field(
        description="Half a cosine from the rate down to `end` of it (Loshchilov and Hutter 2017): a safe choice where the "
        "number of epochs is known."
    )
    end: Share = Field(0.0, description="What is left of the rate at the end, as a share.")


class StepRate(_WarmedUp):
    """Down at once, every few epochs."""

    name: Literal["step"] = Field(description="The rate is multiplied by `factor` every so many epochs.")
    every: Positive = Field(10, description="Epochs from one step to the next.")
    factor: OpenShare = Field(0.1, description="What each step leaves of the rate.")


class PlateauRate(Contract):
    """Down when the training loss no longer falls."""

    name: Literal["plateau"] = Field(
        description="The rate is multiplied by `factor` when the training loss has not fallen for `patience` epochs: where "
        "nobody knows how many epochs it takes."
    )
    factor: OpenShare = Field(0.1, description="What each step leaves of the rate.")
    patience: Positive = Field(3, description="Epochs without a lower loss before a step.")
    min_delta: Amount = Field(0.0001, description="A loss is lower only by more than this.")


class OneCycleRate(Contract):
    """Up, down again, and far down at the end."""

    name: Literal["one_cycle"] = Field(
        description="From `start` of the rate up to it, back to `start`, and down to `end` in what is left (Smith 2018): lets "
        "training use a rate far higher than a constant one could be, and end sooner."
    )
    rise: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.45, description="Share of the training that the rise takes; the way back takes as long."
    )
    start: OpenShare = Field(0.1, description="The first rate, as a share of the highest.")
    end: Share = Field(0.001, description="The last rate, as a share of the highest.")


RateSchedule = Annotated[ConstantRate | CosineRate | StepRate | PlateauRate | OneCycleRate, Field(discriminator="name")]


class _Weighted(Contract):
    name: str
    label_smoothing: BelowOne = Field(
        0.0,
        description="Share that the true class gives to all classes alike (Szegedy et al. 2016): where labels may be wrong, and "
        "against probabilities that are too sure.",
    )
    class_weights: dict[str, AboveZero] = Field(
        default_factory=dict,
        description="class: how much its rows count, 1 where it is not named; `balance.weights` finds them by itself.",
    )


class CrossEntropy(_Weighted):
    """What probabilities are usually learnt by."""

    name: Literal["cross_entropy"] = Field(
        description="Minus the logarithm of what the true class was given; binary or categorical by the number of classes."
    )


class FocalLoss(_Weighted):
    """Cross-entropy that looks away from rows that are right already."""

    name: Literal["focal"] = Field(
        description="Cross-entropy times (1 - what the true class was given) to the power of `gamma` (Lin et al. 2017): many "
        "easy rows no longer drown a few hard ones. Its probabilities are less sure than they should be."
    )
    gamma: Amount = Field(2.0, description="How much easy rows are looked away from; 0 is cross-entropy.")


class PairwiseLoss(Contract):
    """What a ranking is learnt by, for two classes."""

    name: Literal["pairwise"] = Field(
        description="Logistic loss of how far each positive row of a batch stands above each negative one (Burges et al. 2005): "
        "for roc_auc. What it answers orders rows; as probabilities they mean nothing."
    )


class SquaredError(Contract):
    """What the mean of a number is learnt by."""

    name: Literal["mse"] = Field(description="Mean squared error: the network answers the mean.")


class AbsoluteError(Contract):
    """What the median of a number is learnt by."""

    name: Literal["mae"] = Field(
        description="Mean absolute error: the network answers the median; outliers pull little."
    )


class HuberLoss(Contract):
    """Squared near zero, absolute far off."""

    name: Literal["huber"] = Field(
        description="Squared up to `delta`, absolute beyond (Huber 1964): where a few rows are far off."
    )
    delta: AboveZero = Field(1.0, description="Where the one passes into the other, in units of the target.")


Loss = Annotated[
    CrossEntropy | FocalLoss | PairwiseLoss | SquaredError | AbsoluteError | HuberLoss, Field(discriminator="name")
]
