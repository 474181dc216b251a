"""Promote and roll back from the Prefect UI: the same moves as `keepfit promote` and `keepfit rollback`."""

import logging
from collections.abc import Callable
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.artifacts.history import publish_history
from flows.events import tell_news
from flows.forms import Label, Person, ProjectChoice, Reason, explained
from infra.errors import KeepfitError
from tasks.release.moves import Move, promote_by_hand, roll_back

logger = logging.getLogger(__name__)


@flow(name="promote", flow_run_name="promote {version}", persist_result=False, validate_parameters=True)
@explained
def promote(version: Label, why: Reason, by: Person) -> State[Any]:
    """Make a version champion by hand, whatever the gate or a refusal said of it.

    Parameters
    ----------
    version
        The version that is to be champion, such as iris@7.
    why
        The reason; kept for ever in the project's history.
    by
        Who does this: your name or your address. Kept with the reason.
    """
    return _end(lambda: promote_by_hand(version, why, by))


@flow(name="rollback", flow_run_name="roll back {project}", persist_result=False, validate_parameters=True)
@explained
def rollback(project: ProjectChoice, why: Reason, by: Person) -> State[Any]:
    """Go back to the champion before the present one. Takes seconds; trains nothing.

    Parameters
    ----------
    project
        The project whose champion goes back to the one before.
    why
        The reason; kept for ever in the project's history.
    by
        Who does this: your name or your address. Kept with the reason.
    """
    return _end(lambda: roll_back(project, why, by))


def _end(move: Callable[[], Move]) -> State[Any]:
    """Return the state that says on the run's page what was done, or in one sentence why nothing was."""
    try:
        made = move()
    except KeepfitError as error:
        return Failed(name=type(error).__name__, message=str(error))
    logger.info("%s", made)
    tell_news(made.release.project)
    publish_history(made.release.project)
    return Completed(message=str(made))
