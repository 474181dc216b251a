"""Parts of prefect.yaml, for servers that need not know all of it."""

from typing import Any


def keep_deployments(raw: dict[str, Any], kept: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the file with these deployments, and with the automations that start no other."""
    names = {f"{each['entrypoint'].rpartition('.')[2]}/{each['name']}" for each in kept}
    automations = [
        each
        for each in raw["definitions"]["automations"]
        if {action["deployment"] for action in each["actions"] if "deployment" in action} <= names
    ]
    return {**raw, "definitions": {**raw["definitions"], "automations": automations}, "deployments": kept}
