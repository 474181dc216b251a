"""What monitoring says of a window, on its run's page: the verdict, every feature with its change, Evidently's report."""

from collections.abc import Iterator

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from flows.artifacts.publishing import artifact_key, figure, has_page, publishing, words
from infra.artifacts.reference import LONGEST_LINK
from infra.workspace import open_workspace
from tasks.contracts.monitoring import Change, DriftReport, MonitorReport


def publish_monitoring(report: MonitorReport) -> None:
    """Put the verdict on the run's page, under one key a project: its history reads as a diary."""
    if not has_page():
        return
    name = f"{report.project}/{report.window.name}"
    with publishing("the verdict on the window"):
        create_markdown_artifact(
            "\n".join(render_report(report)),
            key=artifact_key(report.project, "monitoring"),
            description=f"{report.status}: {name}, as known on {report.as_of:%Y-%m-%d %H:%M} UTC.",
        )
    if report.page is None:
        return
    with publishing("the link to the drift report"):
        create_link_artifact(
            open_workspace().store.link(report.page, LONGEST_LINK),
            link_text=f"The distributions of {name}",
            description=f"Distributions: {name} beside its reference, on a sample, by Evidently. "
            f"The link works for {LONGEST_LINK.days} days.",
        )


def render_report(report: MonitorReport) -> Iterator[str]:
    """Yield the report as lines of Markdown."""
    yield f"# {report.status}: {report.project}/{report.window.name}"
    yield from (f"- {words(reason)}" for reason in report.reasons)
    yield ""
    yield f"**Next:** {words(report.next_step)}"
    yield ""
    aside = f", {report.quarantined_rows:,} rows set aside" if report.quarantined_rows else ""
    yield f"{report.scored_rows:,} rows scored by {report.champion}{aside}; as known on {report.as_of:%Y-%m-%d %H:%M} UTC."
    if report.performance is not None:
        yield ""
        yield f"**Figures:** {words(report.performance.reason)}"
    if report.drift is not None:
        yield ""
        yield from _render_drift(report.drift)


def _render_drift(drift: DriftReport) -> Iterator[str]:
    yield f"**Drift** against {words(drift.reference)}: {words(drift.reason)}"
    yield ""
    yield "| | column | test | effect | counts from | adjusted p | importance | |"
    yield "|---|---|---|---|---|---|---|---|"
    order = {name: place for place, name in enumerate(drift.drifted)}
    yield from (_line(change) for change in sorted(drift.changes, key=lambda each: order.get(each.name, len(order))))


def _line(change: Change) -> str:
    effect = f"{figure(change.effect)} {words(change.effect_name)}" if change.effect is not None else ""
    share = "" if change.importance is None else f"{change.importance:.0%}"
    p = "" if change.p_adjusted is None else f"{change.p_adjusted:.2g}"
    figures = f"{effect} | {figure(change.threshold)} | {p} | {share}"
    name = change.name if change.aspect == "feature" else f"{change.name} ({change.aspect})"
    return (
        f"| {'▲' if change.drifted else ''} | {words(name)} | {words(change.test)} | {figures} | {words(change.note)} |"
    )
