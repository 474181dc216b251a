"""Pictures of an evaluation as PNG bytes; those of a regression alone are drawn in `residuals`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infra.figures import tell
from infra.png import as_png
from tasks.contracts.evaluation import MetricValue
from tasks.contracts.models import CandidateScore
from tasks.contracts.project import ProjectSpec
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.canvas import BLUE, CYCLE, GREY, RED, line_style, make_figure
from tasks.evaluation.evaluate import Confusion, EvaluationNumbers
from tasks.evaluation.residuals import draw_predicted, draw_residual_distribution, draw_residuals
from tasks.metrics.answers import Answers, Floats, Label, Mask
from tasks.metrics.label_sets import spread
from tasks.metrics.proportions import wilson_interval

MARKERS = "osD^vPX*"
MAX_CLASSES = 12


def draw_pictures(
    spec: ProjectSpec,
    table: AnswerTable,
    numbers: EvaluationNumbers,
    *,
    selection: Sequence[CandidateScore] = (),
    history: Mapping[str, Sequence[float]] | None = None,
) -> dict[str, bytes]:
    """Return the pictures that this evaluation can have, PNG bytes by title.

    Parameters
    ----------
    selection
        How the candidates did in selection, from the fit's report.
    history
        Metrics per epoch, for networks.
    """
    candidate = table.of("candidate")
    pictures = {"Metrics": draw_intervals(numbers, spec.name)}
    if numbers.confusion and len(table.classes) <= MAX_CLASSES:
        pictures["Confusion matrix"] = draw_confusion(numbers.confusion, table.classes)
    if candidate is not None and table.several and not candidate.has_gaps():
        pictures["Labels"] = draw_labels(table, candidate)
    scored = candidate is not None and candidate.proba is not None and not (candidate.has_gaps() or table.several)
    if candidate is not None and scored and len(table.classes) <= MAX_CLASSES:
        pictures["ROC curve"] = draw_roc(table, candidate)
        pictures["Precision and recall"] = draw_precision_recall(table, candidate)
        pictures["Calibration"] = draw_calibration(table, candidate)
    if candidate is not None and not table.classes and not candidate.has_gaps():
        pictures |= draw_values(table, candidate, _name_target(spec))
    if selection:
        pictures["Selection"] = draw_selection(selection)
    if history and any(len(values) > 0 for values in history.values()):
        pictures["Training history"] = draw_history(history)
    return pictures


def draw_values(table: AnswerTable, answers: Answers, target: str) -> dict[str, bytes]:
    """Return the pictures of a regression by title."""
    truth, predicted = table.truth.astype(np.float64), answers.predicted.astype(np.float64)
    return {
        "Predicted and true": draw_predicted(truth, predicted, target),
        "Residuals": draw_residuals(truth, predicted, target),
        "Distribution of residuals": draw_residual_distribution(truth, predicted, target),
    }


def _name_target(spec: ProjectSpec) -> str:
    unit = spec.columns[spec.target].unit
    # Two dollars would be read as mathematics.
    return (f"{spec.target} ({unit})" if unit else spec.target).replace("$", r"\$")


def draw_confusion(confusion: Confusion, classes: Sequence[Label]) -> bytes:
    """Return the confusion matrix: rows of the truth, shaded by share of the row, counts written in."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.2, 1.6 + 0.7 * len(classes))
    figure, axes = make_figure(side + 0.8, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, f"{count:,}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour)
    names = [str(name) for name in classes]
    turn = 45 if max(map(len, names)) * len(names) > 40 else 0
    axes.set_xticks(range(len(names)), names, rotation=turn, ha="right" if turn else "center")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted class", ylabel="true class", title=f"Confusion matrix, {counts.sum():,} test rows")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return as_png(figure)


def draw_labels(table: AnswerTable, answers: Answers) -> bytes:
    """Return precision and recall of each label, with the share of the rows that have it."""
    k = len(table.classes)
    truth, answered = (spread(codes.astype(np.int64), k) for codes in (table.truth, answers.predicted))
    hits = (truth & answered).sum(axis=0)
    figures = {
        "precision": hits / np.maximum(answered.sum(axis=0), 1),
        "recall": hits / np.maximum(truth.sum(axis=0), 1),
        "share of the rows": truth.mean(axis=0),
    }
    figure, axes = make_figure(6.6, 1.4 + 0.4 * k)
    for index, (name, values) in enumerate(figures.items()):
        colour = GREY if name.startswith("share") else CYCLE[index]
        axes.plot(values, range(k), MARKERS[index], color=colour, label=name)
    axes.set_yticks(range(k), [str(name) for name in table.classes])
    axes.set_ylim(k - 0.5, -0.5)
    axes.set(xlim=(-0.02, 1.02), title=f"Each label by itself, {table.n:,} test rows")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return as_png(figure)


def draw_roc(table: AnswerTable, answers: Answers) -> bytes:
    """Return the ROC curve, with more than two classes one a class against the rest."""
    figure, axes = make_figure(5.4, 4.8)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="chance")
    for index, (name, score, positive) in enumerate(_one_class_each(table, answers)):
        hits, alarms = _cumulative(score, positive)
        area = float(np.trapezoid(hits / hits[-1], alarms / alarms[-1]))
        axes.plot(alarms / alarms[-1], hits / hits[-1], **line_style(index), label=f"{name}: area {area:.3f}")
    axes.set(
        xlabel="false positive rate (share of negatives)",
        ylabel="true positive rate (share of positives)",
        title=f"ROC curve, {table.n:,} test rows",
    )
    _unit_square(axes)
    axes.legend(loc="lower right", fontsize="small")
    return as_png(figure)


def draw_precision_recall(table: AnswerTable, answers: Answers) -> bytes:
    """Return precision over recall, with more than two classes one a class against the rest."""
    figure, axes = make_figure(5.4, 4.8)
    for index, (name, score, positive) in enumerate(_one_class_each(table, answers)):
        hits, alarms = _cumulative(score, positive)
        recall, precision = hits[1:] / hits[-1], hits[1:] / (hits[1:] + alarms[1:])
        average = float(np.sum(np.diff(np.r_[0.0, recall]) * precision))
        # Steps, as average precision has no interpolation.
        axes.step(
            np.r_[0.0, recall], np.r_[precision[0], precision], where="pre", **line_style(index),
            label=f"{name}: average {average:.3f}",
        )  # fmt: skip
        axes.axhline(positive.mean(), color=CYCLE[index % len(CYCLE)], linestyle=":", linewidth=0.8)
    axes.set(
        xlabel="recall (share of positives found); dotted: share of the class",
        ylabel="precision (share of alarms that are right)",
        title=f"Precision and recall, {table.n:,} test rows",
    )
    _unit_square(axes)
    axes.legend(loc="lower left", fontsize="small")
    return as_png(figure)


def draw_calibration(table: AnswerTable, answers: Answers, bins: int = 10) -> bytes:
    """Return the reliability diagram: observed share over mean probability in equal bins, with the counts below.

    Murphy & Winkler 1977, J. R. Stat. Soc. C 26; the bars are Wilson's 95 % intervals. Two classes: the positive
    one's probability; more: the probability of the class that was answered.
    """
    score, hit, axis = _calibrated(table, answers)
    bin_of = np.minimum((score * bins).astype(int), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    used = counts > 0
    mean = np.bincount(bin_of, weights=score, minlength=bins)[used] / counts[used]
    hits = np.bincount(bin_of, weights=hit, minlength=bins)[used]
    bars = _bars(hits.astype(np.float64), counts[used].astype(np.float64))
    figure, (axes, below) = make_figure(5.4, 5.4, rows=2, heights=(3, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfectly calibrated")
    axes.errorbar(mean, hits / counts[used], yerr=bars, **line_style(0), marker="o", capsize=3)
    axes.set(ylabel="observed share", title=f"Calibration, {table.n:,} test rows")
    _unit_square(axes)
    axes.legend(loc="upper left", fontsize="small")
    below.bar((np.arange(bins) + 0.5) / bins, counts, width=0.9 / bins, color=BLUE)
    below.set(xlabel=axis, ylabel="rows", xlim=(-0.02, 1.02))
    return as_png(figure)


def draw_intervals(numbers: EvaluationNumbers, project: str) -> bytes:
    """Return the metrics with their intervals as a forest plot: candidate, champion, others and dummy beside."""
    series: list[tuple[str, Sequence[MetricValue]]] = [("candidate", numbers.metrics)]
    if numbers.champion:
        series.append(("champion", numbers.champion))
    series += list(numbers.beside.items())
    series.append(("dummy baseline", numbers.baseline))
    names = [value.metric for value in numbers.metrics]
    figure, panels = make_figure(6.6, 0.9 + len(names) * (0.5 + 0.22 * len(series)), rows=len(names))
    for name, axes in zip(names, np.atleast_1d(panels), strict=True):
        _forest(axes, name, series)
    top = np.atleast_1d(panels)[0]
    top.set_title(f"{project}: metrics with 95 % intervals, {numbers.metrics[0].n:,} test rows")
    return as_png(figure)


def draw_selection(selection: Sequence[CandidateScore]) -> bytes:
    """Return how each candidate did in selection: single scores, mean and standard error; the chosen one marked."""
    figure, axes = make_figure(6.6, 1.2 + 0.55 * len(selection))
    for place, score in enumerate(selection):
        colour = BLUE if score.chosen else GREY
        spots = place + 0.18 * np.linspace(-1, 1, len(score.scores)) if len(score.scores) > 1 else [place]
        axes.plot(score.scores, spots, ".", color=colour, alpha=0.45, markersize=5)
        axes.errorbar(
            score.mean, place, xerr=score.standard_error, fmt="D" if score.chosen else "o", color=colour, capsize=4
        )
    labels = [f"{score.candidate} (chosen)" if score.chosen else score.candidate for score in selection]
    axes.set_yticks(range(len(selection)), labels)
    axes.invert_yaxis()
    axes.set(
        xlabel=f"{selection[0].metric}: mean ± standard error; dots: folds",
        title="Selection of the candidate",
    )
    axes.grid(axis="x", alpha=0.3)
    return as_png(figure)


def draw_history(history: Mapping[str, Sequence[float]]) -> bytes:
    """Return each metric over the epochs; a validation metric dashed beside its training one."""
    names = [name for name in history if not (name.startswith("val_") and name[4:] in history)]
    figure, panels = make_figure(6.6, 0.8 + 2.2 * len(names), rows=len(names), share_x=True)
    panels = np.atleast_1d(panels)
    for name, axes in zip(names, panels, strict=True):
        epochs = np.arange(1, len(history[name]) + 1)
        axes.plot(epochs, history[name], **line_style(0), marker="o", markersize=3, label="training")
        watched = history.get(f"val_{name}")
        if watched:
            axes.plot(epochs, watched, color=RED, linestyle="--", marker="s", markersize=3, label="validation")
        axes.set_ylabel(name.replace("_", " "))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_title("Training history")
    panels[-1].set_xlabel("epoch")
    return as_png(figure)


def _unit_square(axes: Any) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)


def _one_class_each(table: AnswerTable, answers: Answers) -> list[tuple[str, Floats, Mask]]:
    """Return name, score and truth of the positive class, or of each class that occurs."""
    if answers.proba is None:
        return []
    codes = [table.positive] if len(table.classes) == 2 else [int(code) for code in np.unique(table.truth)]
    return [(str(table.classes[code]), answers.proba[:, code], table.truth == code) for code in codes]


def _cumulative(score: Floats, positive: Mask) -> tuple[Floats, Floats]:
    """Return positives and negatives at or above each distinct score, from (0, 0) on."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    hits = np.cumsum(positive[order])[last]
    return np.r_[0.0, hits], np.r_[0.0, last + 1 - hits]


def _calibrated(table: AnswerTable, answers: Answers) -> tuple[Floats, Floats, str]:
    proba = answers.proba if answers.proba is not None else np.zeros((table.n, len(table.classes)))
    if len(table.classes) == 2:
        name = table.classes[table.positive]
        return proba[:, table.positive], (table.truth == table.positive).astype(float), f"probability of {name}"
    right = (answers.predicted == table.truth).astype(float)
    return proba[np.arange(table.n), answers.predicted.astype(int)], right, "probability of the answered class"


def _bars(hits: Floats, counts: Floats) -> Floats:
    bounds = np.array([wilson_interval(int(h), int(c), 0.025) for h, c in zip(hits, counts, strict=True)])
    share = hits / counts
    return np.asarray(np.abs(np.vstack([share - bounds[:, 0], bounds[:, 1] - share])))


def _forest(axes: Any, name: str, series: Sequence[tuple[str, Sequence[MetricValue]]]) -> None:
    labels: list[str] = []
    for index, (who, values) in enumerate(series):
        value = next((value for value in values if value.metric == name), None)
        labels.append(who)
        if value is None or not np.isfinite(value.value):
            continue
        bars = np.nan_to_num([[value.value - value.low], [value.high - value.value]])
        colour = GREY if who == "dummy baseline" else CYCLE[index % len(CYCLE)]
        axes.errorbar(value.value, index, xerr=bars, fmt=MARKERS[index % len(MARKERS)], color=colour, capsize=4)
        axes.annotate(
            tell(value.value, 3), (value.value, index), xytext=(0, 5), textcoords="offset points", ha="center",
            fontsize="x-small",
        )  # fmt: skip
    axes.set_yticks(range(len(labels)), labels, fontsize="small")
    axes.set_ylim(len(labels) - 0.4, -0.7)
    direction = next(value.direction for value in series[0][1] if value.metric == name)
    axes.set_xlabel(f"{name} ({direction} is better)", fontsize="small")
    axes.grid(axis="x", alpha=0.3)
