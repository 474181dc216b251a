"""What prefect.yaml says: deployments as Prefect reads them, pools and automations as keepfit does; and what rots in it.

It is written by hand, so its names are held against each other and against the code before anything is deployed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from prefect.events.schemas.automations import AutomationCore
from prefect.flows import Flow
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.errors import UsageError
from infra.suggestion import suggest
from tasks.contracts.project import ProjectSpec

FILE = "prefect.yaml"
SLOTS = ("cpu_slots", "gpu_slots")

Slots = Annotated[int, Field(ge=1)] | Literal["cpu_slots", "gpu_slots"]


class Described(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Queue(Described):
    """A queue of a pool; `reserved` slots are its own without being its limit."""

    priority: int = Field(ge=1)
    limit: Slots | None = None
    reserved: Annotated[int, Field(ge=1)] | None = None
    description: str = ""


class Pool(Described):
    """A work pool; its limit is the sum of its queues."""

    type: str
    description: str = ""
    queues: dict[str, Queue] = Field(min_length=1)


class WorkPool(Described):
    """Where a deployment's runs wait."""

    name: str
    work_queue_name: str
    job_variables: dict[str, Any] = {}


class Deployment(BaseModel):
    """What keepfit holds against the code; the rest is between prefect.yaml and Prefect."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    entrypoint: str
    work_pool: WorkPool
    parameters: dict[str, Any] = {}
    schedules: list[dict[str, Any]] = []
    tags: list[str] = []

    @property
    def flow(self) -> str:
        """The name that the flow goes by in Prefect: that of its function."""
        return self.entrypoint.rpartition(".")[2]

    @property
    def full_name(self) -> str:
        return f"{self.flow}/{self.name}"


class Description(Described):
    """A whole prefect.yaml; `raw` is what Prefect itself gets to read."""

    pools: dict[str, Pool]
    automations: list[dict[str, Any]]
    deployments: list[Deployment]
    raw: dict[str, Any]


def read_description(checkout: Path) -> Description:
    """Return what the prefect.yaml of a checkout says.

    Raises
    ------
    UsageError
        It is not there, is no YAML, or lacks or misspells a key.
    """
    path = checkout / FILE
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path}: expected the deployments, found no such file: {error.strerror}.",
            remedy="Run this in a checkout of your pipeline, or say where it lies: KEEPFIT_CHECKOUT.",
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is no YAML: {' '.join(str(error).split())}.") from error
    return describe(raw)


def describe(raw: Any) -> Description:
    """Return what a loaded prefect.yaml says. Raises UsageError as `read_description`."""
    try:
        defined = raw["definitions"]
        parts = {"pools": defined["pools"], "automations": defined["automations"], "deployments": raw["deployments"]}
        return Description.model_validate({**parts, "raw": raw})
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"{FILE}: expected definitions.pools, definitions.automations and deployments; {error}."
        ) from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5]]
        raise UsageError(f"{FILE}: {'; '.join(problems)}.") from error


def find_rot(description: Description, projects: Collection[str]) -> list[str]:
    """Return what in prefect.yaml names something that is not there: an empty list where all is well.

    Parameters
    ----------
    projects
        The names of all projects, sound or not.
    """
    names = [deployment.full_name for deployment in description.deployments]
    found = [f"{name}: stands there twice" for name in sorted({name for name in names if names.count(name) > 1})]
    for deployment in description.deployments:
        problems = [
            *_check_pool(deployment, description.pools),
            *_check_flow(deployment),
            *_check_named(deployment, projects),
        ]
        found += [f"{deployment.full_name}: {problem}" for problem in problems]
    for automation in description.automations:
        found += [f"{automation.get('name')}: {problem}" for problem in _check_automation(automation, names)]
    return found


def find_neglected(description: Description, specs: Iterable[ProjectSpec]) -> list[str]:
    """Return what the projects ask for and prefect.yaml does not give: an empty list where all is well."""
    specs = sorted(specs, key=lambda spec: spec.name)
    retrains = {each.parameters.get("project"): each for each in description.deployments if each.flow == "retrain"}
    found = [problem for spec in specs for problem in _check_project(spec, retrains.get(spec.name))]
    fits = {each.full_name: each.work_pool.name for each in description.deployments if each.flow == "fit"}
    for spec in specs:
        wanted = {"gpu": ["fit/gpu"], "cpu": []}[spec.compute.device]
        wanted += ["fit/cpu"] if spec.compute.fallback == "cpu" else []
        pools = {"fit/gpu": "gpu-pool", "fit/cpu": "cpu-pool"}
        found += [f"{spec.name}: asks for {fit} on {pools[fit]}" for fit in wanted if fits.get(fit) != pools[fit]]
    return found


def _check_pool(deployment: Deployment, pools: Mapping[str, Pool]) -> Iterator[str]:
    wanted = deployment.work_pool
    if wanted.name not in pools:
        yield f"there is no pool {wanted.name}.{suggest(wanted.name, pools)}"
    elif wanted.work_queue_name not in (queues := pools[wanted.name].queues):
        yield f"{wanted.name} has no queue {wanted.work_queue_name}.{suggest(wanted.work_queue_name, queues)}"


def _check_named(deployment: Deployment, projects: Collection[str]) -> Iterator[str]:
    name = deployment.parameters.get("project")
    if name is not None and name not in projects:
        yield f"there is no project {name}.{suggest(str(name), projects)}"


def _check_flow(deployment: Deployment) -> Iterator[str]:
    module, _, name = deployment.entrypoint.rpartition(".")
    try:
        flow = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        yield f"entrypoint {deployment.entrypoint}: {error}"
        return
    if not isinstance(flow, Flow) or flow.name != deployment.flow:
        yield f"entrypoint {deployment.entrypoint}: expected a flow of that name, found {flow!r:.80}"
        return
    yield from _check_parameters(flow, deployment.parameters)
    for schedule in deployment.schedules:
        if own := schedule.get("parameters"):
            yield from _check_parameters(flow, {**deployment.parameters, **own})


def _check_parameters(flow: Flow[..., Any], given: Mapping[str, Any]) -> Iterator[str]:
    known = flow.parameters.properties
    for name in sorted(given.keys() - known.keys()):
        yield f"parameters: {flow.name} has no {name}.{suggest(name, known)}"
    # All or none: with some of them the form of the Prefect UI leaves the others empty.
    if given and (missing := sorted(known.keys() - given.keys())):
        yield f"parameters: expected all of {flow.name}, {', '.join(missing)} are missing"
    elif given.keys() == known.keys():
        try:
            flow.validate_parameters(dict(given))
        except Exception as error:  # noqa: BLE001  whatever a contract says of a value
            yield f"parameters: {' '.join(str(error).split())}"


def _check_automation(raw: Mapping[str, Any], deployments: list[str]) -> Iterator[str]:
    actions = raw.get("actions", [])
    for action in actions:
        wanted = action.get("deployment")
        if wanted is not None and wanted not in deployments:
            yield f"there is no deployment {wanted}.{suggest(wanted, deployments)}"
    bare = [{**action, "deployment_id": None, "source": "inferred"} for action in actions]
    try:
        AutomationCore.model_validate({**raw, "actions": bare})
    except ValidationError as error:
        first = error.errors()[0]
        yield f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _check_project(spec: ProjectSpec, deployment: Deployment | None) -> Iterator[str]:
    if deployment is None:
        yield f"{spec.name}: has no deployment. Add a stanza to {FILE}, as iris has one"
        return
    if deployment.name != spec.name:
        yield f"{deployment.full_name}: retrains {spec.name}; expected the name retrain/{spec.name}"
    wanted = [spec.schedule.model_dump()] if spec.schedule else []
    found = [{key: value for key, value in each.items() if key != "parameters"} for each in deployment.schedules]
    if found != wanted:
        yield f"{deployment.full_name}: expected the schedule of its project.yaml, {wanted}, found {found}"
    for schedule in deployment.schedules:
        trigger = {**deployment.parameters, **schedule.get("parameters", {})}.get("trigger") or {}
        kind = trigger.get("kind")
        if kind != "schedule":
            yield f"{deployment.full_name}: expected its schedule to say trigger: {{kind: schedule}}, found {kind}"
