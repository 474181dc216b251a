"""Pictures of a search of parameters: its history, the trials side by side, what matters; each with its sentence.

As in `canvas`: colours told apart with any colour vision, no global state, the same numbers give the same bytes.
"""

import json
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from infra.png import as_png
from tasks.contracts.tuning import SearchReport, Space, TrialRecord, TunedCandidate
from tasks.evaluation.canvas import BLUE, GREY, ORANGE, RED, make_figure
from tasks.metrics.answers import Floats

SHADES = LinearSegmentedColormap.from_list("trials", ["#d9d9d9", "#56B4E9", BLUE])
BEHIND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
"""Lets a label be read where lines run behind it."""
MOST_LABELS = 8
"""More choices than this are not all written at their axis."""


def read_studies(stored: bytes) -> list[SearchReport]:
    """Return the studies of a fit, as training stored them."""
    return [SearchReport.model_validate(one) for one in json.loads(stored)]


def draw_studies(studies: Iterable[SearchReport], tuned: Iterable[TunedCandidate]) -> dict[str, bytes]:
    """Return the pictures of each study, PNG bytes by title.

    Parameters
    ----------
    tuned
        What was found, with the sentences that stand in the pictures.
    """
    said = {one.candidate: one.reasons for one in tuned}
    pictures = {}
    for study in studies:
        words = said.get(study.candidate, {})
        pictures[f"Tuning of {study.candidate}: history"] = draw_search(study, words.get("history", ""))
        pictures[f"Tuning of {study.candidate}: values"] = draw_coordinates(study, words.get("values", ""))
        if len(study.importance) > 1:
            pictures[f"Tuning of {study.candidate}: importance"] = draw_importance(study, words.get("importance", ""))
    return pictures


def draw_search(study: SearchReport, sentence: str = "") -> bytes:
    """Return the figure of each trial in turn, with the best so far."""
    figure, axes = make_figure(6.4, 4.0)
    for state, marker, colour in (("complete", "o", BLUE), ("pruned", "v", ORANGE)):
        shown = [one for one in study.trials if one.state == state and one.value is not None]
        if shown:
            word = {"complete": "trial", "pruned": "ended early (mean so far)"}[state]
            places = [one.number + 1 for one in shown]
            axes.plot(places, [one.value for one in shown], marker, color=colour, markersize=5, label=word)
    bottom = axes.get_ylim()[0]
    for state, marker, colour, word in (
        ("failed", "x", RED, "could not be fitted"),
        ("pruned", "1", ORANGE, "ended at an epoch"),
    ):
        blank = [one.number + 1 for one in study.trials if one.state == state and one.value is None]
        if blank:
            axes.plot(blank, [bottom] * len(blank), marker, color=colour, label=word, clip_on=False)
    axes.step(*best_so_far(study), where="post", color=GREY, linewidth=1.5, label="best so far")
    axes.set(xlabel="trial", ylabel=f"{study.metric} ({study.direction} is better)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return _finish(figure, f"{study.candidate}: {len(study.trials)} trials", sentence)


def best_so_far(study: SearchReport) -> tuple[list[int], list[float]]:
    """Return the trials, counted from 1, and the best complete figure up to each; from the first complete one on."""
    better = max if study.direction == "higher" else min
    places: list[int] = []
    values: list[float] = []
    for trial in study.trials:
        if trial.state == "complete" and trial.value is not None:
            values.append(better(values[-1], trial.value) if values else trial.value)
        elif values:
            values.append(values[-1])
        else:
            continue
        places.append(trial.number + 1)
    return places, values


def draw_coordinates(study: SearchReport, sentence: str = "") -> bytes:
    """Return parallel coordinates: a line a trial through its values, the darker the better, the best one on top."""
    figure, axes = make_figure(max(5.0, 1.6 * (len(study.search) + 1)), 4.2)
    complete = [one for one in study.trials if one.state == "complete" and one.value is not None]
    scores = np.array([one.value for one in complete], dtype=float)
    ranks = _ranks(scores if study.direction == "higher" else -scores)
    for at in np.argsort(ranks, kind="stable"):
        is_best = complete[at].number == study.best
        look = {"color": RED, "linewidth": 2.2} if is_best else {"color": SHADES(ranks[at]), "linewidth": 1.1}
        axes.plot(_path(study, complete[at], scores), marker="o", markersize=3, zorder=3 if is_best else 2, **look)
    for at, (name, space) in enumerate(study.search.items()):
        _label_axis(axes, at, name, space)
    _label_scores(axes, len(study.search), study.metric, scores)
    axes.set(xlim=(-0.4, len(study.search) + 0.6), ylim=(-0.12, 1.12), xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    return _finish(
        figure, f"{study.candidate}: the values of {len(complete)} complete trials, the best in red", sentence
    )


def draw_importance(study: SearchReport, sentence: str = "") -> bytes:
    """Return the share of each parameter in what they change of the figure, as bars."""
    names, shares = list(study.importance), list(study.importance.values())
    figure, axes = make_figure(6.4, 1.6 + 0.4 * len(names))
    axes.barh(range(len(names)), shares, color=BLUE)
    for at, share in enumerate(shares):
        axes.annotate(f"{share:.0%}", (share, at), xytext=(4, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(names)), names)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1.1), xlabel="share of what the parameters change (fANOVA)")
    return _finish(figure, f"{study.candidate}: which parameter matters", sentence)


def _finish(figure: Any, title: str, sentence: str) -> bytes:
    wide = round(figure.get_figwidth() * 13)
    said = "\n".join(textwrap.wrap(sentence, wide))
    figure.suptitle(title, fontsize="medium")
    figure.supxlabel(said, fontsize="small", color=GREY, ha="left", x=0.02)
    return as_png(figure)


def place_of(space: Space, value: Any) -> float:
    """Return where a value lies in its space, from 0 to 1: on a scale of factors where it was searched on one."""
    if space.choices is not None:
        texts = [json.dumps(choice) for choice in space.choices]
        return texts.index(json.dumps(value)) / max(1, len(texts) - 1) if len(texts) > 1 else 0.5
    low, high = float(space.low or 0), float(space.high or 0)
    if space.log:
        return float(np.log(value / low) / np.log(high / low))
    return float((value - low) / (high - low))


def _path(study: SearchReport, trial: TrialRecord, scores: Floats) -> list[float]:
    places = [place_of(space, trial.params[name]) for name, space in study.search.items()]
    spread = float(np.ptp(scores))
    return [*places, (float(trial.value or 0) - float(scores.min())) / spread if spread else 0.5]


def _ranks(scores: Floats) -> Floats:
    """Return ranks from 0 (worst) to 1 (best)."""
    order = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    return np.asarray(order / max(1, len(scores) - 1))


def _label_axis(axes: Any, at: int, name: str, space: Space) -> None:
    axes.axvline(at, color=GREY, linewidth=0.8, zorder=1)
    axes.annotate(name, (at, 1.05), ha="center", va="bottom", fontsize="small", annotation_clip=False)
    if space.choices is not None and len(space.choices) <= MOST_LABELS:
        marks = [(place_of(space, choice), str(choice)) for choice in space.choices]
    elif space.choices is not None:
        marks = [(0.0, str(space.choices[0])), (1.0, str(space.choices[-1]))]
    else:
        marks = [(0.0, f"{space.low:.4g}"), (1.0, f"{space.high:.4g}")]
    _mark(axes, at, marks)


def _label_scores(axes: Any, at: int, metric: str, scores: Floats) -> None:
    axes.axvline(at, color=GREY, linewidth=0.8, zorder=1)
    axes.annotate(metric, (at, 1.05), ha="center", va="bottom", fontsize="small", annotation_clip=False)
    low, high = float(scores.min()), float(scores.max())
    _mark(axes, at, [(0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")] if high > low else [(0.5, f"{low:.4g}")])


def _mark(axes: Any, at: int, marks: Iterable[tuple[float, str]]) -> None:
    for height, text in marks:
        axes.annotate(
            text, (at, height), xytext=(5, 0), textcoords="offset points", va="center", fontsize="x-small", bbox=BEHIND
        )
