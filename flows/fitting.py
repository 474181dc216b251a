"""Training alone, for a run that waits for it: on the pool that its project asks for.

The two processes share no disk and no memory: the rows come from the object store, and what was trained stands in the
registry's ledger, under the key that the waiting run looks it up by. Twice is once.
"""

import logging
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.progress import showing_training
from infra.errors import KeepfitError, UsageError
from infra.settings import load_settings
from infra.worker import describe_worker
from tasks.contracts.data import SplitRef
from tasks.contracts.runs import RunContext
from tasks.policies import key_of_call
from tasks.project import load_project
from tasks.training.steps import assist, train

logger = logging.getLogger(__name__)


def name_fit() -> str:
    """Return a name that says whose training it is and where it runs."""
    return f"{RunContext.model_validate(flow_run.parameters['run']).project}: fit"


@flow(name="fit", flow_run_name=name_fit, persist_result=False, validate_parameters=True)
def fit(run: RunContext, parts: SplitRef, key: str, trials_only: bool = False) -> State[Any]:
    """Train the candidates of a run; the run itself goes on once this has ended.

    Started by the retraining flow, never by hand. A failure ends in a state that has the error's own name.

    Parameters
    ----------
    run
        The run that waits, with its lease: what it could not write any more, this cannot write either.
    parts
        Training and test rows.
    key
        The waiting run's key of this training: another checkout or lock would give another one.
    trials_only
        Help with the trials of the run, which trains by itself (`tuning.workers_on: pool`).
    """
    try:
        _require_same_code(run, parts, key)
        with showing_training(run.project):
            if trials_only:
                assist(run, parts)
                return Completed(message="All trials have ended.")
            report = train(run, parts)
    except KeepfitError as error:
        logger.error("%s", error)  # noqa: TRY400  one message for people; Prefect has logged the step's traceback
        return Failed(name=type(error).__name__, message=str(error))
    worker = describe_worker().name or "this process"
    return Completed(message=f"{report.chosen.candidate}, trained in {report.seconds:.1f} s by {worker}.")


def _require_same_code(run: RunContext, parts: SplitRef, key: str) -> None:
    here = load_project(load_settings().projects, run.project).code
    if here == run.code and key_of_call(train, run, parts) == key:
        return
    what = "keepfit" if here == run.code else f"projects/{run.project}"
    raise UsageError(
        f"{run.project}: expected the code and the lock that the run began with; the checkout of "
        f"{describe_worker().name or 'this worker'} has others in {what}.",
        remedy="Bring the checkouts of all workers to one commit, then start the run again.",
    )
