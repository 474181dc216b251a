"""Pools and manifests of the cluster, against the schemas of Kubernetes. They were applied to no cluster."""

import shlex
from copy import deepcopy
from typing import Any

import kubernetes_validate
import pytest
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.utilities.templating import apply_values, find_placeholders

from tests.infra.deploy.files import (
    Spoil,
    find_image_problems,
    list_unknown_variables,
    read,
    read_cluster,
    read_pool,
    spoiled,
)

VERSIONS = ("1.32", "1.37")
MISPLACED = ("parallelism", "completions")
"""Of a job, but prefect-kubernetes wants them in the pod as well, where Kubernetes ignores them with a warning."""

FROM_THE_DEPLOYMENT = {"env": {"PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,infra"}}
FROM_THE_WORKER = {
    "name": "amber-otter",
    "labels": {"prefect.io/flow-run-id": "0"},
    "command": "prefect flow-run execute",
}

each_pool = pytest.mark.parametrize("kind", ["cpu", "gpu"])
each_version = pytest.mark.parametrize("version", VERSIONS)


def render(pool: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the job that Prefect's worker would make: defaults, what the deployment gives, then its own part."""
    template = deepcopy(pool["job_configuration"])
    properties = pool["variables"]["properties"]
    defaults = {name: each["default"] for name, each in properties.items() if each.get("default") is not None}
    template["env"] = defaults["env"] | given.get("env", {})
    filled = apply_values(template, defaults | FROM_THE_WORKER | given)
    job: dict[str, Any] = filled["job_manifest"]
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": name, "value": value} for name, value in filled["env"].items()] + container["env"]
    container["args"] = shlex.split(container["args"])
    return job


def validate(manifest: dict[str, Any], version: str) -> None:
    """Hold a manifest against the schema of its kind; unknown keys are refused."""
    clean = deepcopy(manifest)
    if clean["kind"] == "Job":
        for name in MISPLACED:
            clean["spec"]["template"]["spec"].pop(name, None)
    kubernetes_validate.validate(clean, version, strict=True)


@each_version
@each_pool
def test_a_pools_job_is_valid(kind: str, version: str) -> None:
    validate(render(read_pool(kind), FROM_THE_DEPLOYMENT), version)


@each_pool
def test_prefect_takes_the_template(kind: str) -> None:
    pool = read_pool(kind)
    WorkPoolCreate(name=f"{kind}-pool", type="kubernetes", base_job_template=pool)
    used = {placeholder.name for placeholder in find_placeholders(pool["job_configuration"])}
    assert used == set(pool["variables"]["properties"])


def _container(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: _container(job).update(enviroment=[]),
        lambda job: job["spec"].update(ttlSecondsAfterFinished="an hour"),
        lambda job: _container(job).pop("name"),
        lambda job: _container(job).update(env={"A": "1"}),
    ],
    ids=["unknown key", "wrong type", "missing key", "variables not as a list"],
)
def test_a_job_that_kubernetes_would_refuse_is_found(spoil: Any) -> None:
    job = render(read_pool("cpu"), {})
    spoil(job)
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(job, VERSIONS[-1])


def test_what_a_deployment_gives_arrives_in_the_job() -> None:
    given = {"memory_limit": "12Gi", "env": {"KEEPFIT_DEBUG": "1"}}
    job = render(read_pool("cpu"), given)
    container = _container(job)
    env = {each["name"]: each.get("value") for each in container["env"]}
    assert container["resources"]["limits"]["memory"] == "12Gi"
    assert (env["KEEPFIT_DEBUG"], env["KEEPFIT_STORE_URL"]) == ("1", "s3://keepfit/store")
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


def test_the_pools_differ_in_their_defaults_alone() -> None:
    def without_defaults(pool: dict[str, Any]) -> dict[str, Any]:
        bare = deepcopy(pool)
        for each in bare["variables"]["properties"].values():
            each.pop("default", None)
        return bare

    assert without_defaults(read_pool("cpu")) == without_defaults(read_pool("gpu"))


def test_a_job_of_the_gpu_pool_asks_for_one_gpu_on_nodes_that_have_them() -> None:
    job = render(read_pool("gpu"), FROM_THE_DEPLOYMENT)
    pod = job["spec"]["template"]["spec"]
    assert _container(job)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert _container(job)["image"].endswith("-gpu")
    assert pod["nodeSelector"]
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"


@pytest.mark.parametrize("manifest", read_cluster(), ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_a_manifest_is_valid(manifest: dict[str, Any]) -> None:
    validate(manifest, VERSIONS[0])


def find_pod_problems(manifest: dict[str, Any]) -> list[str]:
    """Return what a pod may do that it need not, and secrets, images and variables that are not right."""
    pod = manifest["spec"]["template"]["spec"]
    container = pod["containers"][0]
    closed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    identity = pod["securityContext"]
    limits = container["resources"]["limits"]
    variables = container.get("env", [])
    secret = ("AUTH_STRING", "DATABASE_URL", "CONNECTION_URL", "ACCESS_KEY", "ACCESS_KEY_ID")
    rules = {
        "root": not (identity.get("runAsNonRoot") and identity.get("runAsUser")),
        "seccomp": identity.get("seccompProfile") != {"type": "RuntimeDefault"},
        "open container": container.get("securityContext") != closed,
        "no limits": not {"cpu", "memory"} <= set(limits),
        "service links": pod.get("enableServiceLinks") is not False,
        "restarted by kubernetes": manifest["kind"] == "Job" and pod["restartPolicy"] not in ("Never", "OnFailure"),
        "plain secret": any(each["name"].endswith(secret) and "value" in each for each in variables),
        "image": bool(find_image_problems(container["image"])),
        "unknown variable": bool(list_unknown_variables(each["name"] for each in variables)),
    }
    return [problem for problem, broken in rules.items() if broken]


def list_pods() -> list[dict[str, Any]]:
    jobs = [render(read_pool(kind), FROM_THE_DEPLOYMENT) for kind in ("cpu", "gpu")]
    return jobs + [manifest for manifest in read_cluster() if manifest["kind"] in ("Deployment", "Job")]


@pytest.mark.parametrize("manifest", list_pods(), ids=lambda each: each["metadata"].get("name") or "job of a pool")
def test_a_pod_may_do_no_more_than_it_must(manifest: dict[str, Any]) -> None:
    assert find_pod_problems(manifest) == []


def _pod(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job["spec"]["template"]["spec"]
    return found


SPOILT: dict[str, list[Spoil]] = {
    "root": [
        lambda job: _pod(job)["securityContext"].update(runAsUser=0),
        lambda job: _pod(job)["securityContext"].pop("runAsNonRoot"),
    ],
    "seccomp": [lambda job: _pod(job)["securityContext"].pop("seccompProfile")],
    "open container": [lambda job: _container(job)["securityContext"].update(readOnlyRootFilesystem=False)],
    "no limits": [lambda job: _container(job)["resources"]["limits"].pop("memory")],
    "service links": [lambda job: _pod(job).update(enableServiceLinks=True)],
    "restarted by kubernetes": [lambda job: _pod(job).update(restartPolicy="Always")],
    "plain secret": [lambda job: _container(job)["env"].append({"name": "AWS_SECRET_ACCESS_KEY", "value": "canary"})],
    "image": [
        lambda job: _container(job).update(image="keepfit:latest"),
        lambda job: _container(job).update(image="prefecthq/prefect:3.4.0-python3.11-kubernetes"),
    ],
    "unknown variable": [lambda job: _container(job)["env"].append({"name": "KEEPFIT_STOREURL", "value": "x"})],
}


@pytest.mark.parametrize(
    ("problem", "spoil"),
    [pytest.param(problem, spoil, id=problem) for problem, spoils in SPOILT.items() for spoil in spoils],
)
def test_a_pod_that_may_more_is_found(problem: str, spoil: Spoil) -> None:
    job = render(read_pool("cpu"), FROM_THE_DEPLOYMENT)
    spoil(job)
    assert problem in find_pod_problems(job)


def test_the_flow_runs_account_has_no_rights_and_no_token() -> None:
    bound = [each for each in read_cluster() if each["kind"] == "RoleBinding"]
    account = next(each for each in read_cluster() if each["metadata"]["name"] == "keepfit-flow-run")
    assert [subject["name"] for each in bound for subject in each["subjects"]] == ["keepfit-worker"]
    assert account["automountServiceAccountToken"] is False
    assert _pod(render(read_pool("cpu"), {}))["automountServiceAccountToken"] is False


def test_the_worker_has_prefect_kubernetes_and_our_lock_does_not() -> None:
    workers = {each["metadata"]["name"]: each for each in read_cluster() if each["kind"] == "Deployment"}
    for pool in ("cpu-pool", "gpu-pool"):
        container = _container(workers[pool])
        assert container["image"].endswith("-kubernetes")
        assert container["args"][container["args"].index("--pool") + 1] == pool
    assert "prefect-kubernetes" not in read("../../requirements.lock")


def test_spoiling_leaves_the_original_alone() -> None:
    pool = read_pool("cpu")
    assert spoiled(pool, lambda copy: copy["variables"].clear()) != pool == read_pool("cpu")
