"""What monitoring says of a window, on its run's page: the verdict, what drifted as a picture, every change, Evidently's report."""

import base64
from collections.abc import Iterator

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from flows.artifacts.publishing import artifact_key, figure, has_page, publishing, words
from infra.artifacts.reference import LONGEST_LINK
from infra.workspace import open_workspace
from tasks.contracts.monitoring import Change, MonitorReport
from tasks.monitoring.ranking import rank_changes, tell_p


def publish_monitoring(report: MonitorReport) -> None:
    """Put the verdict on the run's page, under one key a project: its history reads as a diary."""
    if not has_page():
        return
    name = f"{report.project}/{report.window.name}"
    with publishing("the verdict on the window"):
        create_markdown_artifact(
            "\n".join([*render_report(report), *_render_picture(report), *_render_changes(report)]),
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
    yield f"**Next:** {words(report.next_step)}".replace("\\`", "`")  # commands
    yield ""
    aside = f", {report.quarantined_rows:,} rows set aside" if report.quarantined_rows else ""
    yield f"{report.scored_rows:,} rows scored by {report.champion}{aside}; as known on {report.as_of:%Y-%m-%d %H:%M} UTC."
    if report.drift is not None:
        yield ""
        yield f"Held against {words(report.drift.reference)}. ▲ marks a change that is significant and large; in a column "
        yield "that the champion hardly looks at it raises no alarm."


def _render_picture(report: MonitorReport) -> Iterator[str]:
    if report.picture is not None:
        data = base64.b64encode(open_workspace().store.read(report.picture)).decode()
        yield ""
        yield f"![What drifted](data:image/png;base64,{data})"


def _render_changes(report: MonitorReport) -> Iterator[str]:
    """Yield every change, those that count first; each then by how near it is to counting."""
    if report.drift is None or not report.drift.changes:
        return
    yield ""
    yield "| column | change | counts from | adjusted p | importance | |"
    yield "|---|---|---|---|---|---|"
    yield from map(_line, rank_changes(report.drift))


def _line(change: Change) -> str:
    effect = f"{figure(change.effect)} {words(change.effect_name)}" if change.effect is not None else ""
    share = "" if change.importance is None else f"{change.importance:.0%}"
    p = "" if change.p_adjusted is None else words(tell_p(change.p_adjusted))
    name = words(change.name if change.aspect == "feature" else f"{change.name} ({change.aspect})")
    named = f"▲ **{name}**" if change.drifted else name
    return f"| {named} | {effect} | {figure(change.threshold)} | {p} | {share} | {words(change.note)} |"
