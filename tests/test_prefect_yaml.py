"""prefect.yaml is written by hand; this keeps it true, and shows that each kind of rot is caught."""

import copy
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.deploying.description import FILE, describe, find_neglected, find_rot, read_description
from flows.events import BREAKER, RELEASE, WINDOW
from flows.monitoring import WANTED
from infra.errors import UsageError
from infra.projects import list_projects
from tasks.contracts.compute import Compute, Schedule
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project

ROOT = Path(__file__).parents[1]
RAW: dict[str, Any] = yaml.safe_load((ROOT / FILE).read_text())
PROJECTS = [folder.name for folder in list_projects(ROOT / "projects")]
SPECS = [load_project(ROOT / "projects", folder.name).spec for folder in list_projects(ROOT / "projects")]


def test_everything_that_it_names_is_there_and_every_parameter_fits_its_flow() -> None:
    assert find_rot(read_description(ROOT), PROJECTS) == []


def test_every_project_has_its_deployment_with_its_own_schedule_and_device() -> None:
    assert find_neglected(read_description(ROOT), SPECS) == []
    assert {spec.name for spec in SPECS} >= {"iris", "imdb", "penguins", "flights"}


def test_every_run_can_be_found_by_its_tag_and_beats() -> None:
    for raw in RAW["deployments"]:
        assert "keepfit" in raw["tags"]
        beat_s = int(raw["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"])
        assert 2 * beat_s < RAW["definitions"]["automations"][0]["trigger"]["within"]


def test_operators_always_find_a_slot() -> None:
    queues = read_description(ROOT).pools["cpu-pool"].queues
    assert min(queues, key=lambda name: queues[name].priority) == "operate"
    assert queues["operate"].limit is None
    assert queues["operate"].reserved
    assert all(queue.limit for name, queue in queues.items() if name != "operate")


def test_of_our_events_an_automation_waits_for_the_wish_alone() -> None:
    told = [f"{kind}.anything" for kind in (WINDOW, RELEASE, BREAKER)]
    for automation in RAW["definitions"]["automations"]:
        trigger = automation["trigger"]
        waited_for = [*trigger["expect"], *trigger.get("after", [])]
        assert not [event for event in told for pattern in waited_for if fnmatch(event, pattern)]
    assert any(WANTED in automation["trigger"]["expect"] for automation in RAW["definitions"]["automations"])


def deployment(raw: dict[str, Any], entrypoint: str, name: str) -> dict[str, Any]:
    return next(
        each for each in raw["deployments"] if each["entrypoint"].endswith(f".{entrypoint}") and each["name"] == name
    )


def edit(raw: dict[str, Any], entrypoint: str, named: str, /, **changes: Any) -> None:
    deployment(raw, entrypoint, named).update(changes)


ROT: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "module": (lambda raw: edit(raw, "retrain", "iris", entrypoint="flows.retrainin.retrain"), "flows.retrainin.*No module"),
    "function": (lambda raw: edit(raw, "retrain", "iris", entrypoint="flows.retraining.retry"), "no attribute 'retry'"),
    "no flow": (lambda raw: edit(raw, "retrain", "iris", entrypoint="flows.retraining.name_run"), "expected a flow"),
    "parameter": (
        lambda raw: deployment(raw, "retrain", "iris")["parameters"].update(dryrun=False),
        "retrain has no dryrun. Did you mean 'dry_run'",
    ),
    "lost parameter": (
        lambda raw: deployment(raw, "sweep", "regular")["parameters"].pop("grace_hours"),
        "grace_hours are missing",
    ),
    "value": (
        lambda raw: deployment(raw, "retrain", "iris")["parameters"].update(dry_run="perhaps"),
        "retrain/iris: parameters: .*dry_run",
    ),
    "trigger": (
        lambda raw: deployment(raw, "retrain", "iris")["parameters"]["trigger"].update(kind="moon"),
        "retrain/iris: parameters: .*trigger",
    ),
    "pool": (
        lambda raw: deployment(raw, "fit", "gpu")["work_pool"].update(name="gpu-pol"),
        "fit/gpu: there is no pool gpu-pol. Did you mean 'gpu-pool'",
    ),
    "queue": (
        lambda raw: deployment(raw, "sweep", "regular")["work_pool"].update(work_queue_name="operator"),
        "cpu-pool has no queue operator. Did you mean 'operate'",
    ),
    "twice": (lambda raw: edit(raw, "retrain", "iris", name="imdb"), "retrain/imdb: stands there twice"),
    "schedule's parameters": (
        lambda raw: deployment(raw, "retrain", "iris")["schedules"][0]["parameters"].update(trigger={"kind": "moon"}),
        "retrain/iris: parameters:",
    ),
    "automation": (
        lambda raw: raw["definitions"]["automations"][1]["actions"][0].update(deployment="sweep/often"),
        "there is no deployment sweep/often",
    ),
    "action": (
        lambda raw: raw["definitions"]["automations"][0]["actions"][0].update(state="DEAD"),
        "keepfit crashes runs whose heartbeat stopped: actions.*",
    ),
    "posture": (
        lambda raw: raw["definitions"]["automations"][0]["trigger"].update(posture="Prophetic"),
        "keepfit crashes runs whose heartbeat stopped: trigger.*",
    ),
    "stranger": (
        lambda raw: deployment(raw, "retrain", "iris")["parameters"].update(project="irish"),
        "retrain/iris: there is no project irish",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), ROT.values(), ids=ROT)
def test_rot_is_caught(spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    raw = copy.deepcopy(RAW)
    spoil(raw)
    with pytest.raises(AssertionError, match=said):
        assert_sound(raw)


def assert_sound(raw: dict[str, Any]) -> None:
    found = find_rot(describe(raw), PROJECTS)
    if found:
        raise AssertionError("; ".join(found))


NEGLECT: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "project": (lambda raw: raw["deployments"].remove(deployment(raw, "retrain", "iris")), "iris: has no deployment"),
    "name": (lambda raw: edit(raw, "retrain", "iris", name="flowers"), "expected the name retrain/iris"),
    "schedule": (
        lambda raw: edit(raw, "retrain", "iris", schedules=[{"cron": "0 5 * * 1", "timezone": "UTC"}]),
        "retrain/iris: expected the schedule of its project.yaml",
    ),
    "zone": (
        lambda raw: deployment(raw, "retrain", "iris")["schedules"][0].update(timezone="Asia/Tokyo"),
        "retrain/iris: expected the schedule of its project.yaml",
    ),
    "kind": (
        lambda raw: deployment(raw, "retrain", "iris")["schedules"][0].pop("parameters"),
        "retrain/iris: expected its schedule to say trigger: {kind: schedule}, found operator",
    ),
    "gpu": (lambda raw: raw["deployments"].remove(deployment(raw, "fit", "gpu")), "asks for fit/gpu on gpu-pool"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "said"), NEGLECT.values(), ids=NEGLECT)
def test_a_neglected_project_is_named(spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    raw = copy.deepcopy(RAW)
    spoil(raw)
    assert said in "; ".join(find_neglected(describe(raw), wanting_gpu(SPECS)))


def wanting_gpu(specs: list[ProjectSpec]) -> list[ProjectSpec]:
    return [spec.model_copy(update={"compute": Compute(device="gpu")}) for spec in specs]


def test_a_project_that_may_train_on_the_cpu_instead_needs_that_deployment() -> None:
    raw = copy.deepcopy(RAW)
    raw["deployments"].remove(deployment(raw, "fit", "cpu"))
    falling_back = SPECS[0].model_copy(update={"compute": Compute(device="gpu", fallback="cpu")})
    assert f"{falling_back.name}: asks for fit/cpu on cpu-pool" in find_neglected(
        describe(raw), [falling_back, *SPECS[1:]]
    )


def test_a_project_without_a_schedule_has_none_in_its_deployment() -> None:
    [scheduled] = [spec for spec in SPECS if spec.name == "iris"]
    others = [spec for spec in SPECS if spec.name != "iris"]
    found = find_neglected(describe(RAW), [scheduled.model_copy(update={"schedule": None}), *others])
    assert len(found) == 1
    assert "expected the schedule of its project.yaml, []" in found[0]
    moved = scheduled.model_copy(update={"schedule": Schedule(cron="1 1 1 1 1")})
    assert len(find_neglected(describe(RAW), [moved, *others])) == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw["definitions"].pop("pools"), "expected definitions.pools"),
        (lambda raw: raw["definitions"]["pools"]["cpu-pool"].update(limits=2), "pools.cpu-pool.limits: Extra inputs"),
        (
            lambda raw: raw["definitions"]["pools"]["cpu-pool"]["queues"]["fit"].update(limit="tpu_slots"),
            "pools.cpu-pool.queues.fit.limit",
        ),
        (lambda raw: deployment(raw, "fit", "cpu")["work_pool"].pop("work_queue_name"), "work_pool.work_queue_name"),
    ],
    ids=["no pools", "unknown key", "unknown slots", "no queue"],
)
def test_a_file_that_is_not_understood_is_refused_with_the_place(spoil: Callable[[Any], Any], said: str) -> None:
    raw = copy.deepcopy(RAW)
    spoil(raw)
    with pytest.raises(UsageError, match=said):
        describe(raw)


def test_a_folder_without_the_file_and_a_file_that_is_no_yaml_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"prefect.yaml: expected the deployments.*\nRun this in a checkout"):
        read_description(tmp_path)
    (tmp_path / FILE).write_text("deployments: [")
    with pytest.raises(UsageError, match=r"prefect.yaml: is no YAML"):
        read_description(tmp_path)
