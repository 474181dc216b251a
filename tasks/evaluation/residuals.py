"""Pictures of a regression: where it errs, how far and in which direction."""

from typing import Any

import numpy as np

from infra.png import as_png
from tasks.evaluation.canvas import BLUE, GREY, ORANGE, RED, make_figure
from tasks.metrics.answers import Floats

MOST_POINTS = 2_000
"""More rows than this are counted in cells: dots would lie on one another."""

CELLS = 45
STRETCHES, ROWS_A_STRETCH = 10, 25
BINS = 40
TAIL = 0.005
"""Share of the residuals at either end that the histogram puts into its outermost bars."""


def draw_predicted(truth: Floats, predicted: Floats, target: str) -> bytes:
    """Return the predicted value over the true one; a perfect model lies on the diagonal.

    Parameters
    ----------
    truth, predicted
        Shape (n,), finite.
    target
        Name of the target, with its unit where it has one.
    """
    figure, axes = make_figure(5.4, 4.8)
    _draw_rows(figure, axes, truth, predicted)
    ends = [min(truth.min(), predicted.min()), max(truth.max(), predicted.max())]
    axes.plot(ends, ends, color=GREY, linestyle=":", linewidth=1.2, label="predicted = true")
    axes.set(
        xlabel=f"true {target}", ylabel=f"predicted {target}", title=f"Predicted and true, {len(truth):,} test rows"
    )
    axes.legend(loc="upper left", fontsize="small")
    axes.grid(alpha=0.3)
    return as_png(figure)


def draw_residuals(truth: Floats, predicted: Floats, target: str) -> bytes:
    """Return the residual, true less predicted, over the predicted value, with its quartiles in ten stretches of it.

    A good model's residuals lie about 0 at every predicted value; a bend says that something is missing from it, a fan that
    its errors grow with the value (Anscombe 1973, Am. Stat. 27:17-21, on looking at residuals).
    """
    residuals = truth - predicted
    figure, axes = make_figure(5.4, 4.8)
    _draw_rows(figure, axes, predicted, residuals)
    axes.axhline(0.0, color=GREY, linestyle=":", linewidth=1.2)
    middles, quartiles = find_quartiles(predicted, residuals)
    if len(middles) > 1:
        axes.plot(middles, quartiles[:, 1], color=RED, linewidth=1.8, label="median")
        for place, label in ((0, "quartiles"), (2, None)):
            axes.plot(middles, quartiles[:, place], color=RED, linestyle="--", linewidth=1.2, label=label)
        axes.legend(loc="upper left", fontsize="small")
    axes.set(xlabel=f"predicted {target}", ylabel="true less predicted", title=f"Residuals, {len(truth):,} test rows")
    axes.grid(alpha=0.3)
    return as_png(figure)


def draw_residual_distribution(truth: Floats, predicted: Floats, target: str) -> bytes:
    """Return the histogram of the residuals, with their median and the range that holds nine in ten."""
    residuals = truth - predicted
    low, high = np.quantile(residuals, [TAIL, 1 - TAIL])
    figure, axes = make_figure(5.4, 3.8)
    if high > low:
        axes.hist(np.clip(residuals, low, high), bins=min(BINS, max(5, round(2 * len(residuals) ** 0.5))), color=BLUE)
    else:  # all alike
        axes.hist(residuals, bins=1, color=BLUE)
    fifth, median, last = np.quantile(residuals, [0.05, 0.5, 0.95])
    axes.axvline(0.0, color=GREY, linestyle=":", linewidth=1.2)
    axes.axvline(median, color=RED, linewidth=1.8, label=f"median {median:.4g}")
    for place, value in enumerate((fifth, last)):
        label = f"nine in ten: {fifth:.4g} to {last:.4g}" if place == 0 else None
        axes.axvline(value, color=ORANGE, linestyle="--", linewidth=1.4, label=label)
    axes.set(
        xlabel=f"true less predicted {target}",
        ylabel="rows",
        title=f"Distribution of residuals, {len(truth):,} test rows",
    )
    axes.legend(fontsize="small", loc="best")
    return as_png(figure)


def find_quartiles(predicted: Floats, residuals: Floats) -> tuple[Floats, Floats]:
    """Return for stretches of equally many rows the middle predicted value, (k,), and the residuals' quartiles, (k, 3).

    At most ten, each of 25 rows or more: the quartiles of fewer would follow single rows.
    """
    order = np.argsort(predicted, kind="stable")
    stretches = np.array_split(order, max(1, min(STRETCHES, len(order) // ROWS_A_STRETCH)))
    middles = np.array([np.median(predicted[part]) for part in stretches])
    quartiles = np.array([np.quantile(residuals[part], [0.25, 0.5, 0.75]) for part in stretches])
    return middles, quartiles


def _draw_rows(figure: Any, axes: Any, x: Floats, y: Floats) -> None:
    if len(x) <= MOST_POINTS:
        axes.plot(x, y, ".", color=BLUE, alpha=0.45, markersize=5)
        return
    cells = axes.hexbin(x, y, gridsize=CELLS, mincnt=1, bins="log", cmap="Blues", linewidths=0.0)
    figure.colorbar(cells, ax=axes, label="rows", shrink=0.8)
