"""A past period lived through again: what each window showed, and what the loop did."""

from typing import Literal

from pydantic import Field

from tasks.contracts.frozen import Contract
from tasks.contracts.monitoring import Status, Window


class ReplayedWindow(Contract):
    """One window of a replay."""

    window: Window
    rows: int
    status: Status
    reasons: tuple[str, ...]
    drifted: tuple[str, ...] = ()
    metric: str
    direction: Literal["higher", "lower"] = Field("higher", description="Which value of the metric is better.")
    frozen: float = Field(description="The first model, never replaced.")
    kept_fit: float = Field(description="The champion of that time.")
    always: float = Field(description="Trained anew after each window, released without a gate.")
    champion: str = Field(description="Who answered.")
    action: str = Field("", description="What the loop did after the window.")
    trained: bool = Field(False, description="Whether the loop trained a model after the window.")
    released: bool = False
    taken_back: str = Field(
        "", description="The version that monitoring took back after the window: the one before did better."
    )


class Replay(Contract):
    """A whole replay: what each window showed, and what was decided."""

    project: str
    first: str = Field(description="The model that was there before the first window.")
    windows: tuple[ReplayedWindow, ...]
