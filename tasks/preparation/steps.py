"""The step of preparation: training rows and frozen test rows."""

import logging

from tasks.contracts.data import SplitRef, ValidationReport
from tasks.contracts.runs import RunContext
from tasks.policies import step
from tasks.workbench import opened

logger = logging.getLogger(__name__)


@step
def split(run: RunContext, validation: ValidationReport) -> SplitRef:
    """Return which rows train and which rows test, before anything is fitted."""
    from infra.frames import digest_frame
    from tasks.preparation.overlap import count_overlap
    from tasks.preparation.splitting import split_rows

    with opened(run) as bench:
        rows = bench.read_frame(validation.accepted)
        train_positions, test_positions = split_rows(rows, bench.spec)
        train, test = (rows.iloc[part].reset_index(drop=True) for part in (train_positions, test_positions))
        overlap = count_overlap(train, test, list(bench.spec.features))
        warning = f"{overlap} of {len(test)} test rows have the same features as a training row"
        parts = SplitRef(
            train=bench.save_frame(train),
            test=bench.save_frame(test),
            train_rows=len(train),
            test_rows=len(test),
            test_digest=digest_frame(test),
            overlap_rows=overlap,
            left_out_rows=len(rows) - len(train) - len(test),
            warnings=(warning,) if overlap else (),
        )
    for said in parts.warnings:
        logger.warning("%s", said)
    kept = (
        f"; {parts.left_out_rows} left out, older than `training_rows` keeps or within `split.gap`"
        if parts.left_out_rows
        else ""
    )
    logger.info("%d rows to train, %d to test (%s)%s", len(train), len(test), bench.spec.split.method, kept)
    return parts
