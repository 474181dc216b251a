"""The figures of the page at a glance: each candidate with its intervals, published figures beside it."""

from typing import Any

from benchmarks.results.subjects import Published, Subject
from benchmarks.results.summary import Summary
from infra.png import as_png
from tasks.evaluation.canvas import BLUE, GREY, ORANGE, make_figure

TITLE = (
    "Test accuracy: mean of seeds with the interval of the test rows (thin) and over seeds (thick); diamonds: published"
)
INCHES_A_LINE = 0.28


def draw_results(panels: list[tuple[Subject, list[Summary]]]) -> bytes:
    """Return a PNG with a panel for each project: what is not measured has its name and no point."""
    counts = [len(summaries) for _, summaries in panels]
    figure, axes = make_figure(9, 1.2 + INCHES_A_LINE * sum(counts) + 0.5 * len(panels), len(panels), counts)
    for axis, (subject, summaries) in zip([axes] if len(panels) == 1 else axes, panels, strict=True):
        _draw_panel(axis, subject, summaries)
    figure.suptitle(TITLE, fontsize=9)
    return as_png(figure)


def _draw_panel(axis: Any, subject: Subject, summaries: list[Summary]) -> None:
    names = [summary.candidate for summary in summaries]
    for line, summary in enumerate(summaries):
        for published in subject.file.published.get(summary.candidate, []):
            _draw_published(axis, line, published)
        if summary.is_measured:
            axis.plot(summary.of_test_rows, (line, line), color=BLUE, linewidth=1)
            axis.plot(
                summary.over_seeds or (), (line,) * len(summary.over_seeds or ()), color=BLUE, linewidth=4, alpha=0.5
            )
            axis.plot(summary.mean, line, "o", color=BLUE, markersize=4)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_title(subject.name, fontsize=9, loc="left")
    axis.grid(axis="x", color=GREY, alpha=0.25)
    axis.tick_params(axis="x", labelsize=8)


def _draw_published(axis: Any, line: int, published: Published) -> None:
    ends = (published.low, published.high or published.low)
    axis.plot(ends, (line + 0.22, line + 0.22), "D-", color=ORANGE, markersize=4, linewidth=1)
