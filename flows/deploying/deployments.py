"""Deployments, by `prefect deploy` itself: keepfit only keeps paused what an operator paused."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from flows.deploying.description import FILE, Deployment, Description
from infra.errors import KeepfitError

LIMIT_S = 300
TAIL_LINES = 15


class DeploymentRow(NamedTuple):
    """A deployment as it stands on the server now."""

    name: str
    deployment_id: UUID
    place: str
    schedule: str
    paused: bool


def deploy_all(client: SyncPrefectClient, description: Description, checkout: Path) -> list[DeploymentRow]:
    """Bring every deployment of the file to the server; schedules that were paused there stay paused.

    Raises
    ------
    KeepfitError
        `prefect deploy` failed; the message ends with what it said.
    """
    before = {each.full_name: read_deployment(client, each.full_name) for each in description.deployments}
    _run_prefect(keep_paused(description, before), checkout)
    return [describe_row(each, client.read_deployment_by_name(each.full_name)) for each in description.deployments]


def read_deployment(client: SyncPrefectClient, full_name: str) -> DeploymentResponse | None:
    """Return a deployment of the server, None where it has none of this name."""
    try:
        return client.read_deployment_by_name(full_name)
    except ObjectNotFound:
        return None


def keep_paused(description: Description, before: dict[str, DeploymentResponse | None]) -> dict[str, Any]:
    """Return the file as `prefect deploy` shall read it: it replaces all schedules, and new ones are active."""
    deployments = []
    for described, raw in zip(description.deployments, description.raw["deployments"], strict=True):
        found = before[described.full_name]
        kept = dict(raw)
        if found is not None and found.paused:
            kept["paused"] = True
        if found is not None and found.schedules and described.schedules:
            kept["schedules"] = [{**each, "active": _was_active(each, found)} for each in described.schedules]
        deployments.append(kept)
    return {**description.raw, "deployments": deployments}


def _was_active(schedule: Mapping[str, Any], found: DeploymentResponse) -> bool:
    """Return whether this schedule fires on the server; one that is new does unless all that are there are off.

    Apart from whether the deployment is paused: it would stay off when somebody resumes that.
    """
    known = [each for each in found.schedules if getattr(each.schedule, "cron", None) == schedule.get("cron")]
    return any(each.active for each in known or found.schedules)


def is_paused(deployment: DeploymentResponse) -> bool:
    """Return whether the deployment has schedules and none of them starts a run."""
    idle = deployment.paused or not any(schedule.active for schedule in deployment.schedules)
    return idle and bool(deployment.schedules)


def describe_row(described: Deployment, found: DeploymentResponse) -> DeploymentRow:
    """Return what to show of a deployment."""
    schedule = ", ".join(f"{each.get('cron', 'no cron')} {each.get('timezone', 'UTC')}" for each in described.schedules)
    place = f"{found.work_pool_name} / {found.work_queue_name}"
    return DeploymentRow(described.full_name, found.id, place, schedule, is_paused(found))


def _run_prefect(content: dict[str, Any], checkout: Path) -> None:
    # Each worker has a checkout of its own; with ours in the environment, `prefect deploy` would write it in for all.
    environment = {key: value for key, value in os.environ.items() if key != "KEEPFIT_CHECKOUT"}
    with tempfile.TemporaryDirectory(prefix="keepfit-deploy-") as folder:
        path = Path(folder) / FILE
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
        try:
            done = subprocess.run(
                command,
                cwd=checkout,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KeepfitError(
                f"`prefect deploy` did not end within {LIMIT_S} s.", remedy="See how the Prefect server is doing."
            ) from error
    if done.returncode:
        tail = "\n".join(f"    | {line.rstrip()}" for line in done.stdout.strip().splitlines()[-TAIL_LINES:])
        raise KeepfitError(f"`prefect deploy` ended with code {done.returncode}. It said:\n{tail}")
