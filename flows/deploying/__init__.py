"""Brings prefect.yaml to the Prefect server that PREFECT_API_URL names: pools, queues, deployments, automations."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from prefect.events.schemas.automations import AutomationCore

from flows.deploying.automations import install_automations
from flows.deploying.deployments import DeploymentRow, deploy_all
from flows.deploying.description import FILE, find_neglected, find_rot, read_description
from flows.deploying.pools import PoolRow, ensure_pools
from flows.orchestrator import reach_orchestrator
from infra.errors import SpecError, UsageError
from infra.projects import list_projects
from infra.settings import load_settings
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project

__all__ = ["Deployed", "deploy"]


class Deployed(NamedTuple):
    """What stands on the server now, and what the projects miss there."""

    server: str
    pools: list[PoolRow]
    deployments: list[DeploymentRow]
    automations: list[AutomationCore]
    neglected: list[str]


def deploy(checkout: Path, cpu_slots: int | None, gpu_slots: int | None, tell: Callable[[str], None]) -> Deployed:
    """Deploy what the prefect.yaml of a checkout describes; what is there is brought up to date, so twice is once.

    What an operator paused or switched off stays so. A project that has no deployment is told of and stops nothing.

    Parameters
    ----------
    cpu_slots, gpu_slots
        Retrainings at once, and trainings at once on each kind of device; None keeps what is there, 2 and 1 at first.
    tell
        Takes a line for the person who waits.

    Raises
    ------
    UsageError
        PREFECT_API_URL names no server or one that refuses us, or prefect.yaml names what is not there. Nothing was
        deployed then.
    OrchestratorUnavailable
        The server does not answer.
    KeepfitError
        `prefect deploy` failed.
    """
    description = read_description(checkout)
    root = load_settings().projects
    rot = find_rot(description, [folder.name for folder in list_projects(root)])
    if rot:
        raise UsageError(
            f"{FILE}: " + "; ".join(line.rstrip(".") for line in rot) + ".",
            remedy=f"Correct {checkout / FILE}; the projects are those of {root} (KEEPFIT_PROJECTS).",
        )
    specs, wrong = _read_projects(root)
    neglected = [*wrong, *find_neglected(description, specs)]
    with reach_orchestrator() as client:
        slots = {"cpu_slots": cpu_slots, "gpu_slots": None if gpu_slots is None else max(gpu_slots, 1)}
        pools = ensure_pools(client, description.pools, slots)
        tell(f"work pools are ready: {', '.join(description.pools)}")
        deployments = deploy_all(client, description, checkout)
        tell(f"deployed: {', '.join(row.name for row in deployments)}")
        ids = {row.name: row.deployment_id for row in deployments}
        automations = install_automations(client, description.automations, ids)
        tell(f"automations are installed: {len(automations)}")
        server = str(client.api_url)
    for problem in neglected:
        tell(f"! {problem}")
    return Deployed(server, pools, deployments, automations, neglected)


def _read_projects(root: Path) -> tuple[list[ProjectSpec], list[str]]:
    """Return the projects' specs, and what is wrong with the others: one that is being written stops no deployment."""
    specs, wrong = [], []
    for folder in list_projects(root):
        try:
            specs.append(load_project(root, folder.name).spec)
        except SpecError as error:
            wrong.append(f"{folder.name}: {error.message.splitlines()[0]}")
    return specs, wrong
