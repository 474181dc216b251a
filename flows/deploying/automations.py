"""Automations, installed by name: one that is there is brought up to date, one that an operator switched off stays off."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import AutomationCore


def install_automations(
    client: SyncPrefectClient, automations: list[dict[str, Any]], deployments: Mapping[str, UUID]
) -> list[AutomationCore]:
    """Return the automations as they stand on the server now; twice is once.

    Parameters
    ----------
    deployments
        Ids by full name: an action names its deployment, the server wants the id.
    """
    return [_install(client, AutomationCore.model_validate(_resolve(raw, deployments))) for raw in automations]


def _resolve(raw: Mapping[str, Any], deployments: Mapping[str, UUID]) -> dict[str, Any]:
    actions = []
    for action in raw["actions"]:
        rest = {key: value for key, value in action.items() if key != "deployment"}
        named = action.get("deployment")
        actions.append(rest if named is None else {**rest, "deployment_id": deployments[named]})
    return {**raw, "actions": actions}


def _install(client: SyncPrefectClient, wanted: AutomationCore) -> AutomationCore:
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
        return wanted
    first, *others = found
    for other in others:
        client.delete_automation(other.id)  # two of one name would act twice
    wanted = wanted.model_copy(update={"enabled": first.enabled})
    if _content(wanted) != _content(first):
        # Only where something changed: an update starts each run's wait for its next heartbeat anew.
        client.update_automation(first.id, _settable(wanted))
    return wanted


def _settable(automation: AutomationCore) -> AutomationCore:
    # The client sends every field that is set, and the server refuses its own.
    return AutomationCore.model_validate(automation.model_dump(exclude={"owner_resource"}))


def _content(automation: AutomationCore) -> object:
    return _without_ids(AutomationCore.model_validate(automation.model_dump()).model_dump(mode="json"))


def _without_ids(value: object) -> object:
    """Return the value without what the server made up, lists of names in one order."""
    if isinstance(value, dict):
        return {key: _without_ids(part) for key, part in value.items() if key not in {"id", "parent"}}
    if isinstance(value, list):
        parts = [_without_ids(part) for part in value]
        return sorted(parts, key=repr)
    return value
