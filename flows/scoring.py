"""Scoring a window from the Prefect UI or by a schedule: the same as `keepfit score`."""

import logging

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import AwareDatetime

from flows.batches import score_batch
from flows.forms import ProjectChoice, WindowName, explained
from tasks.contracts.scoring import BatchOutcome

logger = logging.getLogger(__name__)


@flow(name="score", flow_run_name="score {project} {window}", persist_result=False, validate_parameters=True)
@explained
def score_window(project: ProjectChoice, window: WindowName, as_of: AwareDatetime | None = None) -> State[BatchOutcome]:
    """Let the champion answer the rows of a window and keep them as one batch.

    Parameters
    ----------
    project
        The project whose champion answers; its monitoring.rows function gives the rows.
    window
        The window: 2013-07 (month), 2013-W28 (ISO week) or 2013-07-14 (day), in UTC.
    as_of
        The rows as known at this time, with its time zone; empty: now.
    """
    outcome = score_batch(project, window, as_of=as_of)
    said = (
        f"{outcome.label}: {outcome.rows:,} rows scored by {outcome.version}, {outcome.quarantined_rows:,} set aside."
    )
    logger.info("%s", said)
    return Completed(message=said, data=outcome)  # called as a function, the flow returns the data
