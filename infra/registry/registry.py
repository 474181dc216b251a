"""The registry: what is known, who may write, which version is in use. The one door to the database.

Every write is one transaction with its audit row, and may be sent twice: the second finds the first one's rows.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast
from uuid import uuid4

from infra.artifacts.reference import ArtifactRef
from infra.errors import RegistryError, UsageError
from infra.registry import leases, ledger, migration, refusals, releases, runs, versions
from infra.registry.admission import check_digest, check_json, check_project, check_run_id, check_text, clip_text
from infra.registry.engine import Database, Transaction
from infra.registry.keeping import KeepingRegistry
from infra.registry.records import (
    Fencing,
    FinalState,
    Holder,
    Json,
    ReleaseKind,
    ReleaseRow,
    RunGrant,
    RunRow,
    VersionRow,
)

LEASE_S = 60.0
PATIENCE_S = 10.0


def open_registry(url: str, *, patience_s: float = PATIENCE_S) -> "Registry":
    """Return the registry at this SQLAlchemy URL, its tables created or migrated where needed.

    Parameters
    ----------
    url
        `sqlite:////folder/registry.db` or `postgresql://user:password@host/database`.
    patience_s
        Seconds that a call waits for another writer. A database that does not answer is asked five times within them; one
        that refuses connections is given up after two seconds or so: who looks is told soon, and a result that is to be
        kept waits longer, in its step (tasks/policies.py).

    Raises
    ------
    SettingsError
        The URL names neither.
    RegistryUnavailable
        The database does not answer, or is locked for longer than `patience_s`.
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


class Registry(KeepingRegistry):
    """The registry of one database. Safe to share between threads; each process opens its own.

    Beyond what `RegistryReader` says of every call: a fenced write raises LeaseLost when the run's lease has moved on.
    """

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

    def end_dead_runs(self, actor: str) -> tuple[RunRow, ...]:
        """Return the runs that were found dead and are ended as crashed now, their leases and trigger keys free.

        Dead as `begin_run` sees it: the lease ended by the database's clock, or its holder is a process of this host
        that is gone. One transaction a project; a run that lives is not touched, nor its row locked.
        """
        name, token = check_text(actor, "actor", limit=200, empty=False), uuid4().hex
        end = partial(runs.end_dead_run, actor=name, finder=token)
        suspects = self._database.read(leases.list_dead)
        ended = [self._database.write(partial(end, project=suspect)) for suspect in suspects]
        return tuple(run for run in ended if run is not None)

    # The ledger of steps

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

    def record_test_use(self, grant: RunGrant | Fencing, project: str, test_digest: str, content: str) -> int:
        """Return how many candidates these test rows have judged; this one counts once, however often it is sent."""
        fencing = _fencing(grant, project)
        digest, model = check_digest(test_digest, "test_digest"), check_digest(content, "content")
        return self._database.write(lambda tx: versions.record_test_use(tx, fencing, test_digest=digest, content=model))

    # The champion

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
        overruling: bool = True,
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
        overruling
            Whether a version that a person refused is released all the same.

        Raises
        ------
        Conflict
            The champion has moved since.
        UsageError
            There is no such version, it is the champion already, a rollback goes to what never was the champion, or it
            was refused and this release does not overrule that.
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

        def move(tx: Transaction) -> ReleaseRow:
            if not overruling:
                refusals.require_not_refused(tx, request.project, number)
            return releases.release_version(tx, request)

        return self._database.write(move)

    def refuse_version(
        self, *, project: str, number: int, why: str, actor: str, evidence: Mapping[str, object]
    ) -> None:
        """Keep that a person will not let this version out. Refusing it again changes nothing: the first one stands.

        Raises
        ------
        UsageError
            There is no such version, or it is the champion.
        """
        request = refusals.RefusalRequest(
            project=check_project(project),
            number=number,
            why=check_text(why, "why"),
            actor=check_text(actor, "actor", limit=200, empty=False),
            evidence=_json(evidence, "evidence"),
        )
        self._database.write(lambda tx: refusals.refuse_version(tx, request))


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
