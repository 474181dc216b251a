"""The step of validation: which rows keep the contract, with the evidence kept either way."""

import hashlib
import json
import logging

from infra.artifacts.reference import references_in
from tasks.contracts.data import Snapshot, ValidationReport
from tasks.contracts.runs import RunContext
from tasks.policies import step
from tasks.workbench import HTML, JSON, Workbench, opened

logger = logging.getLogger(__name__)


@step
def validate(run: RunContext, snapshot: Snapshot) -> ValidationReport:
    """Return what the contract says of the snapshot; refuse data that may not go on."""
    from tasks.validation.contract import ValidationOutcome, examine_frame
    from tasks.validation.page import render_page

    with opened(run) as bench:
        raw_rows = bench.read_frame(snapshot.data)
        as_scored = bench.read_frame(snapshot.as_scored) if snapshot.as_scored else None
        outcome: ValidationOutcome = examine_frame(raw_rows, bench.spec, as_scored)
        untouched = outcome.problem is None and outcome.accepted.equals(raw_rows)
        report = ValidationReport(
            snapshot=snapshot.digest,
            accepted=snapshot.data if untouched else bench.save_frame(outcome.accepted),
            accepted_rows=len(outcome.accepted),
            quarantined=bench.save_frame(outcome.quarantined) if len(outcome.quarantined) else None,
            quarantined_rows=len(outcome.quarantined),
            checks=outcome.checks,
            warnings=outcome.warnings,
            page=bench.store.put_bytes(render_page(outcome, bench.spec).encode(), HTML),
            result=bench.store.put_bytes(json.dumps(outcome.gx_result, sort_keys=True).encode(), JSON),
        )
        if outcome.problem is not None:
            _keep_evidence(bench, report)
            raise outcome.problem
    for warning in report.warnings:
        logger.warning("%s", warning)
    logger.info(
        "%d checks; %d rows accepted, %d set aside", len(report.checks), report.accepted_rows, report.quarantined_rows
    )
    return report


def _keep_evidence(bench: Workbench, report: ValidationReport) -> None:
    """Make the evidence of refused data known, so that it is found and never swept."""
    from infra.registry.records import Fencing

    run = bench.run
    bench.registry.commit_step(
        Fencing(run.run_id, run.project, run.fence),
        key=hashlib.sha256(f"refused\0{run.run_id}\0{report.page.digest}".encode()).hexdigest(),
        step="validate (refused)",
        result=report.model_dump(mode="json"),
        blobs=list(references_in(report)),
        seconds=0.0,
    )
    logger.warning("the data was refused; the evidence is kept as %s", report.page.key)
