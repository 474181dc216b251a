"""The sweeper: ends what died without a word, in the registry and in Prefect, and removes what nothing names.

Each part looks first and acts on what it still finds then, so two sweeps at once do no harm. The registry's ledger is the
truth; Prefect's view is brought to it, never the other way round.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx
from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.exceptions import PrefectException
from prefect.states import Completed
from pydantic import Field

from flows.events import tell_news
from flows.forms import explained
from flows.orchestrator import reach_orchestrator
from flows.reconciling import cancel_children, crash_stuck, reconcile, skip_late_sweeps
from infra.actor import actor_name
from infra.artifacts.reference import FRESH_FOR
from infra.artifacts.store import BlobStore
from infra.registry.reading import PAGE
from infra.registry.registry import Registry
from infra.workspace import open_workspace
from tasks.contracts.frozen import Contract

logger = logging.getLogger(__name__)

GRACE = timedelta(hours=48)
"""A blob younger than this may yet be named; much longer than FRESH_FOR, which a put makes sure of."""
KEPT = timedelta(days=14)
"""The last checkpoint of a training that died is kept for so long."""
PENDING = timedelta(minutes=10)
"""No worker takes so long to start a process; a pool that pulls large images may need more."""
STUDIES = timedelta(days=90)
"""A search on which nobody has worked for so long is forgotten: it would only be found again by one of the same rows and code."""

Minutes = Annotated[int, Field(ge=1, le=10_000)]
"""Less than 1 would end runs whose process is just about to start."""
Hours = Annotated[int, Field(ge=int(FRESH_FOR / timedelta(hours=1)), le=100_000)]
"""Less would take the temporary file of a put that goes on, or a blob that a run is about to name."""
Days = Annotated[int, Field(ge=1, le=10_000)]
"""Less would take what a run that was killed tonight is to go on with tomorrow."""


class SweepReport(Contract):
    """What a sweep found and put right."""

    crashed: tuple[str, ...] = Field((), description="Runs that had died, ended as crashed in the registry.")
    stuck: tuple[str, ...] = Field((), description="Flow runs that never got going, ended as crashed.")
    cancelled: tuple[str, ...] = Field((), description="Trainings whose run had ended, cancelled.")
    reconciled: tuple[str, ...] = Field((), description="Flow runs brought to the state that the registry has.")
    orphans: int = Field(0, description="Blobs that nothing named, deleted.")
    orphan_bytes: int = Field(0, description="Their size.")
    leftovers: int = Field(0, description="Unfinished writes of dead writers, removed.")
    studies: int = Field(0, description="Searches of parameters that nobody has worked on for long, forgotten.")
    trials: int = Field(0, description="Their trials.")

    @property
    def found_nothing(self) -> bool:
        return self == SweepReport()

    def lines(self) -> list[str]:
        """Return one sentence for each kind of thing that was found; one that says so where nothing was."""
        if self.found_nothing:
            return ["Nothing was dead, stuck or left over."]
        named = (
            ("ended {} dead run(s) in the registry", self.crashed),
            ("ended {} flow run(s) that never got going", self.stuck),
            ("cancelled {} training(s) whose run had ended", self.cancelled),
            ("brought {} flow run(s) to the state in the registry", self.reconciled),
        )
        lines = [f"{said.format(len(names))}: {', '.join(names)}" for said, names in named if names]
        if self.orphans:
            lines.append(f"deleted {self.orphans} blob(s) that nothing named, {self.orphan_bytes:,} bytes")
        if self.leftovers:
            lines.append(f"removed {self.leftovers} unfinished write(s)")
        if self.studies:
            lines.append(f"forgot {self.studies} old search(es) of parameters with {self.trials} trial(s)")
        return lines


@flow(name="sweep", flow_run_name="sweep", persist_result=False, validate_parameters=True)
@explained
def sweep(pending_minutes: Minutes = 10, grace_hours: Hours = 48, study_days: Days = 90) -> State[SweepReport]:
    """End what died without a word and remove what nothing names; tell the event feed what nobody told it.

    Parameters
    ----------
    pending_minutes
        A flow run that is pending for longer is ended; at least 1.
    grace_hours
        A blob that nothing names is deleted once it is older, and so is what an unfinished write left; at least 12.
    study_days
        A search of parameters and its trials leave the registry once nobody has worked on it for so long; at least 1. Every
        version keeps the trials of its own search as evidence.
    """
    with reach_orchestrator() as client:
        lengths = (timedelta(minutes=pending_minutes), timedelta(hours=grace_hours), timedelta(days=study_days))
        report = sweep_all(client, *lengths)
    tell_news()
    publish(report)
    return Completed(message="; ".join(report.lines()), data=report)


def sweep_all(
    client: SyncPrefectClient | None,
    pending: timedelta = PENDING,
    grace: timedelta = GRACE,
    studies: timedelta = STUDIES,
) -> SweepReport:
    """Return what was found and put right; without a client Prefect is left alone."""
    place = open_workspace()
    crashed = place.registry.end_dead_runs(f"sweep by {actor_name()}")
    report = SweepReport(crashed=tuple(f"{run.project} {run.run_id}" for run in crashed))
    if client is not None:
        # Reconciled first: what the registry knows of a run is worth more than how long it seems to hang.
        reconciled = reconcile(client, place.registry)
        cancelled = cancel_children(client, place.registry)
        stuck = crash_stuck(client, pending)
        skip_late_sweeps(client, pending)
        report = report.model_copy(update={"reconciled": reconciled, "cancelled": cancelled, "stuck": stuck})
    # A training that nobody took up again in all that time: its last checkpoint is an orphan from here on.
    place.registry.drop_old_checkpoints(KEPT)
    orphans, size_bytes = delete_orphans(place.store, place.registry, grace, datetime.now(UTC))
    leftovers = place.store.clear_partial(grace)
    report = report.model_copy(update={"orphans": orphans, "orphan_bytes": size_bytes, "leftovers": leftovers})
    forgotten = place.registry.forget_studies(studies, f"sweep by {actor_name()}")
    report = report.model_copy(update=forgotten._asdict())
    for line in report.lines():
        logger.info("%s", line)
    return report


def delete_orphans(store: BlobStore, registry: Registry, grace: timedelta, now: datetime) -> tuple[int, int]:
    """Return how many blobs that nothing names were deleted, and their bytes.

    Only blobs that no run in flight can have put: those are younger than the run, less FRESH_FOR. What is left of a
    race, somebody who puts the same bytes between the last look at a blob and its deletion, lasts a millisecond
    once in `grace`.
    """
    limit = _oldest_wanted(registry, grace, now)
    deleted = size_bytes = 0
    for digest, size in sorted(_find_unnamed(store, registry, limit).items()):
        modified_at = store.modified_at(digest)  # once more: a put since the listing has made the blob young again
        if modified_at is not None and modified_at < limit and not registry.knows_blob(digest):
            store.delete(digest)
            deleted, size_bytes = deleted + 1, size_bytes + size
    return deleted, size_bytes


def _oldest_wanted(registry: Registry, grace: timedelta, now: datetime) -> datetime:
    started = [run.started_at for run in registry.runs(state="running", limit=10_000)]
    return min([now - max(grace, FRESH_FOR), *(moment - FRESH_FOR for moment in started)])


def _find_unnamed(store: BlobStore, registry: Registry, limit: datetime) -> dict[str, int]:
    """Return the sizes of the old blobs that nothing names, by digest."""
    suspects: dict[str, int] = {}
    page: dict[str, int] = {}
    for blob in store.list_blobs():
        if blob.modified_at < limit:
            page[blob.digest] = blob.size_bytes
        if len(page) == PAGE:
            suspects |= _leave_out(page, registry.known_among(page))
            page = {}
    return suspects | _leave_out(page, registry.known_among(page))


def _leave_out(sizes: dict[str, int], known: frozenset[str]) -> dict[str, int]:
    return {digest: size for digest, size in sizes.items() if digest not in known}


def publish(report: SweepReport) -> None:
    """Put the report on the run's page; one that cannot be written there is in the log."""
    text = "\n".join(["# Sweep", *(f"- {line}" for line in report.lines())])
    try:
        create_markdown_artifact(text, key="sweep", description="What the sweeper found and put right.")
    except (PrefectException, httpx.HTTPError) as error:
        logger.warning("the report could not be put on the run's page: %s", error)
