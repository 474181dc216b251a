"""docs/results.md from the rows: what was measured, what others published, what is missing. Nothing is fitted here."""

from collections import Counter
from pathlib import Path
from typing import get_args

from benchmarks.results.picture import draw_results
from benchmarks.results.rows import Row, Rows
from benchmarks.results.subjects import Published, Subject
from benchmarks.results.summary import Said, Summary, summarise
from infra.figures import tell

PICTURE = "images/results.png"
ORDER = ("imdb", "fashion", "adult", "diabetes", "iris")
DIGITS = {"rmse": 1, "mae": 1}

INTRODUCTION = """# Results

What the candidates of the projects reach on their test rows, beside published figures. This page is made by
`python -m benchmarks.results`; the rows are in [results.json](results.json), the candidates in
[benchmarks/results](../benchmarks/results), in the form of project.yaml, to be copied from. `--list` shows what is measured,
`--only imdb/lstm` measures one candidate, `--page` writes this page from the rows that are there.

- **figure**: the mean over the seeds that were measured. A seed draws the network's first weights and the order of its rows;
  training and test rows stay the same.
- **over seeds**: 95 % interval of that mean, t with n - 1 degrees of freedom (n = 3: 4.30 standard errors). It says how much luck
  is in one training. *alike*: every seed gave the same. With one seed there is none.
- **test rows**: 95 % interval of one such model, Wilson's for accuracy, else the bootstrap, its ends averaged over the seeds. It
  says how much luck is in these test rows. The two are of different things and do not add up.
- **published**: *passed* and *not reached* where the published figure lies outside both intervals, else *not told apart*.
  A figure that was chosen on the test rows is too high by an unknown amount: its epochs, or its network, were picked by it.
- **an epoch**: median time from the end of one epoch to that of the next, CPU seconds of all threads in brackets; the first,
  which compiles, is left out. **◦**: others worked on the machine meanwhile; then the CPU seconds say more than the clock.
- **epochs**, in the last table: all that were trained, those of a first training that only watches counted with them.
- **†**: measured before the candidate, or its project's columns, split or Python, were changed.
"""


def write_page(subjects: list[Subject], rows: Rows, file: Path, seeds: int = 3) -> Path:
    """Write the page and its picture beside the file of the rows; return the page's path."""
    page = file.with_suffix(".md")
    picture = file.parent / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    panels = [(subject, summarise(subject, rows)) for subject in _in_order(subjects) if subject.file.published]
    picture.write_bytes(draw_results(panels))
    page.write_text(render_page(subjects, rows, seeds), encoding="utf-8")
    return page


def _in_order(subjects: list[Subject]) -> list[Subject]:
    return sorted(subjects, key=lambda subject: ORDER.index(subject.name))


def render_page(subjects: list[Subject], rows: Rows, seeds: int = 3) -> str:
    """Return the page as Markdown: the same rows give the same text."""
    told = [(subject, summarise(subject, rows)) for subject in _in_order(subjects)]
    parts = [
        INTRODUCTION,
        _render_count(told),
        f"![Test figures of the candidates beside published ones]({PICTURE})\n",
        *(_render_subject(subject, summaries, seeds) for subject, summaries in told),
        _render_missing(told, seeds),
        _render_fits(rows),
    ]
    return "\n".join(parts)


def _render_count(told: list[tuple[Subject, list[Summary]]]) -> str:
    said = Counter(
        summary.hold_against(published)
        for subject, summaries in told
        for summary in summaries
        for published in subject.file.published.get(summary.candidate, [])
    )
    counts = ", ".join(f"{said[verdict]} {verdict}" for verdict in get_args(Said) if said[verdict])
    return f"Of {said.total()} published figures: {counts}. Why one is not reached stands below its table.\n"


def _render_subject(subject: Subject, summaries: list[Summary], seeds: int) -> str:
    lines = [f"## {subject.name}\n", f"{subject.file.about}\n"]
    lines += [f"| candidate | {subject.file.metrics[0]} | over seeds | test rows | seeds | parameters | an epoch |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [_render_summary(summary, seeds) for summary in summaries]
    if subject.file.published:
        lines += [
            "",
            "| candidate | here | published | by | how it was chosen | what differs | said of it |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            _render_published(summary, published)
            for summary in summaries
            for published in subject.file.published.get(summary.candidate, [])
        ]
    remarks = [f"- **{name}**: {remark}" for name, remark in subject.file.remarks.items()]
    return "\n".join([*lines, *(["", *remarks] if remarks else []), ""])


def _render_summary(summary: Summary, seeds: int) -> str:
    if not summary.is_measured:
        return f"| {summary.candidate} | not measured | | | 0 of {seeds} | | |"
    over = summary.over_seeds
    alike = over is not None and over[0] == over[1]
    told = "one seed" if over is None else "alike" if alike else _interval(over, summary.metric)
    parameters = summary.rows[0].parameters
    cells = [
        summary.candidate + (" †" if summary.is_earlier else ""),
        _figure(summary.mean, summary.metric),
        told,
        _interval(summary.of_test_rows, summary.metric),
        f"{len(summary.rows)} of {seeds}",
        "–" if parameters is None else f"{parameters:,}",
        _tell_time(summary),
    ]
    return f"| {' | '.join(cells)} |"


def _tell_time(summary: Summary) -> str:
    mark = " ◦" if summary.was_disturbed else ""
    if summary.epoch_seconds is None or summary.epoch_cpu_seconds is None:
        return f"none; the fit {summary.fit_seconds:.1f} s{mark}"
    return f"{summary.epoch_seconds:.1f} s ({summary.epoch_cpu_seconds:.1f} s){mark}"


def _render_published(summary: Summary, published: Published) -> str:
    here = _figure(summary.mean, summary.metric) if summary.is_measured else ""
    ends = [published.low, *([published.high] if published.high is not None else [])]
    figure = " to ".join(f"{end:.4g}" for end in ends)
    said = summary.hold_against(published)
    cells = [
        summary.candidate,
        here,
        figure,
        f"[{published.by}]({published.source})",
        published.chosen,
        published.terms,
        said,
    ]
    return f"| {' | '.join(cells)} |"


def _figure(value: float, metric: str) -> str:
    return tell(value, DIGITS.get(metric, 4))


def _interval(ends: tuple[float, float], metric: str) -> str:
    return f"[{_figure(ends[0], metric)}, {_figure(ends[1], metric)}]"


def _render_missing(told: list[tuple[Subject, list[Summary]]], seeds: int) -> str:
    """Return what is not measured, with the command that does it."""
    lacking = [
        (f"{subject.name}/{summary.candidate}", seeds - len(summary.rows), subject.file.needs.get(summary.candidate))
        for subject, summaries in told
        for summary in summaries
        if len(summary.rows) < seeds
    ]
    if not lacking:
        return "## What is missing\n\nNothing: every candidate was measured with every seed.\n"
    lines = [
        f"- {name}: {count} of {seeds} seeds{f'; needs the package `{package}`' if package else ''}"
        for name, count, package in lacking
    ]
    return "\n".join(
        ["## What is missing\n", "`python -m benchmarks.results` measures what is missing, this first:\n", *lines, ""]
    )


def _render_fits(rows: Rows) -> str:
    lines = ["## Every fit\n"]
    lines += [f"Measured on: {'; '.join(sorted({_machine(row) for row in rows.values()})) or 'nothing yet'}.\n"]
    lines += ["| candidate | seed | figures | epochs | fit | load | rows | commit | measured (UTC) |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    return "\n".join([*lines, *(_render_fit(rows[place]) for place in sorted(rows)), ""])


def _render_fit(row: Row) -> str:
    figures = ", ".join(
        f"{one.metric} {_figure(one.value, one.metric)} {_interval((one.low, one.high), one.metric)}"
        for one in row.figures
    )
    cells = [
        f"{row.project}/{row.candidate}",
        str(row.seed),
        figures,
        str(row.epochs or "–"),
        f"{row.fit_seconds:.1f} s",
        f"{row.machine.load:.1f}",
        f"{row.train_rows:,} + {row.test_rows:,}",
        row.commit,
        row.measured,
    ]
    return f"| {' | '.join(cells)} |"


def _machine(row: Row) -> str:
    threads = "1 thread" if row.machine.threads == 1 else f"{row.machine.threads} threads"
    return f"{row.machine.processor}, {row.machine.cpu_count} CPUs, {threads}, device {row.machine.device}"
