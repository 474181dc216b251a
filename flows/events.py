"""What happened to a project, in Prefect's event feed: what monitoring said, releases and refusals, moves of the breaker.

The registry is the truth and the feed a copy of it: news are told after their transaction, from what the registry says,
and the id of each follows from what it tells, so that told twice is told once. Outside of a flow run nothing is told:
what a command moved without a server, or a process that died right after, is told by the next sweep.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.filters import EventFilter, EventIDFilter, EventOccurredFilter
from prefect.runtime import flow_run

from flows.artifacts.publishing import has_page, publishing
from flows.brakes import LOOP
from flows.orchestrator import FLOW_RUN
from infra.registry.records import AuditRow, BreakerRow, Json, ReleaseRow, WindowReportRow
from infra.workspace import open_workspace
from tasks.release.approval import find_refusals

WINDOW, RELEASE, BREAKER = "keepfit.window", "keepfit.release", "keepfit.breaker"
"""How the events begin that only tell. Nothing in prefect.yaml waits for them; an operator's own automation may."""

LATELY = timedelta(hours=1)
"""So far back the feed is brought up to date; the sweeper comes every ten minutes."""

WINDOWS = 20
"""The newest of a project's windows that are looked at; more are not watched in an hour."""

PAGE = 50
"""Events that the server tells of in one answer."""


class News(NamedTuple):
    """One event, as the feed shows it."""

    event: str
    project: str
    name: str
    """What happened, in a few words."""
    key: str
    """With the time, what tells it apart from any other of its project."""
    at: datetime
    payload: Json
    run_id: str | None = None

    @property
    def id(self) -> UUID:
        """The same for the same news, whoever tells it."""
        return uuid5(NAMESPACE_URL, "\0".join([self.event, self.project, self.key, self.at.isoformat()]))


def tell_news(*projects: str) -> None:
    """Tell of everything that the registry knows since LATELY and that the feed does not show yet.

    Parameters
    ----------
    projects
        Names; none: all that there are.
    """
    if not has_page():
        return
    with publishing("the events"):
        since = datetime.now(UTC) - LATELY
        known = projects or tuple(open_workspace().registry.projects())
        news = [one for project in known for one in find_news(project) if one.at >= since]
        news.sort(key=lambda one: one.at)
        for start in range(0, len(news), PAGE):
            for one in _leave_out_told(news[start : start + PAGE]):
                _emit(one)


def find_news(project: str) -> Iterator[News]:
    """Yield the newest windows, and every move of the champion and of the breaker and every refusal, of this project."""
    registry = open_workspace().registry
    yield from map(_tell_window, registry.window_reports(project, limit=WINDOWS))
    yield from map(_tell_release, registry.history(project))
    yield from (_tell_refusal(project, row) for row in find_refusals(project).values())
    yield from map(_tell_breaker, registry.breaker_moves(project))


def _tell_window(row: WindowReportRow) -> News:
    reasons, drift = row.evidence.get("reasons"), row.evidence.get("drift")
    payload: Json = {
        "project": row.project,
        "window": row.window,
        "status": row.status,
        "version": f"{row.project}@{row.version}" if row.version else None,
        "why": " ".join(map(str, reasons)) if isinstance(reasons, list) else "",
        "drifted": drift.get("drifted", []) if isinstance(drift, dict) else [],
        "as_of": row.as_of.isoformat(),
    }
    event = f"{WINDOW}.{row.status.lower().replace(' ', '-')}"
    return News(event, row.project, f"{row.project}/{row.window}: {row.status}", str(row.id), row.at, payload)


def _tell_release(row: ReleaseRow) -> News:
    version, before = f"{row.project}@{row.version}", f"{row.project}@{row.previous}" if row.previous else None
    if row.kind == "promote":
        event, name = "promoted", f"{version} is the champion"
    else:
        event = "taken-back" if row.actor == LOOP else "rolled-back"
        name = f"{before} is {event.replace('-', ' ')}, {version} is the champion again"
    payload: Json = {"version": version, "before": before, "release": row.seq, "why": row.why, "actor": row.actor}
    return News(f"{RELEASE}.{event}", row.project, name, str(row.seq), row.at, payload, row.run_id)


def _tell_refusal(project: str, row: AuditRow) -> News:
    evidence = row.detail.get("evidence")
    run_id = evidence.get("run_id") if isinstance(evidence, dict) else None
    payload: Json = {"version": row.subject, "why": row.detail["why"], "actor": row.actor}
    asked = run_id if isinstance(run_id, str) else None
    return News(f"{RELEASE}.refused", project, f"{row.subject} is refused", row.subject, row.at, payload, asked)


def _tell_breaker(row: BreakerRow) -> News:
    event = "opened" if row.state == "open" else "closed"
    payload: Json = {"project": row.project, "why": row.why, "actor": row.actor, "evidence": row.evidence}
    name, runs = f"{row.project}: the breaker is {row.state}", row.evidence.get("runs")
    last = str(runs[0]) if isinstance(runs, list) and runs else None  # the newest one comes first
    return News(f"{BREAKER}.{event}", row.project, name, str(row.seq), row.at, payload, last)


def _leave_out_told(news: Sequence[News]) -> list[News]:
    """Return what the server does not have yet: an automation that waits for one of them should see it once."""
    ahead = EventOccurredFilter(until=datetime.now(UTC) + LATELY)  # the registry's clock may be
    wanted = EventFilter(id=EventIDFilter(id=[one.id for one in news]), occurred=ahead)
    with get_client(sync_client=True) as client:
        told = {event.id for event in client.read_events(wanted, limit=PAGE).events}
    return [one for one in news if one.id not in told]


def _emit(news: News) -> None:
    resource = {"prefect.resource.id": f"keepfit.project.{news.project}", "prefect.resource.name": news.name}
    payload: dict[str, Any] = {**news.payload, **({"run": news.run_id} if news.run_id else {})}
    related = _relate_run(news.run_id) if news.run_id else []
    emit_event(news.event, resource, occurred=news.at, related=related, payload=payload, id=news.id)


def _relate_run(run_id: str) -> list[dict[str, str]]:
    """Return the flow run that the news belongs to; the one that tells it Prefect adds by itself."""
    run = open_workspace().registry.run(run_id)
    made_by = run.parameters.get(FLOW_RUN)
    if not isinstance(made_by, str) or made_by == flow_run.id:
        return []
    named = {
        "prefect.resource.id": f"prefect.flow-run.{made_by}",
        "prefect.resource.name": f"{run.project}: {run.trigger_kind}",
    }
    return [{**named, "prefect.resource.role": "flow-run"}]
