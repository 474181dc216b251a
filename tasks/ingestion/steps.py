"""The step of ingestion: the source as an immutable snapshot."""

import logging
from datetime import UTC, datetime

from tasks.contracts.data import Snapshot
from tasks.contracts.runs import RunContext
from tasks.policies import step
from tasks.workbench import PARQUET, opened

logger = logging.getLogger(__name__)


@step
def ingest(run: RunContext) -> Snapshot:
    """Return the snapshot of what the source holds as of the run's time."""
    from infra.frames import digest_frame, write_parquet
    from tasks.ingestion.reading import read_source
    from tasks.ingestion.windows import read_as_scored

    with opened(run) as bench:
        project = bench.plugin()
        rows, source = read_source(bench.spec, project.folder.path, run.as_of, project.load)
        as_scored = read_as_scored(project, rows)
        path = bench.scratch / "snapshot.parquet"
        write_parquet(rows, path)
        data = bench.store.put_file(path, PARQUET)
        snapshot = Snapshot(
            digest=digest_frame(rows),
            data=data,
            rows=len(rows),
            columns=tuple(map(str, rows.columns)),
            source=source,
            as_of=run.as_of,
            taken_at=datetime.now(UTC),
            is_new=not bench.registry.knows_blob(data.digest),
            as_scored=None if as_scored is None else bench.save_frame(as_scored),
        )
    known = "new" if snapshot.is_new else "known already"
    logger.info("%d rows of %d columns, snapshot %s (%s)", len(rows), len(rows.columns), snapshot.digest[:12], known)
    return snapshot
