"""Asking a person: a run that suspends with a form and the gate's evidence, and then releases or refuses a version."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, cast

import httpx
from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.states import Completed, Failed
from pydantic import Field, StringConstraints

from flows.artifacts.history import publish_history
from flows.artifacts.publishing import figure, words
from flows.artifacts.verdict import publish_proposal, render_checks
from flows.events import tell_news
from flows.forms import Label, Person, Reason, explained
from infra.errors import KeepfitError
from tasks.contracts.evaluation import EvaluationReport
from tasks.contracts.release import Proposal
from tasks.release.approval import (
    Settlement,
    approve_proposal,
    find_proposal,
    find_settlement,
    find_waiting,
    refuse_proposal,
)

logger = logging.getLogger(__name__)

DEPLOYMENT = "approve/release"
PATIENCE = timedelta(days=7)
"""For so long a form waits; then the run fails, and the version is not released."""

KEY = "decision"
"""By this the server knows the form again when the run goes on."""

RunId = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")]


class Decision(RunInput):
    """What a person decides about a version that may go."""

    decision: Literal["approve", "refuse"] = Field(
        description="approve: the version becomes the champion now. refuse: it does not, and is not proposed again."
    )
    why: Reason = Field(description="The reason; kept for ever in the project's history.")
    by: Person = Field(description="Who decides: your name or your address. Kept with the reason.")


@flow(name="approve", flow_run_name="{version}: approval", persist_result=False, validate_parameters=True)
@explained
def approve(version: Label, run_id: RunId = "") -> State[Any]:
    """Show the gate's evidence, wait for a person's decision in a form, and release the version or refuse it.

    While it waits it holds no worker and no slot. It may run any number of times: what is settled stays settled.

    Parameters
    ----------
    version
        The version that waits, such as iris@7.
    run_id
        The run whose verdict is shown, 32 hexadecimal digits; empty: the verdict against the champion of now.
    """
    try:
        return _settle(version, run_id)
    except KeepfitError as error:  # one sentence on the run's page, where a raised error would be three tracebacks
        return Failed(name=type(error).__name__, message=str(error))


def _settle(version: str, run_id: str) -> State[Any]:
    proposal = find_proposal(version, run_id)
    settled = find_settlement(proposal)
    if settled is None:
        if not _has_asked():
            publish_proposal(proposal)
        decision = _ask(proposal)
        settle = approve_proposal if decision.decision == "approve" else refuse_proposal
        settled = settle(proposal, decision.why, decision.by)
    logger.info("%s", settled.message)
    tell_news(proposal.project)
    publish_history(proposal.project)
    return _end(settled)


def _has_asked() -> bool:
    """Return whether this run goes on after its form was answered."""
    context = FlowRunContext.get()
    policy = context.flow_run.empirical_policy if context is not None and context.flow_run is not None else None
    return policy is not None and KEY in (policy.pause_keys or ())


def _ask(proposal: Proposal) -> Decision:
    """Return the decision. The first time this ends the process; the flow runs again from the top when it is there."""
    logger.info(
        "%s waits for a decision: Resume, here on the run's page (in the menu ⋮ where there is no button)",
        proposal.label,
    )
    form = Decision.with_initial_data(description=describe(proposal))
    return suspend_flow_run(wait_for_input=form, timeout=int(PATIENCE.total_seconds()), key=KEY)


def describe(proposal: Proposal) -> str:
    """Return the gate's evidence as the text above the form, which is a narrow column."""
    verdict = proposal.verdict
    champion = f"{verdict.champion} stays champion" if verdict.champion else f"{proposal.project} has no champion"
    lines = [f"### May {proposal.label} go?", words(verdict.summary), "", *render_checks(verdict), ""]
    lines += [f"**On {proposal.evaluation.metrics[0].n:,} test rows**", ""]
    lines += [f"- {line}" for line in _tell_figures(proposal.evaluation)]
    lines += [
        "",
        f"Until somebody decides, {champion}; after {PATIENCE.days} days without a decision too.",
        "Pictures and the whole report are among this run's artifacts.",
    ]
    return "\n".join(lines)


def _tell_figures(evaluation: EvaluationReport) -> Iterator[str]:
    champion = {metric.metric: metric.value for metric in evaluation.champion}
    for metric, dummy in zip(evaluation.metrics, evaluation.baseline, strict=True):
        now = f", champion {figure(champion[metric.metric])}" if metric.metric in champion else ""
        between = f"[{figure(metric.low)}, {figure(metric.high)}]"
        yield f"{metric.metric}: {figure(metric.value)} {between}{now}, dummy {figure(dummy.value)}"


def _end(settled: Settlement) -> State[Any]:
    if settled.end == "superseded":
        return Failed(name="Superseded", message=settled.message)
    return Completed(name=settled.end.capitalize(), message=settled.message)


def ask_for_approval(project: str) -> None:
    """Start the run that asks a person for each version of the project that waits and that no run asks about.

    Without a Prefect server that has the deployment there is nobody to start: `keepfit approve` decides all the same.
    """
    for proposal in find_waiting(project):
        try:
            asked = _start_asking(proposal)
        except ObjectNotFound:
            logger.info("%s waits: keepfit approve %s --why …", proposal.label, proposal.label)
        except (PrefectException, httpx.HTTPError) as error:
            logger.warning("nobody could be asked about %s: %s", proposal.label, error)
        else:
            logger.info("%s waits: the run %s asks", proposal.label, asked.name)


def _start_asking(proposal: Proposal) -> FlowRun:
    """Return the run that asks; one that ended without a decision, as nobody answered in time, is followed by another."""
    parameters = {"version": proposal.label, "run_id": proposal.run_id}
    key = f"{proposal.label}-{proposal.verdict.champion_seq}-{proposal.run_id}"
    while True:
        # No subflow: one cannot be suspended, and its parent is about to end.
        asked = run_deployment(DEPLOYMENT, parameters=parameters, timeout=0, as_subflow=False, idempotency_key=key)
        run = cast("FlowRun", asked)  # the type also allows for a coroutine, which it is in async code alone
        if run.state is None or not run.state.is_final():
            return run
        key = f"{key.partition(' after ')[0]} after {run.id}"
