"""The steps that make a candidate a version, write its page and move the champion."""

import logging

from infra.artifacts.reference import references_in
from infra.registry.records import Fencing
from tasks.contracts.evaluation import EvaluationReport, Verdict
from tasks.contracts.release import Manifest, Proposal, ReleaseOutcome, ReportRef, VersionRef
from tasks.contracts.runs import RunContext
from tasks.policies import step
from tasks.release.approval import APPROVAL, propose
from tasks.release.versions import version_key
from tasks.workbench import HTML, JSON, opened

logger = logging.getLogger(__name__)


@step
def report(run: RunContext, manifest: Manifest, verdict: Verdict, label: str) -> ReportRef:
    """Return the self-contained HTML page of a version: the verdict first, then the evidence."""
    from tasks.release.page import render_report

    with opened(run) as bench:
        page = render_report(label, bench.spec, manifest, verdict, read=bench.store.read)
        stored = bench.store.put_bytes(page.encode(), HTML)
    logger.info("the page of %s, %d KB", label, stored.size_bytes // 1000)
    return ReportRef(page=stored, label=label)


@step
def register(run: RunContext, manifest: Manifest, verdict: Verdict, page: ReportRef) -> VersionRef:
    """Return the version under which the candidate and all its evidence are known."""
    with opened(run) as bench:
        stored = bench.store.put_bytes(manifest.model_dump_json().encode(), JSON)
        row = bench.registry.register_version(
            Fencing(run.run_id, run.project, run.fence),
            project=run.project,
            key=version_key(manifest),
            manifest=stored,
            content=manifest.model.content,
            payload={"report": page.page.model_dump(mode="json"), APPROVAL: bench.spec.release.approval},
            verdict=verdict.model_dump(mode="json"),
            decision=verdict.decision,
            test_digest=verdict.test_digest,
            blobs=[stored, *references_in(manifest), page.page],
        )
        logger.info("registered as %s@%d", run.project, row.number)
        return VersionRef(
            project=run.project, number=row.number, manifest=stored, content=row.content, created_at=row.created_at
        )


@step
def release(
    run: RunContext, version: VersionRef, verdict: Verdict, evaluation: EvaluationReport, page: ReportRef
) -> ReleaseOutcome:
    """Make the version champion where the verdict says so and no person is to be asked; else the champion stays."""
    fencing = Fencing(run.run_id, run.project, run.fence)
    if verdict.decision != "PROMOTE":
        logger.info("%s is kept, not released", version.label)
        detail = f"{verdict.decision}: {verdict.summary}"
        return ReleaseOutcome(released=False, version=version.label, seq=verdict.champion_seq, detail=detail)
    with opened(run) as bench:
        if bench.spec.release.approval == "operator":
            asked = Proposal(
                project=run.project,
                number=version.number,
                content=version.content,
                run_id=run.run_id,
                verdict=verdict,
                evaluation=evaluation,
                report=page.page,
            )
            return _wait(propose(fencing, asked))
        row = bench.registry.release(
            project=run.project,
            number=version.number,
            expected_seq=verdict.champion_seq,
            kind="promote",
            why=verdict.summary,
            actor="gate",
            fencing=fencing,
            evidence=verdict.model_dump(mode="json"),
        )
    logger.info("%s is champion", version.label)
    return ReleaseOutcome(released=True, version=version.label, seq=row.seq)


def _wait(proposal: Proposal) -> ReleaseOutcome:
    logger.info("%s may go and waits for a person", proposal.label)
    return ReleaseOutcome(
        released=False, proposal=proposal, version=proposal.label, seq=proposal.verdict.champion_seq, detail="It waits."
    )


def next_label(project: str, manifest: Manifest) -> str:
    """Return the label that registering this manifest gives: the known one, or the next free number.

    One run is in flight per project and only runs register, so the number cannot be taken in between.
    """
    from infra.workspace import open_workspace

    registry = open_workspace().registry
    key = version_key(manifest)
    versions = registry.versions(project)
    known = [row.number for row in versions if row.key == key]
    number = known[0] if known else max((row.number for row in versions), default=0) + 1
    return f"{project}@{number}"
