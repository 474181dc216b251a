"""What the Prefect UI shows of a run: the verdict with its checks, and the pictures, as artifacts."""

import base64
import logging

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from infra.workspace import open_workspace
from tasks.contracts.evaluation import GateCheck
from tasks.contracts.release import RunOutcome

logger = logging.getLogger(__name__)


def publish_outcome(outcome: RunOutcome) -> None:
    """Put the verdict and the pictures on the run's page; without a Prefect run there is no page to put them on.

    What the run did is done and in the ledger: a page that cannot be written is logged and fails nothing.
    """
    if FlowRunContext.get() is None:
        return
    key = outcome.project.replace("_", "-")
    text = render_markdown(outcome)
    try:
        create_markdown_artifact(text, key=f"{key}-verdict", description=outcome.verdict.summary)
    except (PrefectException, httpx.HTTPError) as error:
        logger.warning("the verdict could not be put on the run's page: %s", error)


def render_markdown(outcome: RunOutcome) -> str:
    """Return the verdict, its checks, the figures and the pictures as Markdown."""
    verdict = outcome.verdict
    lines = [
        f"# {verdict.decision}: {outcome.version or outcome.project}",
        verdict.summary,
        f"**Next:** {verdict.next_step}",
        "",
        "| | check | candidate | against | difference | interval | n |",
        "|---|---|---|---|---|---|---|",
        *(_check_line(check) for check in verdict.checks),
        "",
        *(f"- {check.name}: {check.detail}" for check in verdict.checks if check.status != "pass"),
        "",
        "| on the test rows | value | interval | dummy baseline |",
        "|---|---|---|---|",
    ]
    for metric, baseline in zip(outcome.evaluation.metrics, outcome.evaluation.baseline, strict=True):
        lines.append(
            f"| {metric.metric} | {metric.value:.4f} | {metric.low:.4f} to {metric.high:.4f} | {baseline.value:.4f} |"
        )
    store = open_workspace().store
    for title, picture in outcome.evaluation.pictures.items():
        data = base64.b64encode(store.read(picture)).decode()
        lines += ["", f"![{title}](data:image/png;base64,{data})"]
    return "\n".join(lines)


MARKS = {"pass": "✓", "inconclusive": "?", "fail": "✗"}


def _check_line(check: GateCheck) -> str:
    figures = [_figure(check.candidate), _figure(check.champion), _figure(check.difference)]
    interval = "" if check.low is None or check.high is None else f"{check.low:.4f} to {check.high:.4f}"
    name = check.name.replace("|", "\\|")  # a slice is named after the data's values
    return f"| {MARKS[check.status]} | {name} | {' | '.join(figures)} | {interval} | {check.n or ''} |"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
