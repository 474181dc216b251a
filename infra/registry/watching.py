"""The writes of monitoring: batches, labels, reports on windows, the breaker. None needs a run: each is keyed by itself."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast
from uuid import uuid4

from infra.artifacts.reference import ArtifactRef
from infra.errors import UsageError
from infra.registry import batches, breakers, labels, window_reports
from infra.registry.admission import (
    check_actor,
    check_digest,
    check_json,
    check_project,
    check_text,
    check_time,
    check_window,
)
from infra.registry.batches import BatchRequest
from infra.registry.reading import RegistryReader
from infra.registry.records import BatchRow, BreakerRow, BreakerState, Json, LabelDeliveryRow, WindowReportRow


class WatchingRegistry(RegistryReader):
    """What monitoring may change; the same write sent twice is one."""

    def add_batch(self, request: BatchRequest) -> BatchRow:
        """Return the window's batch: the same content twice is one batch, and the second gets the first one's row.

        A batch of which no row could be scored gives way to another: mended rows, or a mended contract.

        Raises
        ------
        UsageError
            Another content was scored for this window; there is no such version; or what is given is no batch.
        """
        checked = batches.check_request(request)
        return self._database.write(lambda tx: batches.add_batch(tx, checked))

    def add_labels(
        self, *, project: str, digest: str, blob: ArtifactRef, rows: int, known_at: datetime, actor: str
    ) -> LabelDeliveryRow:
        """Return the delivery of these labels, added now or before.

        Parameters
        ----------
        digest
            Of the labels and of `known_at`: what makes two deliveries one.
        known_at
            When the world knew them: no decision as of an earlier time may use them.
        """
        request = labels.DeliveryRequest(
            project=check_project(project),
            digest=check_digest(digest, "digest"),
            blob=blob,
            rows=rows,
            known_at=check_time(known_at, "known_at"),
            actor=check_actor(actor),
        )
        return self._database.write(lambda tx: labels.add_labels(tx, request))

    def add_window_report(
        self,
        *,
        project: str,
        window: str,
        as_of: datetime,
        version: int | None,
        status: str,
        alarm: bool | None,
        evidence: Mapping[str, object],
        actor: str,
        page: ArtifactRef | None = None,
        blobs: Sequence[ArtifactRef] = (),
    ) -> WindowReportRow:
        """Return the report on this window as of this time: the first that was given stands.

        Parameters
        ----------
        version
            The number of the champion that was watched; None where there was none.
        alarm
            Whether it asks for a retraining; None where that cannot be told.
        blobs
            What the evidence names beside `page`; the transaction makes it known.
        """
        request = window_reports.ReportRequest(
            project=check_project(project),
            window=check_window(window),
            as_of=check_time(as_of, "as_of"),
            version=version,
            status=check_text(status, "status", limit=50, empty=False),
            alarm=alarm,
            evidence=_json(evidence, "evidence"),
            page=page,
            blobs=tuple(blobs),
            actor=check_actor(actor),
        )
        return self._database.write(lambda tx: window_reports.add_window_report(tx, request))

    def move_breaker(
        self,
        project: str,
        state: BreakerState,
        *,
        why: str,
        actor: str,
        evidence: Mapping[str, object],
        expected_seq: int,
    ) -> BreakerRow:
        """Open or close the breaker and return the row that says so.

        Parameters
        ----------
        expected_seq
            `breaker(project).seq` as of when this was decided; 0 before the first move.

        Raises
        ------
        Conflict
            The breaker has moved since.
        UsageError
            It stands so already.
        """
        if state not in ("open", "closed"):
            raise UsageError(f"state: expected open or closed, received {state!r}.")
        request = breakers.BreakerRequest(
            request=uuid4().hex,
            project=check_project(project),
            state=state,
            why=check_text(why, "why", empty=False),
            actor=check_actor(actor),
            evidence=_json(evidence, "evidence"),
            expected_seq=expected_seq,
        )
        return self._database.write(lambda tx: breakers.move_breaker(tx, request))


def _json(value: Mapping[str, object], name: str) -> Json:
    return cast("Json", check_json(value, name))
