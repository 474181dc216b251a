"""prefect.yaml is written by hand; this keeps it true."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import Flow

from tasks.project import load_project

ROOT = Path(__file__).parents[1]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]

each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])


@each_deployment
def test_every_entrypoint_is_a_flow_and_its_parameters_fit(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    validated = flow.validate_parameters(deployment["parameters"])
    assert set(validated) == set(flow.parameters.properties)


@each_deployment
def test_every_schedule_is_the_projects_own(deployment: dict[str, Any]) -> None:
    schedule = load_project(ROOT / "projects", deployment["parameters"]["project"]).spec.schedule
    assert schedule is not None
    assert deployment["schedules"] == [schedule.model_dump()]


def test_every_project_with_a_schedule_has_a_deployment() -> None:
    scheduled = {path.parent.name for path in (ROOT / "projects").glob("*/project.yaml")}
    assert scheduled == {deployment["parameters"]["project"] for deployment in DEPLOYMENTS}


def test_every_deployment_names_its_pool() -> None:
    assert {deployment["work_pool"]["name"] for deployment in DEPLOYMENTS} == {"cpu-pool"}
