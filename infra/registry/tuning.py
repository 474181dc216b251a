"""The writes of a search of parameters. None needs a run: a trial is the same whoever works on it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import cast
from uuid import uuid4

from infra.errors import UsageError
from infra.registry import retention, trials
from infra.registry.admission import check_actor, check_digest, check_json, check_project, check_text, clip_text
from infra.registry.holder import describe_process
from infra.registry.records import Json, StudyRow, TrialClaim, TrialRow
from infra.registry.retention import Forgotten
from infra.registry.trials import ClaimRequest, Proposal, TrialResult
from infra.registry.watching import WatchingRegistry

CLAIM_S = 60.0


class TuningRegistry(WatchingRegistry):
    """Studies and trials; the same write sent twice is one."""

    def open_study(
        self, *, key: str, project: str, candidate: str, settings: Mapping[str, object], actor: str
    ) -> StudyRow:
        """Return the study under this key, opened now or before.

        Parameters
        ----------
        key
            SHA-256 of what it computes: two searches with one key have the same trials.
        settings
            What people need to see what was searched.
        """
        name, who = check_project(project), check_actor(actor)
        checked, of = check_digest(key, "study"), check_text(candidate, "candidate", limit=100, empty=False)
        content = cast("Json", check_json(settings, "settings"))
        return self._database.write(
            lambda tx: trials.open_study(tx, key=checked, project=name, candidate=of, settings=content, actor=who)
        )

    def study(self, key: str) -> StudyRow:
        """Return one study. Raises UsageError when there is none under this key."""
        checked = check_digest(key, "study")
        return self._database.read(lambda tx: trials.find_study(tx, checked))

    def studies(self, project: str) -> list[StudyRow]:
        """Return the project's studies, the newest first."""
        name = check_project(project)
        return self._database.read(lambda tx: trials.list_studies(tx, name))

    def trials(self, study: str) -> list[TrialRow]:
        """Return the trials of a study that somebody claimed, by number."""
        checked = check_digest(study, "study")
        return self._database.read(lambda tx: trials.list_trials(tx, checked))

    def claim_trial(
        self, study: str, proposals: Sequence[Proposal], *, worker: str = "", lease_s: float = CLAIM_S
    ) -> TrialClaim | None:
        """Return a trial for this process to work on; None: all of these are finished or in other hands.

        Parameters
        ----------
        proposals
            The trials that may be worked on now, each with the parameters that belong to its number.
        worker
            What to call this process where people read.
        lease_s
            Seconds until others may take the trial, unless the claim is renewed.
        """
        if not 0 < lease_s <= 86_400:
            raise UsageError(f"lease_s: expected more than 0 and at most 86,400 seconds, received {lease_s}.")
        request = ClaimRequest(
            study=check_digest(study, "study"),
            proposals=[Proposal(number, cast("Json", check_json(params, "params"))) for number, params in proposals],
            token=uuid4().hex,
            worker=check_text(worker, "worker", limit=200),
            holder=describe_process(),
            lease_s=lease_s,
        )
        return self._database.write(lambda tx: trials.claim_trial(tx, request))

    def renew_claim(self, claim: TrialClaim, lease_s: float = CLAIM_S) -> None:
        """Move the end of the claim's lease to `lease_s` seconds from now. Raises LeaseLost when it has moved on."""
        self._database.write(lambda tx: trials.renew_claim(tx, claim, lease_s))

    def finish_trial(self, claim: TrialClaim, result: TrialResult) -> None:
        """Keep how a trial ended: the first end that comes is the one. Raises LeaseLost when another claim has it."""
        clipped = result._replace(error=clip_text(result.error) or "")
        self._database.write(lambda tx: trials.finish_trial(tx, claim, clipped))

    def forget_studies(self, age: timedelta, actor: str) -> Forgotten:
        """Return how many studies, and trials of them, were deleted: those on which nobody has worked for so long.

        Those of a project with a run in flight stay until it has ended. A search that comes back to a study that was
        forgotten makes its trials again, and finds the same.

        Parameters
        ----------
        age
            By the database's clock; at least a day.
        """
        if age < timedelta(days=1):
            raise UsageError(f"age: expected at least a day, received {age}.")
        who, forgotten = check_actor(actor), []
        for project in self._database.read(lambda tx: retention.list_stale(tx, age)):
            forget = partial(retention.forget_studies, project=project, age=age, actor=who)
            while (found := self._database.write(forget)).studies:
                forgotten.append(found)
        return Forgotten(sum(one.studies for one in forgotten), sum(one.trials for one in forgotten))

    def drop_claim(self, claim: TrialClaim) -> None:
        """Let go of a trial that came to no end, so that anybody may claim it at once."""
        self._database.write(lambda tx: trials.drop_claim(tx, claim))
