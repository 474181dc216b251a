"""A version that may go and waits for a person: proposed with the gate's evidence, then released or refused.

A proposal is an entry of the ledger under the version and the champion that it was judged against: proposing twice is
once, and as soon as the champion moves nothing waits any more.
"""

import hashlib
import json
from typing import Literal, NamedTuple

from infra.errors import Conflict, KeepfitError, UsageError
from infra.registry.records import AuditRow, Fencing, Json, ReleaseRow
from infra.workspace import open_workspace
from tasks.contracts.release import Manifest, Proposal
from tasks.policies import references_in
from tasks.release.moves import require_words
from tasks.release.stored import parse_label

STEP = "propose"
APPROVAL = "approval"
"""The field of a version's payload that says who must approve it."""


class Settlement(NamedTuple):
    """How a proposal ended, and in which words a person is told so."""

    end: Literal["approved", "refused", "superseded"]
    message: str


def propose(fencing: Fencing, proposal: Proposal) -> Proposal:
    """Return the proposal as the ledger keeps it: this one, or the one that an earlier run made of the same.

    Raises
    ------
    Conflict
        The champion has moved since the verdict: nobody should be asked about it.
    """
    registry = open_workspace().registry
    if registry.champion(proposal.project).seq != proposal.verdict.champion_seq:
        raise _error(Settlement("superseded", _explain_superseded(proposal)), proposal)
    kept = registry.commit_step(
        fencing,
        key=_key(proposal.project, proposal.number, proposal.verdict.champion_seq),
        step=STEP,
        result=json.loads(proposal.model_dump_json()),
        blobs=list(references_in(proposal)),
        seconds=0.0,
    )
    return Proposal.model_validate(kept)


def find_waiting(project: str) -> list[Proposal]:
    """Return what waits for a person now, the newest version first."""
    registry = open_workspace().registry
    champion = registry.champion(project)
    asked = [row.number for row in registry.versions(project) if row.payload.get(APPROVAL) == "operator"]
    keys = {number: _key(project, number, champion.seq) for number in reversed(asked)}
    found, refused = registry.find_steps(keys.values()), registry.refusals(project)
    return [
        Proposal.model_validate(found[key]) for number, key in keys.items() if key in found and number not in refused
    ]


def find_proposal(label: str, run_id: str = "") -> Proposal:
    """Return the proposal of a version.

    Parameters
    ----------
    label
        The version, e.g. iris@7.
    run_id
        The run that proposed it; empty: whichever did against the champion of now.

    Raises
    ------
    UsageError
        There is no such version, or it does not wait; the message says why.
    """
    project, number = parse_label(label)
    registry = open_workspace().registry
    registry.version(project, number)
    found: list[Json | None]
    if run_id:
        found = [row.result for row in registry.steps(run_id) if row.step == STEP and row.result["number"] == number]
    else:
        found = [registry.find_step(_key(project, number, registry.champion(project).seq))]
    for proposal in found:
        if proposal is not None:
            return Proposal.model_validate(proposal)
    why = f" in run {run_id}" if run_id else _explain(project, number)
    raise UsageError(
        f"{label} does not wait for approval{why}.",
        remedy=f"`keepfit run {project}` judges anew; `keepfit promote {label} --why …` moves the champion by hand.",
    )


def find_refusals(project: str) -> dict[int, AuditRow]:
    """Return by whom, when and why versions were refused, by their numbers."""
    return open_workspace().registry.refusals(project)


def find_settlement(proposal: Proposal) -> Settlement | None:
    """Return how the proposal ended; None while it waits."""
    registry = open_workspace().registry
    champion_seq = registry.champion(proposal.project).seq  # before the history: a move in between is in that
    if (row := _find_release(proposal)) is not None:
        return Settlement("approved", f"{proposal.label} was released (release {row.seq}) by {_said(row)}")
    if (refusal := registry.refusal(proposal.project, proposal.number)) is not None:
        return Settlement("refused", f"{proposal.label} was refused by {_said(refusal)}")
    if champion_seq != proposal.verdict.champion_seq:
        return Settlement("superseded", _explain_superseded(proposal))
    return None


def approve_proposal(proposal: Proposal, why: str, by: str) -> Settlement:
    """Make the version champion in place of the one that it was judged against; a second time is once.

    Raises
    ------
    UsageError
        No reason or no name, or it was refused.
    Conflict
        The champion has moved since: the evidence speaks of another one.
    IntegrityError, BlobNotFound
        Its model is no longer what was stored.
    """
    reason, actor = require_words(why, "why"), require_words(by, "by")
    workspace = open_workspace()
    settled = find_settlement(proposal)
    if settled is not None and settled.end == "approved":
        return settled
    if settled is not None:
        raise _error(settled, proposal)
    manifest = workspace.registry.version(proposal.project, proposal.number).manifest
    model = Manifest.model_validate_json(workspace.store.read(manifest)).model
    workspace.store.read(model.artifact)  # a champion whose bytes are gone or changed must never be released
    evidence = json.loads(proposal.verdict.model_dump_json())
    try:
        row = workspace.registry.release(
            project=proposal.project,
            number=proposal.number,
            expected_seq=proposal.verdict.champion_seq,
            kind="promote",
            why=reason,
            actor=actor,
            fencing=None,
            evidence={**evidence, "by": "approval", "run_id": proposal.run_id},
            overruling=False,  # somebody may have refused it since we looked
        )
    except Conflict as conflict:
        settled = find_settlement(proposal)
        if settled is not None and settled.end == "approved":  # by somebody else, in the same moment
            return settled
        raise _error(Settlement("superseded", _explain_superseded(proposal)), proposal) from conflict
    return Settlement("approved", f"{proposal.label} is the champion (release {row.seq}), approved by {_said(row)}")


def refuse_proposal(proposal: Proposal, why: str, by: str) -> Settlement:
    """Keep that this version is not to be released, by whom and why; the first refusal stands.

    Raises
    ------
    UsageError
        No reason or no name, or it was released.
    """
    reason, actor = require_words(why, "why"), require_words(by, "by")
    settled = find_settlement(proposal)
    if settled is not None and settled.end == "refused":
        return settled
    if settled is not None:
        raise _error(settled, proposal)
    registry = open_workspace().registry
    evidence = {**json.loads(proposal.verdict.model_dump_json()), "run_id": proposal.run_id}
    registry.refuse_version(
        project=proposal.project, number=proposal.number, why=reason, actor=actor, evidence=evidence
    )
    return Settlement("refused", f"{proposal.label} is refused by {actor}: {reason}")


def _key(project: str, number: int, champion_seq: int) -> str:
    return hashlib.sha256(f"{STEP}\0{project}@{number}\0{champion_seq}".encode()).hexdigest()


def _find_release(proposal: Proposal) -> ReleaseRow | None:
    """Return the move that this proposal led to: the one just after the champion that it was judged against."""
    rows = open_workspace().registry.history(proposal.project)
    following = [row for row in rows if row.seq == proposal.verdict.champion_seq + 1]
    return next((row for row in following if row.version == proposal.number), None)


def _said(row: ReleaseRow | AuditRow) -> str:
    why = row.why if isinstance(row, ReleaseRow) else str(row.detail["why"])
    return f"{row.actor}, {row.at:%Y-%m-%d %H:%M} UTC: {why}"


def _explain_superseded(proposal: Proposal) -> str:
    champion = open_workspace().registry.champion(proposal.project)
    now = f"{proposal.project}@{champion.version}" if champion.version else "nobody"
    against = proposal.verdict.champion or "the dummy baseline"
    return (
        f"{proposal.label} was judged against {against} (release {proposal.verdict.champion_seq}); meanwhile the "
        f"champion is {now} (release {champion.seq}), of which this evidence says nothing."
    )


def _error(settled: Settlement, proposal: Proposal) -> KeepfitError:
    if settled.end == "superseded":
        return Conflict(
            settled.message, remedy=f"`keepfit run {proposal.project}` judges against the present champion."
        )
    return UsageError(
        settled.message,
        remedy=f"`keepfit promote {proposal.label} --why …` overrules." if settled.end == "refused" else "",
    )


def _explain(project: str, number: int) -> str:
    registry = open_workspace().registry
    if registry.champion(project).version == number:
        return ": it is the champion"
    return ": no gate let it go in place of the present champion, or its project asks nobody (release.approval)"
