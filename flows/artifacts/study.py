"""What a study found, on its run's page: the diagnoses first, then whether candidates can be told apart, the pictures, the full page."""

import base64
from collections.abc import Iterator

from prefect.artifacts import create_link_artifact, create_markdown_artifact

from flows.artifacts.publishing import artifact_key, figure, has_page, publishing, words
from infra.artifacts.reference import LONGEST_LINK
from infra.workspace import open_workspace
from tasks.contracts.study_report import CandidateStudy, Diagnosis


def publish_study(report: CandidateStudy) -> None:
    """Put the study on the run's page, under one key a project, and a link to its own page."""
    if not has_page():
        return
    with publishing("the study"):
        headlines = "; ".join(f"{one.candidate}: {one.findings[0]}" for one in report.diagnoses)
        create_markdown_artifact(
            "\n".join([*render_study(report), *_render_pictures(report)]),
            key=artifact_key(report.project, "study-report"),
            description=f"Study of {report.project}. {headlines}.",
        )
    if report.page is None:
        return
    with publishing("the link to the study"):
        create_link_artifact(
            open_workspace().store.link(report.page, LONGEST_LINK),
            link_text=f"The study of {report.project}",
            description=f"Page: every curve, spread and test of the candidates of {report.project}. "
            f"The link works for {LONGEST_LINK.days} days.",
        )


def render_study(report: CandidateStudy) -> Iterator[str]:
    """Yield the study as lines of Markdown."""
    yield f"# Study: {report.project}"
    yield f"{words(report.metric)} ({report.direction} is better), {words(report.parted)}. No test row was read."
    yield ""
    yield "| candidate | finding | on its training rows | on others | difference to the best | interval | p |"
    yield "|---|---|---|---|---|---|---|"
    yield from (_line(diagnosis) for diagnosis in report.diagnoses)
    for diagnosis in report.diagnoses:
        yield ""
        yield f"## {words(diagnosis.candidate)}: {', '.join(diagnosis.findings)}"
        yield from (f"- {words(reason)}" for reason in diagnosis.reasons)
        yield ""
        yield f"**Next:** {words(diagnosis.next_step)}".replace("\\`", "`")  # keys of project.yaml
    for said in _further(report):
        yield ""
        yield words(said)


def _line(diagnosis: Diagnosis) -> str:
    own = f"{figure(diagnosis.training_mean)} | {figure(diagnosis.mean)} ± {figure(diagnosis.error)}"
    named = f"{words(diagnosis.candidate)} | {', '.join(diagnosis.findings)}"
    seen = diagnosis.difference
    if seen is None:
        return f"| {named} | {own} | | | |"
    between = f"{figure(seen.low)} to {figure(seen.high)}"
    return f"| {named} | {own} | {figure(seen.difference)} | {between} | {figure(seen.p_value)} |"


def _further(report: CandidateStudy) -> Iterator[str]:
    if report.nested is not None:
        yield report.nested.detail
    if report.validation_curve is not None:
        yield f"{report.validation_curve.candidate}: {report.validation_curve.detail}"
    yield from (f"{luck.candidate}: {luck.detail}" for luck in report.luck)


def _render_pictures(report: CandidateStudy) -> Iterator[str]:
    store = open_workspace().store
    for title, picture in report.pictures.items():
        data = base64.b64encode(store.read(picture)).decode()
        yield ""
        yield f"![{title}](data:image/png;base64,{data})"
