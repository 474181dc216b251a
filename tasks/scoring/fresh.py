"""A fresh process in which stored models must load and answer: `python -m tasks.scoring.fresh < request.json`.

What it proves is that a model can be served from its artifact alone, without anything that training left in memory.
"""

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from infra.artifacts.reference import ArtifactRef
from infra.artifacts.store import BlobStore, open_store
from infra.errors import IntegrityError, StoreUnavailable
from infra.frames import read_parquet, write_parquet
from infra.importing import importing
from infra.settings import load_settings
from tasks.contracts.evaluation import ScoredModel
from tasks.contracts.frozen import Contract
from tasks.contracts.models import ModelRef
from tasks.contracts.project import ProjectSpec
from tasks.project import functions_of
from tasks.scoring.answers import add_answers, frame_answers

LATENCY_DRAWS = 30
TIMEOUT_S = 1800.0
MAY_PASS = os.EX_TEMPFAIL
"""Exit code of a process that failed for a reason that may pass by itself, e.g. a store that did not answer."""


class Contender(Contract):
    """One model to ask, by the features that it was trained with; empty: those of the request's spec."""

    role: str
    label: str
    model: ModelRef
    features: tuple[str, ...] = ()


class Request(Contract):
    """What the fresh process is asked."""

    spec: ArtifactRef
    rows: ArtifactRef
    contenders: tuple[Contender, ...]
    output: str


class Reply(Contract):
    """What it answers, beside the table in `Request.output`."""

    models: tuple[ScoredModel, ...]


class FreshProcess:
    """A Python process of its own, importing what scoring needs until it is asked."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-m", "tasks.scoring.fresh"]  # -P: a `tasks` in the current folder is not ours
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def ask(self, request: Request) -> Reply:
        """Return the process's reply; it answers once.

        Raises
        ------
        IntegrityError
            A model did not load or answer there.
        StoreUnavailable
            The store did not answer there.
        """
        try:
            said, complained = self._process.communicate(request.model_dump_json(), timeout=TIMEOUT_S)
        finally:
            self.stop()
        if self._process.returncode == MAY_PASS:
            raise StoreUnavailable(complained.strip(), remedy="Try again when the store answers.")
        if self._process.returncode != 0:
            last = "\n".join(complained.strip().splitlines()[-3:])
            raise IntegrityError(
                f"A stored model did not load and answer in a fresh process (exit {self._process.returncode}): {last}",
                remedy="Nothing was released. Train again; `keepfit doctor` tells whether the store is sound.",
            )
        return Reply.model_validate_json(said.splitlines()[-1])

    def stop(self) -> None:
        """End the process, asked or not."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


_standing_by: list[FreshProcess] = []


@contextmanager
def standing_by(*, wanted: bool) -> Iterator[None]:
    """Have a fresh process import its libraries while the body works: it answers the first question asked inside."""
    if not wanted:
        yield
        return
    process = FreshProcess()
    _standing_by.append(process)
    try:
        yield
    finally:
        if process in _standing_by:
            _standing_by.remove(process)
            process.stop()


def ask_fresh_process(request: Request) -> Reply:
    """Return the reply of the process that stands by, or of a new one.

    Raises
    ------
    IntegrityError, StoreUnavailable
        As in `FreshProcess.ask`.
    """
    return (_standing_by.pop() if _standing_by else FreshProcess()).ask(request)


def answer(request: Request, store: BlobStore, scratch: Path) -> Reply:
    """Load each model from the store, let it answer all rows, and write the table of answers."""
    from tasks.models.loading import load_model

    spec = ProjectSpec.model_validate_json(store.read(request.spec))
    rows = read_parquet(store.fetch(request.rows, scratch / "rows.parquet"))
    table = frame_answers(rows, spec)
    models = []
    for place, contender in enumerate(request.contenders):
        artifact = contender.model.artifact
        path = store.fetch(artifact, scratch / f"model-{place}")
        model = load_model(path, contender.model.content, functions_of(load_settings().projects, spec.name))
        features = rows[list(contender.features or spec.features)]
        table = add_answers(table, f"{contender.role}:{contender.label}", model, features)
        models.append(
            ScoredModel(
                role=contender.role,
                label=contender.label,
                artifact=artifact.digest,
                content=contender.model.content,
                latency_ms=measure_latency(model, features),
                size_bytes=artifact.size_bytes,
            )
        )
    write_parquet(table, Path(request.output))
    return Reply(models=tuple(models))


def measure_latency(model: Any, features: pd.DataFrame) -> float:
    """Return the median time of an answer for one row, in milliseconds, after one to warm up."""
    row = features.iloc[:1]
    times = []
    for _ in range(LATENCY_DRAWS + 1):
        started = time.perf_counter()
        model.predict(row)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]) * 1000


def main() -> None:
    """Import what answering needs, then answer the request on standard input."""
    with importing():
        importlib.import_module("tasks.models.loading")
    text = sys.stdin.read()
    if not text:  # nobody asked, or who would have asked is gone
        return
    settings = load_settings()
    request = Request.model_validate_json(text)
    with tempfile.TemporaryDirectory(prefix="keepfit-fresh-") as scratch:
        try:
            reply = answer(request, open_store(settings.store, settings.store_deadline_s), Path(scratch))
        except StoreUnavailable as error:
            sys.stderr.write(error.message)
            sys.exit(MAY_PASS)
    sys.stdout.write(reply.model_dump_json() + "\n")


if __name__ == "__main__":
    main()
