"""Pictures of a study as PNG bytes: learning curves, a validation curve, candidates beside the best.

Colours are those of Okabe & Ito (2008), told apart with any colour vision; training is dashed and hollow, validation solid
and filled. Figures are drawn on Agg canvases without pyplot: no global state, no window system.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from infra.png import as_png
from tasks.contracts.study_report import CandidateStudy, CurvePoint, Diagnosis, LearningCurve, ValidationCurve

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
DOTS_PER_INCH = 110
NEAR = 1.0
"""The dummy is in the picture where it is no farther off than the scores are from each other."""

ACROSS = 3
"""Learning curves beside each other."""


def draw_study(report: CandidateStudy) -> dict[str, bytes]:
    """Return the pictures that this study can have, PNG bytes by title."""
    pictures = {}
    if any(len(curve.points) > 1 for curve in report.curves):
        pictures["Learning curves"] = draw_learning_curves(report)
    if report.validation_curve is not None:
        pictures["Validation curve"] = draw_validation_curve(report, report.validation_curve)
    if any(diagnosis.difference for diagnosis in report.diagnoses):
        pictures["Candidates beside the best"] = draw_differences(report)
    return pictures


def draw_learning_curves(report: CandidateStudy) -> bytes:
    """Return training and validation scores over the number of rows, one panel a candidate on one scale.

    Bands are one corrected standard error to each side; dots are single folds.
    """
    across = min(ACROSS, len(report.curves))
    down = -(-len(report.curves) // across)
    figure = _figure(3.5 * across + 0.6, 2.9 * down + 0.9)
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    headlines = {diagnosis.candidate: diagnosis for diagnosis in report.diagnoses}
    for axes, curve in zip(panels.flat, report.curves, strict=False):
        _draw_curve(axes, [point.rows for point in curve.points], curve.points)
        axes.set_xscale("log", base=2)
        axes.set_xticks([point.rows for point in curve.points])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rows, _: _short(rows)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(_panel_title(curve, headlines.get(curve.candidate)), fontsize="medium")
        axes.set_xlabel("training rows")
    _draw_dummy(panels.flat[: len(report.curves)], report.dummy)
    for axes in panels.flat[len(report.curves) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(f"{report.metric} ({report.direction} is better)")
    _legend(figure, panels.flat[0])
    figure.suptitle(f"{report.project}: learning curves, {report.folds} folds")
    return as_png(figure)


def draw_validation_curve(report: CandidateStudy, curve: ValidationCurve) -> bytes:
    """Return training and validation scores over the values of a parameter, evenly spaced as they were listed."""
    figure = _figure(max(5.6, 0.7 * len(curve.points) + 2.5), 4.4)
    axes = figure.subplots()
    places = list(range(len(curve.points)))
    _draw_curve(axes, places, curve.points)
    _draw_dummy([axes], report.dummy)
    best = next(place for place, point in enumerate(curve.points) if point.setting == curve.best)
    axes.axvline(best, color=BLUE, linewidth=0.8, linestyle=":")
    axes.set_xticks(places, [point.setting for point in curve.points], rotation=45 if len(places) > 8 else 0)
    axes.set(
        xlabel=f"{curve.parameter} (dotted: the best mean)",
        ylabel=f"{report.metric} ({report.direction} is better)",
        title=f"{curve.candidate}: validation curve, {report.folds} folds",
    )
    _legend(figure, axes)
    return as_png(figure)


def draw_differences(report: CandidateStudy) -> bytes:
    """Return each candidate's difference to the best with its interval, as a forest plot; 0 is the best itself."""
    shown = [diagnosis for diagnosis in report.diagnoses if diagnosis.difference is not None]
    figure = _figure(6.8, 1.5 + 0.5 * (len(shown) + 1))
    axes = figure.subplots()
    axes.axvline(0, color=GREY, linewidth=1)
    axes.axvspan(-report.matters, report.matters, color=GREY, alpha=0.12, linewidth=0, label="smaller than matters")
    axes.plot(0, 0, "D", color=BLUE)
    for place, diagnosis in enumerate(shown, start=1):
        _draw_difference(axes, place, diagnosis)
    labels = [f"{report.best} (best mean)", *(diagnosis.candidate for diagnosis in shown)]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.7)
    axes.set(
        xlabel=f"difference of {report.metric} (positive is better)",
        title=f"{report.project}: candidates beside the best, {report.folds} folds,\nintervals of 95 % for all pairs together",
    )
    axes.grid(axis="x", alpha=0.3)
    _legend(figure, axes)
    return as_png(figure)


def _draw_difference(axes: Any, place: int, diagnosis: Diagnosis) -> None:
    seen = diagnosis.difference
    if seen is None:
        return
    colour = ORANGE if seen.told_apart else GREY
    bars = [[seen.difference - seen.low], [seen.high - seen.difference]]
    axes.errorbar(seen.difference, place, xerr=bars, fmt="o", color=colour, capsize=4)
    said = "told apart" if seen.told_apart else "not told apart"
    axes.annotate(
        f"{seen.difference:+.4f}, {said}", (seen.difference, place), xytext=(0, 6), textcoords="offset points",
        ha="center", fontsize="x-small", color=colour,
    )  # fmt: skip


def _draw_curve(axes: Any, places: Sequence[float], points: Sequence[CurvePoint]) -> None:
    for name, colour, style in (("training", ORANGE, "--"), ("validation", BLUE, "-")):
        mean = np.array([getattr(point, f"{name}_mean") for point in points])
        error = np.array([getattr(point, f"{name}_error") for point in points])
        face = colour if name == "validation" else "white"
        axes.fill_between(places, mean - error, mean + error, color=colour, alpha=0.18, linewidth=0)
        axes.plot(
            places, mean, style, color=colour, marker="o", markersize=5, markerfacecolor=face, linewidth=1.8, label=name
        )
    for place, point in zip(places, points, strict=True):
        axes.plot([place] * len(point.validation), point.validation, ".", color=BLUE, alpha=0.25, markersize=4)
    axes.grid(alpha=0.3)


def _draw_dummy(panels: Sequence[Any], dummy: float) -> None:
    """Draw the dummy into panels of one scale, which it does not change where it is far off: all curves would be one line."""
    low, high = panels[0].get_ylim()
    for axes in panels:
        axes.axhline(dummy, color=GREY, linestyle=":", linewidth=1, label=f"dummy ({dummy:.3g})")
    if not low - NEAR * (high - low) <= dummy <= high + NEAR * (high - low):
        panels[0].set_ylim(low, high)


def _panel_title(curve: LearningCurve, diagnosis: Diagnosis | None) -> str:
    return curve.candidate if diagnosis is None else f"{curve.candidate}: {diagnosis.findings[0]}"


def _short(rows: float) -> str:
    return f"{rows:,.0f}" if rows < 10_000 else f"{rows / 1000:,.0f}k"


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize="small")


def _figure(width: float, height: float) -> Any:
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
