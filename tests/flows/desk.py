"""Deployed flows run in the test's own process, against the session's Prefect server."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL, temporary_settings


@dataclass
class Desk:
    """What an operator does in the UI, done through the same API."""

    client: SyncPrefectClient

    def deploy(self, flow: Flow[..., Any], name: str) -> str:
        """Deploy the flow with the schema of its form; return the deployment's full name."""
        schema = flow.parameters.model_dump_for_openapi()
        made = self.client.create_flow_from_name(flow.name)
        self.client.create_deployment(made, name, parameter_openapi_schema=schema, enforce_parameter_schema=True)
        return f"{flow.name}/{name}"

    def withdraw(self, deployment: str) -> None:
        """Remove a deployment with its runs: the next test has another registry."""
        found = self.client.read_deployment_by_name(deployment)
        for run in self.client.read_flow_runs(
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id]))
        ):
            self.client.delete_flow_run(run.id)
        self.client.delete_deployment(found.id)

    def submit(self, deployment: str, **parameters: object) -> FlowRun:
        """Fill the form of a deployment and submit it."""
        found = self.client.read_deployment_by_name(deployment)
        return self.client.create_flow_run_from_deployment(found.id, parameters=parameters)

    def run(self, flow: Flow[..., Any], flow_run: FlowRun) -> State[Any]:
        """Do what a worker does with a flow run; return the state in which it is then."""
        with suppress(Pause):
            run_flow(flow, flow_run=self.client.read_flow_run(flow_run.id), return_type="state")
        state = self.client.read_flow_run(flow_run.id).state
        assert state is not None
        return state

    def artifacts(self, flow_run: FlowRun) -> dict[str, Artifact]:
        """Return the artifacts on the page of this run, by key or by the first word of what it says; none is there twice."""
        mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
        found = self.client.read_artifacts(artifact_filter=mine)
        named = {one.key or str(one.description).split()[0].strip(":"): one for one in found}
        assert len(named) == len(found)
        return named


@contextmanager
def open_desk(url: str) -> Iterator[Desk]:
    """Open a desk at the Prefect server of this URL."""
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as client:
        yield Desk(client)
