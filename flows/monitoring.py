"""Monitoring from the Prefect UI or by a schedule: one window watched, and what follows from the verdict set going."""

import logging

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed
from pydantic import AwareDatetime

from flows.artifacts.history import publish_history
from flows.artifacts.monitoring import publish_monitoring
from flows.forms import AnyWindow, ProjectChoice, explained
from flows.probation import watch_release
from flows.watching import watch_window
from infra.settings import load_settings
from tasks.contracts.monitoring import MonitorReport
from tasks.contracts.runs import Trigger
from tasks.project import load_project

logger = logging.getLogger(__name__)

WANTED = "keepfit.retraining.wanted"
"""The event on which the automation in prefect.yaml starts a retraining."""


@flow(name="monitor", flow_run_name="monitor {project} {window}", persist_result=False, validate_parameters=True)
@explained
def monitor(project: ProjectChoice, window: AnyWindow = "", as_of: AwareDatetime | None = None) -> State[MonitorReport]:
    """Look at one window of a model in use: its data, its drift, its figures; ask for a retraining where that follows.

    Parameters
    ----------
    project
        The project whose champion is watched.
    window
        The window: 2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day), in UTC; empty: the newest that has ended.
    as_of
        What is known at this time, with its time zone; empty: now.
    """
    report = watch_window(project, window, as_of)
    publish_monitoring(report)
    undone = watch_release(load_project(load_settings().projects, project), report)
    if undone is not None:
        publish_history(project)
    elif report.status == "RETRAIN":
        ask_for_retraining(report)
    said = f"{report.status}: {project}/{report.window.name}. {' '.join(report.reasons)}"
    said += f" {undone.version} is taken back: {undone.why}." if undone else ""
    logger.info("%s", said)
    return Completed(message=said, data=report)  # called as a function, the flow returns the data


def ask_for_retraining(report: MonitorReport) -> None:
    """Emit the event that starts a retraining. Asked twice is asked once: the trigger's key makes one effective run."""
    emit_event(
        event=WANTED,
        resource={
            "prefect.resource.id": f"keepfit.project.{report.project}",
            "prefect.resource.name": report.project,
        },
        payload={
            "project": report.project,
            "as_of": report.as_of.isoformat(),
            "trigger": trigger_of(report).model_dump(mode="json"),
        },
    )


def trigger_of(report: MonitorReport) -> Trigger:
    """Return the trigger of the retraining that the report asks for: worse figures weigh more than drift."""
    fell = report.performance is not None and bool(report.performance.fell)
    return Trigger(
        kind="performance" if fell else "drift", why=" ".join(report.reasons)[:500], window=report.window.name
    )
