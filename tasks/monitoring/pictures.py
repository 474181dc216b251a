"""One picture of what drifted: each column's window beside its reference, from the counts that the decision rests on.

Colours are those of Okabe & Ito (2008), told apart with any colour vision.
"""

import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from infra.png import as_png
from tasks.contracts.monitoring import Change, DriftReport
from tasks.monitoring.counting import Floats
from tasks.monitoring.drift import Held
from tasks.monitoring.ranking import choose_columns
from tasks.monitoring.summaries import MeasureCounts, ReferenceMeasure

MOST_PANELS = 6
COLUMNS = 2
MOST_BARS = 9
MOST_PLACES = 12
"""A number with more distinct values has bins. Hours and the like are shown all, in their order."""

BINS = 24
TAIL = 0.005
"""A number's outermost bars hold this share of the reference's rows on either side, and whatever lies beyond."""

GREY, BLUE = "#999999", "#0072B2"
DOTS_PER_INCH = 160
PANEL_WIDTH, PANEL_HEIGHT = 3.3, 2.2
"""Inches: the page gives a picture half its width, so two panels fill it with letters of the size of its own text."""

LONGEST_LABEL, LONGEST_LINE = 14, 40
WIDEST = 56
"""Letters of a line below a panel; there are at most three or four."""
_WORD = re.compile(r"[^\W\d_]{2,}")


class Bars(NamedTuple):
    """Shares of the rows on both sides, one a bar; `edges` where the bars are those of a number."""

    reference: Floats
    window: Floats
    labels: tuple[str, ...] = ()
    edges: Floats | None = None
    ordered: bool = False


class Panel(NamedTuple):
    """What drifted of one column, how both sides look, and what the reference is."""

    change: Change
    bars: Bars
    described: str


def draw_drift(report: DriftReport, held: Sequence[Held], window: str) -> bytes | None:
    """Return the picture as PNG, at most MOST_PANELS columns, the champion's most important first; None without drift.

    Parameters
    ----------
    report
        The decision.
    held
        All that was decided on: the features with their reference, predictions and targets with theirs.
    window
        What the window is called.
    """
    panels = [
        panel for change in choose_columns(report, MOST_PANELS) if (panel := find_panel(change, held)) is not None
    ]
    if not panels:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(COLUMNS, len(panels))
    down = -(-len(panels) // across)
    size = (PANEL_WIDTH * across, PANEL_HEIGHT * down + 0.4)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    places = list(figure.subplots(down, across, squeeze=False).flat)
    for axes, panel in zip(places, panels, strict=False):
        _draw_panel(axes, panel, beside=panel.described if panel.described != report.reference else "")
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    handles, _ = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles,
        [_cut(report.reference, LONGEST_LINE), window],
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    return _png(figure)


def find_panel(change: Change, held: Sequence[Held]) -> Panel | None:
    """Return a change with both sides as shares of their rows; None where their counts are not among these tables."""
    for each in held:
        for before, now in zip(each.reference.measures, each.window.measures, strict=False):
            measure = before.measure
            if measure.aspect == change.aspect and change.name in (measure.name, measure.column):
                return Panel(change, _count(change, before, now, each), each.reference.described)
    return None


def _count(change: Change, before: ReferenceMeasure, now: MeasureCounts, held: Held) -> Bars:
    if change.test == "nulls":
        return _count_missing(before, now)
    if before.measure.kind == "text":
        column = before.measure.column
        return _count_words(held.reference.texts.get(column, ()), held.window.texts.get(column, ()))
    return _bin_numbers(before, now) if before.measure.kind == "number" else _count_values(before, now)


def _count_missing(before: MeasureCounts, now: MeasureCounts) -> Bars:
    sides = [np.array([side.present, side.missing], dtype=float) for side in (before, now)]
    return Bars(_share(sides[0]), _share(sides[1]), ("there", "missing"), ordered=True)


def _count_values(before: ReferenceMeasure, now: MeasureCounts) -> Bars:
    labels = (*before.values, "new or rare")
    reference, window = _share(before.counts), _share(now.counts)
    if before.measure.part:
        return Bars(reference[:-1], window[:-1], before.values, ordered=True)
    return _keep_largest(reference, window, labels, np.abs(window - reference))


def _count_words(before: Sequence[str], now: Sequence[str]) -> Bars:
    """Return the share of texts that hold a word, for the words whose share changed most for how rare they are."""
    sides = [Counter(word for text in texts for word in set(_WORD.findall(text.lower()))) for texts in (before, now)]
    words = sorted(set(sides[0]) | set(sides[1]))
    reference, window = (
        np.array([side[word] for word in words], dtype=float) / max(len(texts), 1)
        for side, texts in zip(sides, (before, now), strict=True)
    )
    spread = np.sqrt((reference + window) / 2 + 1 / max(len(before) + len(now), 1))
    order = np.argsort(-np.abs(window - reference) / spread, kind="stable")[:MOST_BARS]
    return Bars(reference[order], window[order], tuple(words[at] for at in order))


def _keep_largest(reference: Floats, window: Floats, labels: Sequence[str], gaps: Floats) -> Bars:
    """Return the values whose share changed most, and the others as one."""
    shown = np.flatnonzero((reference > 0) | (window > 0))
    if len(shown) > MOST_BARS:
        shown = shown[np.argsort(-gaps[shown], kind="stable")][: MOST_BARS - 1]
    rest = [1 - float(side[shown].sum()) for side in (reference, window)]
    names = [labels[int(at)] for at in shown]
    if max(rest) < 1e-9:
        return Bars(reference[shown], window[shown], tuple(names))
    return Bars(np.append(reference[shown], rest[0]), np.append(window[shown], rest[1]), (*names, "all others"))


def _bin_numbers(before: ReferenceMeasure, now: MeasureCounts) -> Bars:
    edges = np.array(before.edges)
    distinct = edges[::2]
    if len(distinct) <= MOST_PLACES and np.array_equal(edges[1::2], np.nextafter(distinct, np.inf)):
        between = [np.append(_share(side.counts)[1::2], _share(side.counts)[::2].sum()) for side in (before, now)]
        return Bars(between[0], between[1], (*(f"{value:g}" for value in distinct), "others"), ordered=True)
    below = np.cumsum(_share(before.counts))[:-1]
    low = edges[max(int(np.searchsorted(below, TAIL, side="right")) - 1, 0)]
    high = edges[min(int(np.searchsorted(below, 1 - TAIL)), len(edges) - 1)]
    if high <= low:  # nearly every row holds one value
        low, high = edges[0], edges[-1]
    grid = np.linspace(low, high, BINS + 1)
    sides = [_rebin(_share(side.counts), edges, grid) for side in (before, now)]
    return Bars(sides[0], sides[1], edges=grid)


def _rebin(shares: Floats, edges: Floats, grid: Floats) -> Floats:
    """Return the shares between the grid's points and, first and last, beyond them; within a bin rows lie evenly."""
    below = np.interp(grid, edges, np.cumsum(shares)[:-1])
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def _share(counts: Sequence[int] | Floats) -> Floats:
    values = np.asarray(counts, dtype=float)
    return np.asarray(values / max(values.sum(), 1.0))


def _draw_panel(axes: Any, panel: Panel, *, beside: str) -> None:
    change, bars = panel.change, panel.bars
    matters = "" if change.importance is None else f", importance {change.importance:.0%}"
    name = change.name if change.aspect == "feature" else f"{change.name} ({change.aspect})"
    axes.set_title(
        f"{_cut(name, LONGEST_LINE)}{matters}", fontsize=8.5, fontweight="bold", loc="left", parse_math=False
    )
    if said := "; ".join(filter(None, [change.note, f"reference: {beside}" if beside else ""])):
        axes.set_xlabel(textwrap.fill(_cut(said, 3 * WIDEST), WIDEST), fontsize=7, color="#444444", parse_math=False)
    if bars.edges is not None:
        _draw_steps(axes, bars, bars.edges)
    elif bars.ordered:
        _draw_columns(axes, bars)
    else:
        _draw_rows(axes, bars)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_steps(axes: Any, bars: Bars, grid: Floats) -> None:
    """Draw a number's histograms; the first and the last bar stand beyond the grid."""
    width = grid[1] - grid[0]
    ends = np.concatenate([[grid[0] - width], grid, [grid[-1] + width]])
    axes.stairs(bars.reference, ends, fill=True, color=GREY, alpha=0.6, label="reference")
    axes.stairs(bars.window, ends, color=BLUE, linewidth=1.8, label="window")
    axes.margins(x=0.01)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def _draw_columns(axes: Any, bars: Bars) -> None:
    places = np.arange(len(bars.labels))
    axes.bar(places - 0.2, bars.reference, 0.4, color=GREY, alpha=0.8, label="reference")
    axes.bar(places + 0.2, bars.window, 0.4, color=BLUE, label="window")
    step = -(-len(places) // 8)
    axes.set_xticks(places[::step], [_cut(label) for label in bars.labels[::step]], parse_math=False)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def _draw_rows(axes: Any, bars: Bars) -> None:
    places = np.arange(len(bars.labels))
    axes.barh(places - 0.2, bars.reference, 0.4, color=GREY, alpha=0.8, label="reference")
    axes.barh(places + 0.2, bars.window, 0.4, color=BLUE, label="window")
    axes.set_yticks(places, [_cut(label) for label in bars.labels], parse_math=False)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def _cut(text: str, longest: int = LONGEST_LABEL) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _png(figure: Any) -> bytes:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a value in a script that the font lacks
        return as_png(figure)
