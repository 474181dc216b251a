"""`keepfit deploy`, `pause`, `resume` and `sweep`: what an operator asks of the Prefect server that is in use."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from flows.cli.render import console, fail_after_answer, rows_table
from flows.cli.server import LOOPBACK, prepare_environment, spare_loopback
from infra.errors import UsageError
from infra.settings import load_settings
from infra.workspace import make_home
from tasks.project import load_project

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import DeploymentSchedule
    from prefect.client.schemas.responses import DeploymentResponse

    from flows.deploying import Deployed


def prepare() -> None:
    """Set this process up for a server that runs already; before Prefect is imported, which reads its settings then."""
    settings = load_settings()
    prepare_environment(settings)
    make_home(settings.home)
    if urlsplit(os.environ.get("PREFECT_API_URL", "")).hostname in (LOOPBACK, "localhost"):
        spare_loopback()


def deploy_checkout(cpu_slots: int | None, gpu_slots: int | None, *, as_json: bool) -> None:
    """Bring prefect.yaml to the server, and print what stands there now.

    Raises
    ------
    UsageError
        After all of that, where a project has no deployment or another schedule than its own.
    """
    prepare()
    from flows.deploying import deploy

    said = Console(stderr=True, quiet=as_json)
    checkout = Path(os.environ.get("KEEPFIT_CHECKOUT") or ".").resolve()
    done = deploy(
        checkout, cpu_slots, gpu_slots, lambda line: said.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    )
    if as_json:
        print(json.dumps(_as_json(done), indent=2))
    else:
        _print(done)
    if done.neglected:
        error = UsageError(
            f"prefect.yaml and the projects differ: {'; '.join(done.neglected)}.",
            remedy="Everything else is deployed. Correct prefect.yaml, then deploy again.",
        )
        fail_after_answer(error, as_json=as_json)


def _as_json(done: "Deployed") -> dict[str, Any]:
    return {
        "server": done.server,
        "pools": [row._asdict() for row in done.pools],
        "deployments": [{**row._asdict(), "deployment_id": str(row.deployment_id)} for row in done.deployments],
        "automations": [{"name": each.name, "enabled": each.enabled} for each in done.automations],
        "neglected": done.neglected,
    }


def _print(done: "Deployed") -> None:
    rows = [(row.name, row.place, row.schedule, "paused" if row.paused else "") for row in done.deployments]
    console.print(rows_table(("deployment", "pool / queue", "schedule", ""), rows))
    console.print(rows_table(("pool", "queue", "priority", "runs at once"), [_spell(row) for row in done.pools]))
    for automation in done.automations:
        console.print(f"  automation  {automation.name}{'' if automation.enabled else ' (switched off)'}")
    console.print(f"  server      {done.server.removesuffix('/').removesuffix('/api')}")
    console.print("  next        keepfit trigger PROJECT --wait")


def _spell(row: Any) -> tuple[Any, ...]:
    return (row.pool, row.queue, row.priority, "as many as the pool" if row.limit is None else row.limit)


def switch_schedules(project: str, *, active: bool, as_json: bool) -> None:
    """Pause or resume the schedules of a project's retraining, and say when it runs next.

    Raises
    ------
    UsageError
        There is no such project, deployment or schedule.
    """
    load_project(load_settings().projects, project)
    prepare()
    from flows.orchestrator import reach_orchestrator

    with reach_orchestrator() as client:
        found = find_retraining(client, project)
        if not found.schedules:
            raise UsageError(
                f"{project}: has no schedule.",
                remedy=f"Say `schedule:` in its project.yaml; `keepfit trigger {project}`.",
            )
        if active and found.paused:
            client.resume_deployment(found.id)
        for schedule in found.schedules:
            if schedule.active != active:
                client.update_deployment_schedule(found.id, schedule.id, active=active)
        found = find_retraining(client, project)
    upcoming = min((find_next(schedule) for schedule in found.schedules), default=None) if active else None
    if as_json:
        answer = {"project": project, "deployment": f"retrain/{project}", "paused": not active}
        print(json.dumps({**answer, "next_run": upcoming and upcoming.isoformat()}, indent=2))
        return
    for schedule in found.schedules:
        console.print(f"{project}: {_name_schedule(schedule)} is {'on' if active else 'paused'}.")
    if upcoming:
        console.print(f"  next run  {upcoming:%Y-%m-%d %H:%M} UTC")
    else:
        console.print(f"  by hand   keepfit trigger {project}\n  again     keepfit resume {project}")


def find_retraining(client: "SyncPrefectClient", project: str) -> "DeploymentResponse":
    """Return the deployment `retrain/PROJECT`. Raises UsageError where the server has none."""
    from flows.deploying.deployments import read_deployment

    found = read_deployment(client, f"retrain/{project}")
    if found is None:
        raise UsageError(
            f"{project}: expected the deployment retrain/{project} on the Prefect server; it has none.",
            remedy="`keepfit deploy` makes it, once prefect.yaml has a stanza for the project as it has for iris.",
        )
    return found


def find_next(schedule: "DeploymentSchedule", after: datetime | None = None) -> datetime:
    """Return when a cron schedule fires next, in UTC.

    Raises
    ------
    UsageError
        It is a schedule of another kind.
    """
    from cronsim import CronSim

    cron, zone = getattr(schedule.schedule, "cron", None), getattr(schedule.schedule, "timezone", None)
    if cron is None:
        raise UsageError(
            "Expected a schedule with `cron`, as prefect.yaml has them; this one was made by somebody else."
        )
    return next(CronSim(cron, (after or datetime.now(UTC)).astimezone(ZoneInfo(zone or "UTC")))).astimezone(UTC)


def _name_schedule(schedule: "DeploymentSchedule") -> str:
    return f"schedule {getattr(schedule.schedule, 'cron', '?')!r} ({getattr(schedule.schedule, 'timezone', 'UTC')})"


def sweep_here(*, as_json: bool) -> None:
    """Sweep in this process: in the registry and the store always, in Prefect where a server is named."""
    prepare()
    from flows.orchestrator import reach_orchestrator
    from flows.sweeping import sweep_all

    if os.environ.get("PREFECT_API_URL"):
        with reach_orchestrator() as client:
            report = sweep_all(client)
    else:
        report = sweep_all(None)
    if as_json:
        print(report.model_dump_json(indent=2))
        return
    for line in report.lines():
        console.print(line)
