"""What may be asked of the registry. No question changes anything, and none needs a lease."""

from collections.abc import Collection, Iterator
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self

from sqlalchemy import select

from infra.artifacts.reference import ArtifactRef
from infra.registry import (
    batches,
    breakers,
    labels,
    ledger,
    migration,
    refusals,
    releases,
    runs,
    versions,
    window_reports,
)
from infra.registry.admission import check_digest, check_project, check_run_id, check_time, check_window
from infra.registry.engine import Database
from infra.registry.records import (
    AuditRow,
    BatchRow,
    BreakerRow,
    ChampionRow,
    Json,
    LabelDeliveryRow,
    ReleaseRow,
    RunRow,
    RunState,
    StepRow,
    VersionRow,
    WindowReportRow,
)
from infra.registry.schema import SCHEMA_VERSION, audit, columns_of

PAGE = 1_000


class RegistryReader:
    """The questions; `Registry` adds what changes the answers.

    Any call raises RegistryUnavailable (try again later) when the database does not answer in time, and UsageError for
    a name, digest or text that may not enter.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database.name})"

    # Runs and leases

    def runs(self, project: str | None = None, limit: int = 20, *, state: RunState | None = None) -> list[RunRow]:
        """Return the newest runs of a project, or of all, newest first; with `state` only those that are in it."""
        name = None if project is None else check_project(project)
        return self._database.read(lambda tx: runs.list_runs(tx, name, limit, state))

    def run(self, run_id: str) -> RunRow:
        """Return one run. Raises UsageError when there is none of this id."""
        checked = check_run_id(run_id)
        return self._database.read(lambda tx: runs.find_run(tx, checked))

    def started_by_alarm(self, project: str, limit: int = 100) -> list[RunRow]:
        """Return the newest runs that drift or worse figures started, newest first: what the brakes look at."""
        name = check_project(project)
        return self._database.read(lambda tx: runs.list_runs(tx, name, limit, None, kinds=runs.ALARMS))

    # The ledger of steps

    def find_step(self, key: str) -> Json | None:
        """Return the result that is in the ledger under this key, None where there is none."""
        checked = check_digest(key, "step key")
        return self._database.read(lambda tx: ledger.find_step(tx, checked))

    def find_steps(self, keys: Collection[str]) -> dict[str, Json]:
        """Return the results that are in the ledger under these keys: one query for up to 1,000."""
        checked = sorted({check_digest(key, "step key") for key in keys})
        pages = (checked[start : start + PAGE] for start in range(0, len(checked), PAGE))
        found = (self._database.read(partial(ledger.find_steps, keys=page)) for page in pages)
        return {key: result for part in found for key, result in part.items()}

    def steps(self, run_id: str) -> list[StepRow]:
        """Return the steps that this run committed, in that order."""
        checked = check_run_id(run_id)
        return self._database.read(lambda tx: ledger.list_steps(tx, checked))

    # Versions

    def version(self, project: str, number: int) -> VersionRow:
        """Return one version. Raises UsageError when it is not registered."""
        name = check_project(project)
        return self._database.read(lambda tx: versions.find_version(tx, name, number))

    def versions(self, project: str) -> list[VersionRow]:
        """Return the project's versions by number."""
        name = check_project(project)
        return self._database.read(lambda tx: versions.list_versions(tx, name))

    def projects(self) -> list[str]:
        """Return the projects that ever began a run, by name."""
        return self._database.read(versions.list_projects)

    def count_test_uses(self, project: str, test_digest: str) -> int:
        """Return how many different candidates these test rows have judged."""
        name, digest = check_project(project), check_digest(test_digest, "test_digest")
        return self._database.read(lambda tx: versions.count_test_uses(tx, name, digest))

    # The champion

    def champion(self, project: str) -> ChampionRow:
        """Return the version in use; before the first release `seq` is 0 and `version` None."""
        name = check_project(project)
        return self._database.read(lambda tx: releases.find_champion(tx, name))

    def rollback_target(self, project: str) -> VersionRow:
        """Return the version that a rollback goes back to: see `releases.stack_champions`. Raises UsageError."""
        name = check_project(project)
        return self._database.read(lambda tx: releases.find_rollback_target(tx, name))

    def history(self, project: str) -> list[ReleaseRow]:
        """Return every move of the champion, the first one first, each with when it ended."""
        name = check_project(project)
        return self._database.read(lambda tx: releases.list_history(tx, name))

    def champion_at(self, project: str, when: datetime) -> ReleaseRow | None:
        """Return the release that was in force at an aware time, None before the first."""
        name, moment = check_project(project), check_time(when, "when")
        return self._database.read(lambda tx: releases.find_champion_at(tx, name, moment))

    def refusal(self, project: str, number: int) -> AuditRow | None:
        """Return by whom, why and on which evidence a version was refused; None where it was not."""
        name = check_project(project)
        return self._database.read(lambda tx: refusals.find_refusal(tx, name, number))

    def refusals(self, project: str) -> dict[int, AuditRow]:
        """Return the refusal of each version of the project that was refused, by its number: one query."""
        name = check_project(project)
        return self._database.read(lambda tx: refusals.list_refusals(tx, name))

    # Monitoring

    def batch(self, project: str, window: str) -> BatchRow | None:
        """Return the scored batch of a window, None where there is none."""
        name, checked = check_project(project), check_window(window)
        return self._database.read(lambda tx: batches.find_batch(tx, name, checked))

    def batches(self, project: str) -> list[BatchRow]:
        """Return the scored batches by the start of their windows."""
        name = check_project(project)
        return self._database.read(lambda tx: batches.list_batches(tx, name))

    def label_deliveries(self, project: str, until: datetime | None = None) -> list[LabelDeliveryRow]:
        """Return the deliveries of labels in the order in which they came; with `until` those known by then."""
        name, moment = check_project(project), None if until is None else check_time(until, "until")
        return self._database.read(lambda tx: labels.list_deliveries(tx, name, moment))

    def window_reports(self, project: str, limit: int = 100) -> list[WindowReportRow]:
        """Return the newest reports on windows, newest first."""
        name = check_project(project)
        return self._database.read(lambda tx: window_reports.list_window_reports(tx, name, limit))

    def breaker(self, project: str) -> BreakerRow | None:
        """Return the newest move of the breaker, None before the first: then it is closed."""
        name = check_project(project)
        return self._database.read(lambda tx: breakers.find_breaker(tx, name))

    def breaker_moves(self, project: str) -> list[BreakerRow]:
        """Return every move of the breaker, the first one first."""
        name = check_project(project)
        return self._database.read(lambda tx: breakers.list_breaker_moves(tx, name))

    # Blobs, audit, health

    def knows_blob(self, digest: str) -> bool:
        """Return whether a committed transaction named this blob."""
        checked = check_digest(digest, "digest")
        return self._database.read(lambda tx: ledger.knows_blob(tx, checked))

    def known_among(self, digests: Collection[str]) -> frozenset[str]:
        """Return which of these blobs a committed transaction named: one query for up to 1,000."""
        checked = sorted({check_digest(digest, "digest") for digest in digests})
        pages = (checked[start : start + PAGE] for start in range(0, len(checked), PAGE))
        return frozenset().union(*(self._database.read(partial(ledger.known_among, digests=page)) for page in pages))

    def known_blobs(self) -> Iterator[ArtifactRef]:
        """Yield every known blob by digest, page by page."""
        after = ""
        while page := self._read_blobs(after):
            yield from page
            after = page[-1].digest

    def _read_blobs(self, after: str) -> list[ArtifactRef]:
        return self._database.read(lambda tx: ledger.list_blobs(tx, after=after, limit=PAGE))

    def audit(self, project: str | None = None, limit: int = 100) -> list[AuditRow]:
        """Return the newest changes of a project, or of all, newest first."""
        query = select(*columns_of(audit, AuditRow)).order_by(audit.c.id.desc()).limit(limit)
        if project is not None:
            query = query.where(audit.c.project == check_project(project))
        rows = self._database.read(lambda tx: tx.execute(query).mappings().all())
        return [AuditRow.model_validate(dict(row)) for row in rows]

    def ping(self) -> None:
        """Return when the database answers. Raises RegistryUnavailable when it does not."""
        self._database.read(lambda tx: tx.read_clock())

    def schema_version(self) -> str:
        """Return the revision of the schema in the database."""
        return migration.read_version(self._database) or f"none (expected {SCHEMA_VERSION})"

    def close(self) -> None:
        """Give back every connection."""
        self._database.engine.dispose()
