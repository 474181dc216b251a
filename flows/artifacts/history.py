"""Who did what, when and why: moves of the champion and of the breaker, refusals of a version, the newest first."""

from datetime import datetime

from prefect.artifacts import create_table_artifact

from flows.artifacts.publishing import artifact_key, has_page, publishing
from infra.registry.records import AuditRow, BreakerRow, ReleaseRow
from infra.workspace import open_workspace
from tasks.release.approval import find_refusals

SHOWN = 100


def publish_history(project: str) -> None:
    """Put the project's history as a table on the run's page."""
    if not has_page():
        return
    with publishing("the history"):
        registry = open_workspace().registry
        moves = [(row.at, _tell_move(row)) for row in registry.history(project)]
        refusals = [(row.at, _tell_refusal(row)) for row in find_refusals(project).values()]
        breaks = [(row.at, _tell_breaker(row)) for row in registry.breaker_moves(project)]
        rows = [row for _, row in sorted([*moves, *refusals, *breaks], key=lambda entry: entry[0], reverse=True)]
        champion = registry.champion(project)
        now = f"{project}@{champion.version}" if champion.version else "nobody"
        create_table_artifact(
            rows[:SHOWN],
            key=artifact_key(project, "history"),
            description=f"Champion of {project}: {now}. Every release, rollback and refusal and each move of the breaker, the newest first.",
        )


def _tell_move(row: ReleaseRow) -> dict[str, str]:
    asked = f", asked for by {open_workspace().registry.run(row.run_id).trigger}" if row.run_id else ""
    return _row(row.actor, f"{row.kind} {row.project}@{row.version}{asked}", row.at, row.why)


def _tell_refusal(row: AuditRow) -> dict[str, str]:
    return _row(row.actor, f"refuse {row.subject}", row.at, str(row.detail["why"]))


def _tell_breaker(row: BreakerRow) -> dict[str, str]:
    return _row(row.actor, "open the breaker" if row.state == "open" else "close the breaker", row.at, row.why)


def _row(who: str, what: str, when: datetime, why: str) -> dict[str, str]:
    # Short: the page gives the table half its width, and the reason comes last.
    return {"when (UTC)": f"{when:%Y-%m-%d %H:%M}", "who": who, "what": what, "why": why}
