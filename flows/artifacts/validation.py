"""What validation said of the data: how many rows go on, which checks were made, what somebody should look at."""

from collections.abc import Iterator

from prefect.artifacts import create_markdown_artifact

from flows.artifacts.publishing import has_page, publishing, words
from infra.workspace import open_workspace
from tasks.contracts.data import Check, ValidationReport

MARKS = {"crashed": "✗", "failed": "✗", "warning": "?", "passed": "✓"}
ORDER = tuple(MARKS)
REFUSED = "validate (refused)"
"""The entry of the ledger that keeps the evidence against data that may not go on."""


def publish_validation(project: str, report: ValidationReport, *, refused: bool = False) -> None:
    """Put the result of validation on the run's page: the outcome first, then what did not pass."""
    if not has_page():
        return
    with publishing("the validation result"):
        create_markdown_artifact(
            "\n".join(_render(project, report)),
            description=_summarise(report, refused=refused),
        )


def publish_refused_data(project: str, run_id: str) -> None:
    """Put the evidence against this run's data on its page, where it was refused."""
    if not has_page():
        return
    with publishing("the validation result"):
        for step in open_workspace().registry.steps(run_id):
            if step.step == REFUSED:
                publish_validation(project, ValidationReport.model_validate(step.result), refused=True)


def _summarise(report: ValidationReport, *, refused: bool) -> str:
    rows = report.accepted_rows + report.quarantined_rows
    if refused:
        return f"Validation refused the data: of {rows:,} rows, {report.quarantined_rows:,} break the contract; none goes on."
    return f"Validation accepted the data: {report.accepted_rows:,} of {rows:,} rows go on, {report.quarantined_rows:,} are set aside."


def _render(project: str, report: ValidationReport) -> Iterator[str]:
    yield f"# The data of {project}"
    yield f"Snapshot `{report.snapshot}`"
    yield ""
    yield from (f"- **Look:** {words(warning)}" for warning in report.warnings)
    yield ""
    yield "| | column | rows | detail |"
    yield "|---|---|---|---|"
    yield from (_line(check) for check in sorted(report.checks, key=lambda check: ORDER.index(check.status)))


def _line(check: Check) -> str:
    said = f"{check.failed_rows or ''} | {words(check.detail)}"
    return f"| {MARKS[check.status]} {check.status} | {words(check.column or 'the table')} | {said} |"
