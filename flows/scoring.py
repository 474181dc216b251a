"""Scoring a window from the Prefect UI or by a schedule: the same as `keepfit score`."""

import logging
from datetime import UTC, datetime

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import AwareDatetime

from flows.batches import score_batch
from flows.forms import AnyWindow, ProjectChoice, explained
from infra.errors import SpecError
from infra.settings import load_settings
from tasks.contracts.scoring import BatchOutcome
from tasks.project import load_project
from tasks.windows import previous_window, window_containing

logger = logging.getLogger(__name__)


@flow(name="score", flow_run_name="score {project} {window}", persist_result=False, validate_parameters=True)
@explained
def score(project: ProjectChoice, window: AnyWindow = "", as_of: AwareDatetime | None = None) -> State[BatchOutcome]:
    """Let the champion answer the rows of a window and keep them as one batch.

    Parameters
    ----------
    project
        The project whose champion answers; its monitoring.rows function gives the rows.
    window
        The window: 2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day), in UTC; empty: the newest that has ended.
    as_of
        The rows as known at this time, with its time zone; empty: now.
    """
    outcome = score_batch(project, window or find_newest(project, as_of), as_of=as_of)
    said = (
        f"{outcome.label}: {outcome.rows:,} rows scored by {outcome.version}, {outcome.quarantined_rows:,} set aside."
    )
    logger.info("%s", said)
    return Completed(message=said, data=outcome)  # called as a function, the flow returns the data


def find_newest(project: str, as_of: datetime | None) -> str:
    """Return the name of the newest window that has ended.

    Raises
    ------
    SpecError
        The project does not say how long its windows are.
    """
    rules = load_project(load_settings().projects, project).spec.monitoring
    if rules is None:
        raise SpecError(
            f"{project}: has no section `monitoring` that says how long a window is.",
            remedy="Name the window, such as 2013-07; or declare {window: month}.",
        )
    return previous_window(window_containing(as_of or datetime.now(UTC), rules.window)).name
