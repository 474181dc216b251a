"""What a network is told of its data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkShape:
    """What a build function, the project's or ours, is told of its data."""

    inputs: int
    """Width of a row after preprocessing."""
    classes: int
    """0: a regression, whose network has one linear output and a loss of values (mse, mae, huber)."""
    vocabulary: int
    """Size of the table of word numbers (`prepare.text.vocabulary`)."""
    image: tuple[int, ...] = ()
    """Height, width and channels of a picture, whose pixels are whole numbers from 0 to 255; empty: the rows are flat."""
    centre: float = 0.0
    """Mean of a regression's training target; 0 of classes."""
    spread: float = 1.0
    """Its standard deviation. A last layer `keras.layers.Rescaling(shape.spread, shape.centre)` answers in the target's units."""
    several: bool = False
    """The classes are labels of which a row may have several: one sigmoid output each, taught 0 and 1 by binary cross-entropy."""
