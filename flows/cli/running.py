"""`keepfit run`: one run of the retraining flow, on somebody's Prefect server or on a temporary one."""

from datetime import datetime

from flows.cli import render
from flows.cli.progress import showing_progress
from flows.cli.server import naming_silent_server, prefect_server
from infra.errors import GateRefused
from infra.importing import importing
from infra.settings import load_settings
from tasks.contracts.release import RunOutcome
from tasks.contracts.runs import Trigger
from tasks.project import load_project


def run_project(
    project: str, as_of: datetime | None, reason: str, *, dry_run: bool, strict: bool, as_json: bool
) -> None:
    """Run the flow and print its outcome.

    Raises
    ------
    GateRefused
        With `strict`, where the gate said HOLD or REJECT.
    """
    load_project(load_settings().projects, project)  # a misspelt key is refused before anything is started
    with showing_progress(quiet=as_json), prefect_server() as server:
        with importing():
            from flows.retraining import retrain

        server.wait()
        with naming_silent_server():
            returned = retrain(project, as_of=as_of, trigger=Trigger(why=reason), dry_run=dry_run)
    outcome = RunOutcome.model_validate(returned)
    if as_json:
        print(outcome.model_dump_json(indent=2))
    else:
        render.print_outcome(outcome)
    if strict and outcome.status not in ("released", "waiting", "unchanged"):
        error = GateRefused(f"{outcome.decision}: {outcome.verdict.summary}", remedy=outcome.verdict.next_step)
        render.fail_after_answer(error, as_json=as_json)
