"""The registry: what is known, who may write, which version is in use. The one door to the database.

Every write is one transaction with its audit row, and may be sent twice: the second finds the first one's rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, cast
from uuid import uuid4

from sqlalchemy import select

from infra.artifacts.reference import ArtifactRef
from infra.errors import RegistryError, UsageError
from infra.registry import leases, ledger, migration, releases, runs, versions
from infra.registry.admission import check_digest, check_json, check_project, check_run_id, check_text, clip_text
from infra.registry.engine import Database
from infra.registry.records import (
    AuditRow,
    ChampionRow,
    Fencing,
    FinalState,
    Holder,
    Json,
    ReleaseKind,
    ReleaseRow,
    RunGrant,
    RunRow,
    StepRow,
    VersionRow,
)
from infra.registry.schema import SCHEMA_VERSION, audit, columns_of

LEASE_S = 60.0
PATIENCE_S = 10.0
BLOB_PAGE = 1_000


def open_registry(url: str, *, patience_s: float = PATIENCE_S) -> "Registry":
    """Return the registry at this SQLAlchemy URL, its tables created or migrated where needed.

    Parameters
    ----------
    url
        `sqlite:////folder/registry.db` or `postgresql://user:password@host/database`.
    patience_s
        Seconds that a call waits for another writer, or keeps trying a database that does not answer.

    Raises
    ------
    SettingsError
        The URL names neither.
    RegistryUnavailable
        The database cannot be reached, or is locked for longer than `patience_s`.
    RegistryError
        It refuses this user, or its schema is newer than this code.
    """
    database = Database(url, patience_s=patience_s)
    try:
        migration.ensure_schema(database)
    except BaseException:
        database.engine.dispose()
        raise
    return Registry(database)


class Registry:
    """The registry of one database. Safe to share between threads; each process opens its own.

    Any call raises RegistryUnavailable (try again later) when the database does not answer in time, and UsageError for
    a name, digest or text that may not enter. A fenced write raises LeaseLost when the run's lease has moved on.
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
        return f"Registry({self._database.name})"

    # Runs and leases

    def begin_run(
        self,
        *,
        project: str,
        flow: str,
        trigger_kind: str,
        trigger_key: str | None,
        why: str,
        parameters: Mapping[str, object],
        actor: str,
        holder: Holder,
        lease_s: float = LEASE_S,
    ) -> RunGrant:
        """Return the grant of a new run: the project's lease, and a fence above all earlier ones.

        A lease is free when it ended by the database's clock, or when its holder is a process of this host that is
        gone; the run that held it is marked crashed, and named in `crashed_run_ids`.

        Parameters
        ----------
        trigger_key
            What started the run: one key, at most one effective run of the project. A run that crashed, or failed
            with `retryable`, frees its key; one that completed, failed for good or was cancelled keeps it.
        holder
            `infra.registry.holder.describe_process()`.
        lease_s
            Seconds until the lease ends unless it is renewed.

        Raises
        ------
        DuplicateTrigger
            An effective run with this key exists; its id is the error's `run_id`.
        LeaseHeld
            Another run of the project is in flight.
        """
        request = runs.RunRequest(
            run_id=uuid4().hex,
            project=check_project(project),
            flow=check_text(flow, "flow", limit=200, empty=False),
            trigger_kind=check_text(trigger_kind, "trigger_kind", limit=50, empty=False),
            trigger_key=None if trigger_key is None else check_text(trigger_key, "trigger_key", limit=500, empty=False),
            why=check_text(why, "why"),
            parameters=_json(parameters, "parameters"),
            actor=check_text(actor, "actor", limit=200, empty=False),
            holder=holder,
            lease_s=_check_lease(lease_s),
        )
        answer = self._database.write(lambda tx: runs.begin_run(tx, request))
        if isinstance(answer, RegistryError):
            raise answer
        return answer

    def renew_lease(self, grant: RunGrant | Fencing, lease_s: float = LEASE_S) -> None:
        """Move the end of the run's lease to `lease_s` seconds from now."""
        fencing, seconds = _fencing(grant), _check_lease(lease_s)
        self._database.write(lambda tx: leases.renew_lease(tx, fencing, seconds))

    def finish_run(
        self,
        grant: RunGrant | Fencing,
        *,
        state: FinalState,
        outcome: Mapping[str, object],
        error: str | None = None,
        retryable: bool = False,
    ) -> None:
        """End the run and free the project's lease, in one transaction.

        Parameters
        ----------
        error
            What went wrong; cut to 4,000 characters.
        retryable
            With `failed`: the reason passes, so the trigger key may start another run.
        """
        fencing, result, said = _fencing(grant), _json(outcome, "outcome"), clip_text(error)
        self._database.write(
            lambda tx: runs.finish_run(tx, fencing, state=state, outcome=result, error=said, retryable=retryable)
        )

    def runs(self, project: str | None = None, limit: int = 20) -> list[RunRow]:
        """Return the newest runs of a project, or of all, newest first."""
        name = None if project is None else check_project(project)
        return self._database.read(lambda tx: runs.list_runs(tx, name, limit))

    def run(self, run_id: str) -> RunRow:
        """Return one run. Raises UsageError when there is none of this id."""
        checked = check_run_id(run_id)
        return self._database.read(lambda tx: runs.find_run(tx, checked))

    # The ledger of steps

    def find_step(self, key: str) -> Json | None:
        """Return the result that is in the ledger under this key, None where there is none."""
        checked = check_digest(key, "step key")
        return self._database.read(lambda tx: ledger.find_step(tx, checked))

    def commit_step(
        self,
        grant: RunGrant | Fencing,
        *,
        key: str,
        step: str,
        result: Mapping[str, object],
        blobs: Sequence[ArtifactRef],
        seconds: float,
    ) -> Json:
        """Return the result that the ledger holds under this key: the first that was committed.

        Parameters
        ----------
        key
            SHA-256 of what the step computes: step, code, inputs.
        blobs
            What the step put into the store; the transaction makes them known.
        seconds
            How long it took.
        """
        fencing, content = _fencing(grant), _json(result, f"result of {step}")
        checked, name = check_digest(key, "step key"), check_text(step, "step", limit=100, empty=False)
        return self._database.write(
            lambda tx: ledger.commit_step(
                tx, fencing, key=checked, name=name, result=content, blobs=blobs, seconds=seconds
            )
        )

    def steps(self, run_id: str) -> list[StepRow]:
        """Return the steps that this run committed, in that order."""
        checked = check_run_id(run_id)
        return self._database.read(lambda tx: ledger.list_steps(tx, checked))

    # Versions

    def register_version(
        self,
        grant: RunGrant | Fencing,
        *,
        project: str,
        key: str,
        manifest: ArtifactRef,
        content: str,
        payload: Mapping[str, object],
        verdict: Mapping[str, object],
        decision: str,
        test_digest: str,
        blobs: Sequence[ArtifactRef],
    ) -> VersionRow:
        """Return the version that is registered under this key, now or before.

        Versions of a project count 1, 2, 3, … without gaps. The verdict, the use of the test rows and the blobs come
        in the same transaction.
        """
        fencing = _fencing(grant, project)
        request = versions.VersionRequest(
            key=check_text(key, "key", limit=200, empty=False),
            manifest=manifest,
            content=check_digest(content, "content"),
            payload=_json(payload, "payload"),
            verdict=_json(verdict, "verdict"),
            decision=check_text(decision, "decision", limit=50, empty=False),
            test_digest=check_digest(test_digest, "test_digest"),
            blobs=blobs,
        )
        return self._database.write(lambda tx: versions.register_version(tx, fencing, request))

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

    def record_test_use(self, grant: RunGrant | Fencing, project: str, test_digest: str, content: str) -> int:
        """Return how many candidates these test rows have judged; this one counts once, however often it is sent."""
        fencing = _fencing(grant, project)
        digest, model = check_digest(test_digest, "test_digest"), check_digest(content, "content")
        return self._database.write(lambda tx: versions.record_test_use(tx, fencing, test_digest=digest, content=model))

    # The champion

    def champion(self, project: str) -> ChampionRow:
        """Return the version in use; before the first release `seq` is 0 and `version` None."""
        name = check_project(project)
        return self._database.read(lambda tx: releases.find_champion(tx, name))

    def release(
        self,
        *,
        project: str,
        number: int,
        expected_seq: int,
        kind: ReleaseKind,
        why: str,
        actor: str,
        fencing: RunGrant | Fencing | None,
        evidence: Mapping[str, object],
    ) -> ReleaseRow:
        """Move the champion and return the row that says so. The same run releasing the same version is one release.

        Parameters
        ----------
        expected_seq
            `champion(project).seq` as of when the decision was taken.
        fencing
            The run that releases; None for a person, who needs no lease.
        evidence
            What the decision rests on; kept with the release.

        Raises
        ------
        Conflict
            The champion has moved since.
        UsageError
            There is no such version, it is the champion already, or a rollback goes to what never was the champion.
        """
        request = releases.ReleaseRequest(
            request=uuid4().hex,
            project=check_project(project),
            number=number,
            expected_seq=expected_seq,
            kind=kind,
            why=check_text(why, "why"),
            actor=check_text(actor, "actor", limit=200, empty=False),
            fencing=None if fencing is None else _fencing(fencing, project),
            evidence=_json(evidence, "evidence"),
        )
        return self._database.write(lambda tx: releases.release_version(tx, request))

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
        name = check_project(project)
        if when.tzinfo is None:
            raise UsageError(f"when: expected a time with a zone, received {when.isoformat()!r}.", remedy="Add +00:00.")
        return self._database.read(lambda tx: releases.find_champion_at(tx, name, when.astimezone(UTC)))

    # Blobs, audit, health

    def knows_blob(self, digest: str) -> bool:
        """Return whether a committed transaction named this blob."""
        checked = check_digest(digest, "digest")
        return self._database.read(lambda tx: ledger.knows_blob(tx, checked))

    def known_blobs(self) -> Iterator[ArtifactRef]:
        """Yield every known blob by digest, page by page."""
        after = ""
        while page := self._read_blobs(after):
            yield from page
            after = page[-1].digest

    def _read_blobs(self, after: str) -> list[ArtifactRef]:
        return self._database.read(lambda tx: ledger.list_blobs(tx, after=after, limit=BLOB_PAGE))

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


def _fencing(grant: RunGrant | Fencing, project: str | None = None) -> Fencing:
    run_id, granted, fence = grant.fencing if isinstance(grant, RunGrant) else grant
    if project is not None and granted != project:
        raise UsageError(f"project: expected {granted!r}, whose lease this run holds; received {project!r}.")
    return Fencing(check_run_id(run_id), check_project(granted), fence)


def _check_lease(lease_s: float) -> float:
    if not 0 < lease_s <= 86_400:
        raise UsageError(f"lease_s: expected more than 0 and at most 86,400 seconds, received {lease_s}.")
    return float(lease_s)


def _json(value: Mapping[str, object], name: str) -> Json:
    return cast("Json", check_json(value, name))
