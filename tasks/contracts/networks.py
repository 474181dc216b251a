"""Key `network` of a candidate: a Keras network by name and parameters, or the project's own, and how it is trained.

An architecture never says how many inputs and outputs it has: both follow from the data.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.contracts.borrowing import BorrowedWeights, Embeddings, PretrainedWeights
from tasks.contracts.frozen import Contract
from tasks.contracts.optimisation import Amount, BelowOne, EarlyStopping, Loss, Optimizer, PairwiseLoss, RateSchedule
from tasks.contracts.values import Positive, Reference, one_of_keys

Activation = Literal["relu", "tanh", "elu", "gelu", "silu", "sigmoid"]
Normalise = Literal["none", "batch", "layer"]
Units = list[Positive]

_NORMALISE = (
    "batch: each unit is standardised over the rows of a batch (Ioffe and Szegedy 2015), trains faster; layer: over the units of a "
    "row (Ba et al. 2016), for small batches."
)


class _Architecture(Contract):
    reads: ClassVar[Literal["numbers", "words"]] = "numbers"
    """words: the numbers of one text's words, in order (`prepare.text.encode: tokens`)."""

    name: str
    dropout: BelowOne = Field(
        0.0,
        description="Share of the outputs of each hidden layer that a step of training leaves out (Srivastava et al. 2014): "
        "against learning by heart. Predictions leave out nothing.",
    )
    l1: Amount = Field(
        0.0, description="This times the weights' absolute values is added to the loss: many weights end near 0."
    )
    l2: Amount = Field(0.0, description="This times the weights' squares is added to the loss: no weight grows large.")


class _WordArchitecture(_Architecture):
    reads: ClassVar[Literal["numbers", "words"]] = "words"

    embedding: Positive = Field(32, description="Width of a word's vector; with `embeddings` it is theirs.")
    word_dropout: BelowOne = Field(
        0.0,
        description="Share of the words that a step of training leaves out of each text (Iyyer et al. 2015): new texts from "
        "the training rows' own. Rows that watch, and predictions, keep all words.",
    )
    embeddings: Embeddings | None = Field(
        None, description="Word vectors that were learnt elsewhere, instead of ones drawn at random."
    )


class Dense(_Architecture):
    """Layers in which each unit sees all units of the layer before (multi-layer perceptron)."""

    name: Literal["dense"] = Field(
        description="Multi-layer perceptron (Rumelhart, Hinton and Williams 1986), for columns of numbers and categories."
    )
    units: Units = Field([64], description="Width of each hidden layer; an empty list is logistic regression.")
    activation: Activation = Field("relu", description="What a unit makes of its sum.")
    normalise: Normalise = Field("none", description=_NORMALISE)


class AverageEmbedding(_WordArchitecture):
    """The mean of a text's word vectors, then hidden layers: the order of the words is not seen."""

    name: Literal["average_embedding"] = Field(
        description="Deep averaging network (Iyyer et al. 2015), as fastText (Joulin et al. 2017): the mean of the words' "
        "vectors, then hidden layers. The first to try: seconds an epoch."
    )
    units: Units = Field([16], description="Width of each hidden layer after the mean.")
    activation: Activation = Field("relu", description="What a unit makes of its sum.")
    normalise: Normalise = Field("none", description=_NORMALISE)


class Cnn1d(_WordArchitecture):
    """Filters over a few words each, the strongest place of each filter."""

    name: Literal["cnn1d"] = Field(
        description="Convolutions over words (Kim 2014): each filter looks for a short phrase wherever it stands."
    )
    filters: Positive = Field(100, description="Filters of each width.")
    widths: Annotated[Units, Field(min_length=1)] = Field([3, 4, 5], description="Words that a filter sees.")
    dropout: BelowOne = Field(
        0.5, description="Share of the filters' outputs that a step of training leaves out (Srivastava et al. 2014)."
    )


class _Recurrent(_WordArchitecture):
    units: Positive = Field(32, description="Width of the state that is handed from word to word.")
    layers: Positive = Field(1, description="Layers, each reading what the one before said at each word.")
    bidirectional: bool = Field(
        False, description="Read from both ends (Schuster and Paliwal 1997): twice the weights and the time."
    )


class SimpleRnn(_Recurrent):
    """A state from word to word; forgets after some ten words."""

    name: Literal["simple_rnn"] = Field(
        description="Simple recurrent network (Elman 1990): for short texts, and to see what the gates of the others are for."
    )


class Lstm(_Recurrent):
    """A state with gates that keep it over many words."""

    name: Literal["lstm"] = Field(
        description="Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate: Gers et al. 2000)."
    )


class Gru(_Recurrent):
    """As lstm with two gates instead of three."""

    name: Literal["gru"] = Field(
        description="Gated recurrent unit (Cho et al. 2014): as lstm, a quarter fewer weights."
    )


class Transformer(_WordArchitecture):
    """Each word looks at all others; their places are learnt."""

    name: Literal["transformer"] = Field(
        description="Small encoder of attention blocks (Vaswani et al. 2017) with learnt positions, then the mean over the "
        "words. Time grows with the square of `prepare.text.length`."
    )
    heads: Positive = Field(2, description="Ways to look at the others side by side; divides `embedding`.")
    blocks: Positive = Field(1, description="Blocks of attention and hidden layer, one after the other.")
    units: Positive = Field(32, description="Width of the hidden layer in each block.")
    dropout: BelowOne = Field(
        0.1, description="Share of each block's outputs that a step of training leaves out (Srivastava et al. 2014)."
    )

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.embedding % self.heads:
            raise ValueError(f"expected heads that divide embedding = {self.embedding}, received {self.heads}")
        return self


class Augment(Contract):
    """Pictures changed anew in each step of training; rows that watch, and predictions, never are.

    The answer stays the same, but with mixup, which mixes it too.
    What is made black by a change stays black. Shares are of the picture's height and width.
    """

    flip: Literal["none", "horizontal", "vertical", "both"] = Field(
        "none",
        description="Mirror half of them; only where a mirrored picture has the same answer (a shoe, not a letter).",
    )
    shift: Annotated[float, Field(ge=0, le=0.5)] = Field(0.0, description="Move by up to this share to any side.")
    rotate: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="Turn by up to so many degrees either way.")
    zoom: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="Enlarge (cropping the edges) or make smaller by up to this share."
    )
    crop: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0,
        description="Cut out a window that is this share narrower and lower, anywhere in the picture, and enlarge it to the "
        "picture's size (Krizhevsky, Sutskever and Hinton 2012, who took 1/8): where what is shown fills most of the picture.",
    )
    mixup: Annotated[float, Field(ge=0, le=4)] = Field(
        0.0,
        description="α of Beta(α, α), from which each step draws in which share its pictures are laid over one another in pairs, "
        "and their classes mixed alike (Zhang et al. 2018, who took 0.1 to 0.4 for ImageNet, 1 for small pictures): against "
        "learning by heart, at the price of more epochs. For cross_entropy and focal.",
    )


class Cnn2d(_Architecture):
    """Filters over parts of an image, in blocks that halve it."""

    name: Literal["cnn2d"] = Field(
        description="Convolutions over images (LeCun et al. 1998), of a column of type image. Or of numbers that are pixels: row "
        "of the image by row of the image, all channels of a pixel together; then `height` and `width` say how many."
    )
    height: Positive | None = Field(None, description="Pixels from top to bottom, where the columns are the pixels.")
    width: Positive | None = Field(None, description="Pixels from left to right, where the columns are the pixels.")
    channels: Positive = Field(
        1, description="Numbers a pixel, where the columns are the pixels: 1 for grey, 3 for colours."
    )
    augment: Augment = Field(Augment(), description="More pictures from those there are, in training only.")
    filters: Annotated[Units, Field(min_length=1)] = Field(
        [32, 64], description="Filters of each block; each block halves height and width."
    )
    kernel: Positive = Field(3, description="A filter sees so many pixels by so many.")
    units: Units = Field([64], description="Width of each hidden layer after the blocks.")
    activation: Activation = Field("relu", description="What a unit makes of its sum.")
    normalise: Normalise = Field("none", description=_NORMALISE)

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if (self.height is None) != (self.width is None):
            raise ValueError("expected both height and width, or neither")
        if self.height and self.width:
            self.require_pixels(self.height, self.width)
        return self

    def require_pixels(self, height: int, width: int) -> None:
        """Raise ValueError where the blocks leave nothing of an image of this size."""
        least = 2 ** len(self.filters)
        if min(height, width) < least:
            raise ValueError(f"{len(self.filters)} blocks halve an image to nothing below {least} by {least} pixels")


class EfficientNetLite0(_Architecture):
    """A network that learnt to see from ImageNet; the layers after it learn what is asked here."""

    BLOCKS: ClassVar[int] = 16

    name: Literal["efficientnet_lite0"] = Field(
        description="EfficientNet (Tan and Le 2019) in its smallest form for small devices, its weights borrowed, for a column "
        "of type image. For some hundred to some thousand pictures; with many, and for pictures that are like none of "
        "ImageNet's, compare with `cnn2d`."
    )
    weights: PretrainedWeights = Field(description="What it learnt, and whose it is.")
    size: Annotated[int, Field(ge=32)] = Field(
        128,
        description="Pixels by pixels that pictures are scaled to inside the network; it learnt on 224, and the time grows with "
        "the square. At least the `size` of the column.",
    )
    augment: Augment = Field(Augment(), description="More pictures from those there are, in training only.")
    units: Units = Field([], description="Width of each hidden layer after it.")
    activation: Activation = Field("relu", description="What a unit of these makes of its sum.")
    normalise: Normalise = Field("none", description=_NORMALISE)
    dropout: BelowOne = Field(
        0.2,
        description="Share of its 1,280 outputs, and of each hidden layer's, that a step of training leaves out "
        "(Srivastava et al. 2014).",
    )

    @model_validator(mode="after")
    def _blocks_are_there(self) -> Self:
        if (self.weights.unfreeze_blocks or 0) > self.BLOCKS:
            raise ValueError(f"weights.unfreeze_blocks: expected at most the {self.BLOCKS} that there are")
        return self


Architecture = Annotated[
    Dense | AverageEmbedding | Cnn1d | SimpleRnn | Lstm | Gru | Transformer | Cnn2d | EfficientNetLite0,
    Field(discriminator="name"),
]


class Network(Contract):
    """A Keras network and how it is trained."""

    model_config = one_of_keys("build", "architecture")

    build: Reference | None = Field(
        None,
        description="`module:function(shape, params) -> compiled keras.Model` in the project's folder; shape.inputs, "
        "shape.classes and shape.vocabulary say what the rows are like after preparation.",
    )
    architecture: Architecture | None = Field(
        None, description="Instead of `build`: a network by its name and parameters."
    )
    epochs: Positive = Field(10, description="How often training sees all its rows.")
    batch_size: Positive | Literal["auto"] = Field(
        32,
        description="Rows a step of training, all devices together. auto: the largest of 32, 64, … 8,192 that memory has room for "
        "(the GPU's, or a quarter of what the process may use), and at most a twentieth of the rows: faster where a device is hardly "
        "busy; the learning rate stays as it is given and may want to be higher. The version says what was found, to be given "
        "where the same is wanted on another machine. Where memory runs out all the same the training begins anew with half "
        "of the rows, down to 8, and the version says so.",
    )
    checkpoint_steps: Annotated[int, Field(ge=0)] = Field(
        1_000,
        description="Training is kept in the store every so many steps: one that dies goes on from there, on any machine, with the "
        "same result; a shorter training keeps nothing. Fewer where a step takes seconds, more where the network is large; 0: never.",
    )
    validation_share: BelowOne = Field(
        0.0, description="Share of the training rows that only watches: their metrics per epoch are kept."
    )
    refit: bool = Field(
        True,
        description="After watching, train anew on all training rows, with `early_stopping` for as many epochs as were best; "
        "false: keep the network that was watched.",
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="End training when the rows that watch show no gain any more. Needs `validation_share`."
    )
    optimizer: Optimizer = Field(Optimizer(), description="architecture: from gradients to steps.")
    schedule: RateSchedule | None = Field(
        None, description="architecture: how the learning rate changes over training; left out: one rate."
    )
    loss: Loss | None = Field(
        None, description="architecture: what training makes small; left out: cross_entropy, for a number mse."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.build is None) == (self.architecture is None):
            raise ValueError("expected exactly one of build, architecture")
        own = [
            key
            for key, given in (
                ("optimizer", self.optimizer != Optimizer()),
                ("schedule", self.schedule is not None),
                ("loss", self.loss is not None),
            )
            if given
        ]
        if self.build and own:
            raise ValueError(f"{', '.join(own)}: for `architecture`; a build function compiles its network by itself")
        if self.augment.mixup and isinstance(self.loss, PairwiseLoss):
            raise ValueError(
                "augment.mixup mixes classes, and pairwise ranks rows of one: expected cross_entropy or focal"
            )
        if (self.unfreeze_after or 0) >= self.epochs:
            raise ValueError(f"unfreeze_after: expected fewer than the {self.epochs} epochs there are")
        if self.early_stopping and self.validation_share == 0:
            raise ValueError("early_stopping needs rows that watch: give `validation_share`, such as 0.1")
        return self

    @property
    def step_rows(self) -> int:
        """Rows a step of training, once that is known."""
        if self.batch_size == "auto":
            raise ValueError("batch_size: auto is no number before it was looked for")
        return self.batch_size

    @property
    def embeddings(self) -> Embeddings | None:
        """Word vectors that were learnt elsewhere; None: there are none."""
        return self.architecture.embeddings if isinstance(self.architecture, _WordArchitecture) else None

    @property
    def augment(self) -> Augment:
        """How pictures are changed in training; not at all where there are none."""
        return self.architecture.augment if isinstance(self.architecture, Cnn2d | EfficientNetLite0) else Augment()

    @property
    def pretrained(self) -> PretrainedWeights | None:
        """Weights of a network that was taught elsewhere; None: there are none."""
        return self.architecture.weights if isinstance(self.architecture, EfficientNetLite0) else None

    @property
    def unfreeze_after(self) -> int | None:
        """Epochs after which what was borrowed is learnt on; None: never, or from the start."""
        given = self.embeddings or self.pretrained
        return given.unfreeze_after if given else None

    @property
    def borrowed(self) -> tuple[BorrowedWeights, ...]:
        """Whose weights are in it, to be kept with the version."""
        given = self.embeddings or self.pretrained
        return (BorrowedWeights(source=given.source, licence=given.licence, digest=given.digest),) if given else ()
