"""What all pictures of an evaluation are drawn with: colours, lines, a figure without a window.

Colours are those of Okabe & Ito (2008), told apart with any colour vision. Figures are drawn on Agg canvases without
pyplot: no global state, no window system.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"
CYCLE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", RED, "#F0E442", "#000000")
DOTS_PER_INCH = 110


def make_figure(
    width: float, height: float, rows: int = 1, heights: Sequence[float] | None = None, *, share_x: bool = False
) -> Any:
    """Return a figure of this size in inches, and its axes."""
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    ratios = {"height_ratios": heights} if heights else None
    return figure, figure.subplots(rows, 1, gridspec_kw=ratios, sharex=share_x)


def line_style(index: int) -> dict[str, Any]:
    """Return colour and dashes of the line of this number."""
    styles = ("-", "--", "-.", (0, (3, 1, 1, 1)))
    return {"color": CYCLE[index % len(CYCLE)], "linestyle": styles[index % len(styles)], "linewidth": 1.8}
