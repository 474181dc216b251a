"""The step `train` of a run in a process that may be killed: `python -m tests.tasks.training.interrupted PROJECT ROWS`.

It works where the environment says, and prints the step's report and the history of its networks.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from infra.workspace import open_workspace
from tasks.contracts.data import SplitRef
from tasks.contracts.runs import RunContext
from tasks.project import load_project
from tasks.training.steps import train
from tests.infra.registry.builders import begin


def main(name: str, rows: Path) -> None:
    place = open_workspace()
    project = load_project(place.settings.projects, name)
    grant = begin(place.registry, name)
    spec = place.store.put_bytes(project.spec.model_dump_json().encode(), "application/json")
    run = RunContext(
        project=name, run_id=grant.run_id, fence=grant.fence, spec=spec, code=project.code, as_of=datetime.now(UTC)
    )
    ref = place.store.put_file(rows, "application/vnd.apache.parquet")
    parts = SplitRef(train=ref, test=ref, train_rows=1, test_rows=1, test_digest=ref.digest)
    report = train.fn(run, parts)
    history = json.loads(place.store.read(report.history)) if report.history else {}
    sys.stdout.write(json.dumps({"fit": json.loads(report.model_dump_json()), "history": history}) + "\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    main(sys.argv[1], Path(sys.argv[2]))
