"""More processes of this machine on one study: `python -m tasks.training.workers < request.json`.

A worker opens store and registry by itself and is told nothing but where to look: no model and no row goes from process to
process. It ends when the study does, and when whoever started it is gone.
"""

import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from infra.artifacts.reference import ArtifactRef, Digest
from infra.errors import KeepfitError
from infra.importing import importing
from tasks.contracts.frozen import Contract
from tasks.contracts.runs import RunContext

logger = logging.getLogger(__name__)


class Request(Contract):
    """What a worker is to work on."""

    run: RunContext
    rows: ArtifactRef
    candidate: str
    study: Digest


class LocalWorker:
    """A process that works on a study until that is finished."""

    def __init__(self, request: Request) -> None:
        command = [
            sys.executable,
            "-P",
            "-m",
            "tasks.training.workers",
        ]  # -P: a `tasks` in the current folder is not ours
        # A file, not a pipe: nobody reads it before the end, and a full pipe would stop the worker in a trial.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  closed in `end`
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._log, text=True)
        if self.process.stdin is not None:
            self.process.stdin.write(request.model_dump_json() + "\n")
            self.process.stdin.flush()  # and left open: its end says that this process is gone

    def end(self) -> None:
        """Stop it; where it had ended by itself without having finished, log why."""
        code = self.process.poll()
        if code is None:  # it waits for a batch, or works on what somebody else has finished meanwhile
            self.process.kill()
        self.process.communicate()
        if code:
            self._log.seek(0)
            last = self._log.read().strip().splitlines()[-1:] or [f"exit {code}"]
            logger.warning("a worker on the trials ended early, the others did its part: %s", last[0])
        self._log.close()


@contextmanager
def local_workers(request: Request, count: int) -> Iterator[list[LocalWorker]]:
    """Have so many more processes work on the study while the body does; they are gone when it ends."""
    workers: list[LocalWorker] = []
    try:
        for _ in range(count):
            workers.append(LocalWorker(request))
        yield workers
    finally:
        for worker in workers:
            worker.end()


def work(request: Request) -> None:
    """Work on the study until it is finished."""
    from tasks.training.rows import open_table  # noqa: PLC0415  the request is read first
    from tasks.training.selection import open_comparison  # noqa: PLC0415
    from tasks.training.studies import Study, judge_trials  # noqa: PLC0415
    from tasks.training.trials import work_on  # noqa: PLC0415
    from tasks.workbench import opened  # noqa: PLC0415

    with opened(request.run) as bench:
        table = open_table(bench.fetch(request.rows), bench.spec, bench.scratch)
        comparison = open_comparison(judge_trials(bench.spec), table, bench.plugin_loader(), lambda *_: None)
        study = Study.of(bench.spec, request.candidate, request.study, comparison.ruler.metric)
        work_on(study, bench.registry, comparison, lambda _: None)


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Read the request on standard input and work."""
    text = sys.stdin.readline()
    if not text:
        return
    threading.Thread(target=_leave_with_parent, daemon=True, name="parent").start()
    try:
        with importing():
            request = Request.model_validate_json(text)
        work(request)
    except KeepfitError as error:
        sys.stderr.write(f"{type(error).__name__}: {error.message}\n")
        sys.exit(error.exit_code)
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    main()
