"""The stack of compose.yaml: valid, closed, without a secret. It was not started: there is no Docker where these tests run."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.deploy.files import (
    Spoil,
    find_image_problems,
    list_unknown_variables,
    read,
    read_compose,
    spoiled,
)

COMPOSE = read_compose()
OURS = "keepfit:"
WORKERS = {"cpu-worker-1": "cpu-pool", "gpu-worker-0": "gpu-pool"}


def check_schema(compose: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the file against the schema of the compose specification that check-jsonschema brings along."""
    path = folder / "compose.yaml"
    path.write_text(yaml.safe_dump(compose))
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [program, "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_schema_of_compose_files_holds(tmp_path: Path) -> None:
    done = check_schema(COMPOSE, tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_schema_finds_a_misspelt_key(tmp_path: Path) -> None:
    def misspell(compose: dict[str, Any]) -> None:
        compose["services"]["postgres"]["imagine"] = "postgres"

    done = check_schema(spoiled(COMPOSE, misspell), tmp_path)
    assert done.returncode == 1
    assert "imagine" in done.stdout


def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def find_open_ports(compose: dict[str, Any]) -> list[str]:
    published = {name: service["ports"] for name, service in services(compose).items() if "ports" in service}
    wrong = [f"{name}: {port}" for name, ports in published.items() for port in ports if port[:10] != "127.0.0.1:"]
    return wrong + [name for name in published if name != "prefect-server"]


def find_unhardened(compose: dict[str, Any]) -> list[str]:
    def is_hardened(service: dict[str, Any]) -> bool:
        user = service.get("user", "10001" if service["image"].startswith(OURS) else "0")
        return (
            service["read_only"] is True
            and service["cap_drop"] == ["ALL"]
            and service["security_opt"] == ["no-new-privileges:true"]
            and user.partition(":")[0] not in ("0", "root")
            and "memory" in service["deploy"]["resources"]["limits"]
            and "cpus" in service["deploy"]["resources"]["limits"]
            and not {"privileged", "cap_add", "network_mode", "pid"} & set(service)
        )

    return [name for name, service in services(compose).items() if not is_hardened(service)]


def find_wrong_images(compose: dict[str, Any]) -> list[str]:
    return [problem for service in services(compose).values() for problem in find_image_problems(service["image"])]


def find_reachable_stores(compose: dict[str, Any]) -> list[str]:
    """Return the stores that are on a network from which one gets outside, or beside a service without business there."""
    inner = {name for name, network in compose["networks"].items() if network and network.get("internal")}
    reachable = [name for name in ("postgres", "seaweed") if not set(services(compose)[name]["networks"]) <= inner]
    near = [name for name, service in services(compose).items() if "store" in service["networks"]]
    return reachable + [name for name in near if name in ("prefect-server", "postgres")]


def interpolations(compose: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield from re.findall(r"\$\{(\w+)(:[?-])?", yaml.safe_dump(compose, width=10_000))


def made_secrets() -> set[str]:
    return set(re.findall(r"^([A-Z_0-9]+)=", read("secrets.sh"), re.MULTILINE))


def find_secret_problems(compose: dict[str, Any]) -> list[str]:
    """Return secrets with a default or that nobody makes, and values that stand where a secret should be asked for."""
    used = set(interpolations(compose))
    asked = {name for name, operator in used if operator == ":?"}
    lax = [name for name, operator in used if operator != ":?" and (name in made_secrets() or not operator)]
    names = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING|_URL$|SIGNING")
    settings = [
        (name, str(value))
        for service in services(compose).values()
        for name, value in service.get("environment", {}).items()
        if names.search(name)
    ]
    harmless = re.compile(
        r"http://[\w.:-]+(/api)?|s3://keepfit/store|\$\{UI_URL:-http://127\.0\.0\.1:4200\}(/api|/v2)?"
    )
    plain = [name for name, value in settings if ":?" not in value and not harmless.fullmatch(value)]
    return lax + sorted(asked ^ made_secrets()) + plain


def find_unknown_variables(compose: dict[str, Any]) -> list[str]:
    return list_unknown_variables(name for service in services(compose).values() for name in service["environment"])


def find_odd_workers(compose: dict[str, Any]) -> list[str]:
    """Return the workers that poll another pool, go by another name, make pools, or hold no GPU where they should."""

    def is_right(name: str, pool: str) -> bool:
        worker = services(compose)[name]
        command, environment = worker["command"], worker["environment"]
        told = dict(pairwise(command))
        devices = worker["deploy"]["resources"].get("reservations", {}).get("devices", [])
        one_gpu = bool(devices) and devices[0]["capabilities"] == ["gpu"] and len(devices[0]["device_ids"]) == 1
        return (
            (told["--pool"], told["--name"], told["--type"]) == (pool, name, "process")
            and environment["KEEPFIT_WORKER"] == name
            and environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == "30"
            and "--no-create-pool-if-not-found" in command
            and (one_gpu and told.get("--limit") == "1" and worker["profiles"] == ["gpu"]) == (pool == "gpu-pool")
        )

    return [name for name, pool in WORKERS.items() if not is_right(name, pool)]


def find_wrong_order(compose: dict[str, Any]) -> list[str]:
    """Return what starts before that on which it rests, or rests on something that never says whether it is ready."""
    wanted = {
        "bucket": {"seaweed": "service_healthy"},
        "prefect-server": {"postgres": "service_healthy"},
        "deploy": {"prefect-server": "service_healthy", "bucket": "service_completed_successfully"},
        **{name: {"deploy": "service_completed_successfully"} for name in WORKERS},
    }
    all_services = services(compose)
    wrong = []
    for name, needs in wanted.items():
        given = {other: how["condition"] for other, how in all_services[name].get("depends_on", {}).items()}
        if given != needs:
            wrong.append(name)
    one_shot = [name for name in ("bucket", "deploy") if all_services[name]["restart"] != "no"]
    lasting = [name for name in all_services if name not in ("bucket", "deploy")]
    return wrong + one_shot + [name for name in lasting if "healthcheck" not in all_services[name]]


def find_broken_code(compose: dict[str, Any]) -> list[str]:
    """Return the services with Python on their command line that does not compile, or that compose would change."""
    broken = []
    for name, service in services(compose).items():
        for command in (service.get("command", []), service.get("healthcheck", {}).get("test", [])):
            for before, code in pairwise(command):
                try:
                    if before == "-c" and command[0] != "postgres":
                        compile(code, name, "exec")
                        assert "$" not in code
                except (SyntaxError, AssertionError):
                    broken.append(name)
    return broken


def setting(service: str, *path: str, to: Any) -> Spoil:
    """Return a change of one value in one service."""

    def change(compose: dict[str, Any]) -> None:
        place = compose["services"][service]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def removing(service: str, key: str) -> Spoil:
    def change(compose: dict[str, Any]) -> None:
        del compose["services"][service][key]

    return change


def opening(network: str) -> Spoil:
    def change(compose: dict[str, Any]) -> None:
        compose["networks"][network] = {}

    return change


RULES: list[tuple[Callable[[dict[str, Any]], list[str]], list[Spoil]]] = [
    (
        find_open_ports,
        [
            setting("prefect-server", "ports", to=["4200:4200"]),
            setting("postgres", "ports", to=["127.0.0.1:5432:5432"]),
        ],
    ),
    (
        find_unhardened,
        [
            setting("seaweed", "read_only", to=False),
            setting("postgres", "cap_drop", to=[]),
            setting("bucket", "security_opt", to=[]),
            setting("deploy", "user", to="root"),
            removing("seaweed", "user"),
            setting("cpu-worker-1", "deploy", to={"resources": {"limits": {"cpus": "1"}}}),
            setting("gpu-worker-0", "privileged", to=True),
        ],
    ),
    (
        find_wrong_images,
        [
            setting("postgres", "image", to="postgres"),
            setting("postgres", "image", to="postgres:latest"),
            setting("postgres", "image", to="postgres:17.2-bookworm"),
            setting("seaweed", "image", to="chrislusf/seaweedfs:3.97"),
            setting("gpu-worker-0", "image", to="keepfit:9.9.9-gpu"),
        ],
    ),
    (
        find_reachable_stores,
        [
            opening("database"),
            opening("store"),
            setting("seaweed", "networks", to=["store", "outside"]),
            setting("prefect-server", "networks", to=["control", "store"]),
        ],
    ),
    (
        find_secret_problems,
        [
            setting("postgres", "environment", "POSTGRES_PASSWORD", to="${POSTGRES_PASSWORD:-postgres}"),
            setting("postgres", "environment", "POSTGRES_PASSWORD", to="${POSTGRES_PASSWORD}"),
            setting("postgres", "environment", "POSTGRES_PASSWORD", to="canary-3b1f"),
            setting("bucket", "environment", "AWS_SECRET_ACCESS_KEY", to="${NOBODY_MAKES_THIS:?say what}"),
            setting("deploy", "environment", "KEEPFIT_DATABASE_URL", to="postgresql://keepfit:canary@postgres/keepfit"),
        ],
    ),
    (
        find_unknown_variables,
        [
            setting("cpu-worker-1", "environment", "KEEPFIT_STORE", to="s3://keepfit"),
            setting("prefect-server", "environment", "PREFECT_SERVER_AUTH_STRING", to="x"),
        ],
    ),
    (
        find_odd_workers,
        [
            setting("cpu-worker-1", "environment", "KEEPFIT_WORKER", to="worker"),
            setting("cpu-worker-1", "environment", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY", to="300"),
            setting("gpu-worker-0", "command", to=COMPOSE["services"]["cpu-worker-1"]["command"]),
            setting("gpu-worker-0", "deploy", to={"resources": {"limits": {}}}),
            setting("gpu-worker-0", "profiles", to=[]),
        ],
    ),
    (
        find_wrong_order,
        [
            setting("deploy", "depends_on", "prefect-server", "condition", to="service_started"),
            removing("cpu-worker-1", "depends_on"),
            removing("postgres", "healthcheck"),
            setting("bucket", "restart", to="unless-stopped"),
        ],
    ),
    (find_broken_code, [setting("bucket", "command", to=["python", "-c", "import boto3 as"])]),
]


@pytest.mark.parametrize("rule", [rule for rule, _ in RULES], ids=lambda rule: rule.__name__)
def test_the_stack_follows_the_rule(rule: Callable[[dict[str, Any]], list[str]]) -> None:
    assert rule(COMPOSE) == []


@pytest.mark.parametrize(
    ("rule", "spoil"),
    [
        pytest.param(rule, spoil, id=f"{rule.__name__}-{number}")
        for rule, spoils in RULES
        for number, spoil in enumerate(spoils)
    ],
)
def test_a_worse_stack_is_found(rule: Callable[[dict[str, Any]], list[str]], spoil: Spoil) -> None:
    assert rule(spoiled(COMPOSE, spoil)) != []
