"""How far a run is, as progress artifacts on its page: its stages, and the folds and epochs of its training.

What the work says of itself in the log is all that is read here. A thread of its own brings the page up to date, at
most once in INTERVAL_S, so that the work waits for no server; a server that does not answer is logged once.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import NamedTuple
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from flows.artifacts.publishing import artifact_key
from infra.faults import STEPS
from infra.settings import load_settings
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project

logger = logging.getLogger(__name__)

INTERVAL_S = 1.0
PATIENCE_S = 5.0
"""For so long one update waits for the server, and the end of the run for the last update."""


class Bar(NamedTuple):
    """A progress artifact: how far, from 0 to 100, and in words."""

    percent: float
    text: str


class ProgressPage:
    """The progress artifacts of one flow run."""

    def __init__(self, flow_run_id: UUID) -> None:
        self._run = flow_run_id
        self._bars: dict[str, Bar] = {}
        self._shown: dict[str, Bar] = {}
        self._artifacts: dict[str, UUID] = {}
        self._changed, self._closed = threading.Event(), threading.Event()
        self._trouble = ""
        # With this run's settings: a client without an address would start a server of its own.
        self._thread = threading.Thread(target=copy_context().run, args=(self._keep,), name="progress", daemon=True)
        self._thread.start()

    def show(self, key: str, bar: Bar) -> None:
        """Let the page show this bar soon; returns at once."""
        self._bars[key] = bar
        self._changed.set()

    def close(self) -> None:
        """Bring the page up to date a last time; what the server did not take is logged, once."""
        self._closed.set()
        self._changed.set()
        self._thread.join(timeout=PATIENCE_S)
        if self._thread.is_alive():
            self._trouble = self._trouble or "the server did not answer in time"
        if self._trouble:
            logger.warning("the progress could not be put on the run's page: %s", self._trouble)

    def _keep(self) -> None:
        try:
            with get_client(httpx_settings={"timeout": PATIENCE_S}, sync_client=True) as client:
                while not self._closed.is_set():
                    self._changed.wait()
                    self._changed.clear()
                    self._bring_up_to_date(client)
                    self._closed.wait(INTERVAL_S)
                self._bring_up_to_date(client)
        except (PrefectException, httpx.HTTPError, RuntimeError, ValueError) as error:
            self._trouble = self._trouble or str(error)

    def _bring_up_to_date(self, client: SyncPrefectClient) -> None:
        for key, bar in list(self._bars.items()):
            if self._shown.get(key) == bar:
                continue
            try:
                self._put(client, key, bar)
                self._shown[key] = bar
            except (PrefectException, httpx.HTTPError) as error:
                self._trouble = self._trouble or str(error)

    def _put(self, client: SyncPrefectClient, key: str, bar: Bar) -> None:
        if key in self._artifacts:
            client.update_artifact(self._artifacts[key], ArtifactUpdate(data=bar.percent, description=bar.text))
            return
        asked = ArtifactCreate(key=key, type="progress", data=bar.percent, description=bar.text, flow_run_id=self._run)
        self._artifacts[key] = client.create_artifact(asked).id


class TrainingBar(logging.Handler):
    """Shows what training says of its folds and epochs.

    The bar has one part for each candidate that is searched, one for each of the selection, and one for each model that is
    then fitted on all rows.
    """

    def __init__(self, page: ProgressPage, spec: ProjectSpec) -> None:
        super().__init__(logging.INFO)
        self._page, self._key = page, artifact_key(spec.name, "training")
        self._candidates = list(spec.candidates)
        self._searched = [name for name, candidate in spec.candidates.items() if candidate.search]
        self._parts = len(self._searched) + len(self._candidates) + 1 + len(spec.selection.also_test)
        self._fitted: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        told = getattr(record, "training", None)
        if told:
            self._page.show(self._key, self._draw(**told))
        elif getattr(record, "step", "") == "train" and getattr(record, "phase", "") == "end":
            self._page.show(self._key, Bar(100.0, "Training is done."))

    def _draw(self, what: str, done: int, of: int, figures: str) -> Bar:
        stage, _, part = what.partition(": ")
        name, _, epochs = part.partition(", ")
        unit = "epoch" if epochs else "trial" if stage == "tuning" else "fold"
        counted = f"{unit} {done} of {of}" + (f", {figures}" if figures else "")
        place = self._place(stage, name)
        # A network that is judged on one holdout tells its epochs first and then its only fold.
        percent = 100 * min(1.0, (place + done / of) / self._parts)
        if stage == "tuning":
            return Bar(percent, f"{name} (search {place + 1} of {len(self._searched)}), {counted}")
        if stage == "selection":
            at = place - len(self._searched) + 1
            return Bar(percent, f"{name} (candidate {at} of {len(self._candidates)}), {counted}")
        return Bar(percent, f"{name} on all training rows, {counted}")

    def _place(self, stage: str, name: str) -> int:
        if stage == "tuning":
            return self._searched.index(name) if name in self._searched else 0
        if stage == "selection":
            return len(self._searched) + (self._candidates.index(name) if name in self._candidates else 0)
        if name not in self._fitted:
            self._fitted.append(name)
        return len(self._searched) + len(self._candidates) + self._fitted.index(name)


class StagesBar(logging.Handler):
    """Shows which of the stages are done and which is at work."""

    def __init__(self, page: ProgressPage, spec: ProjectSpec) -> None:
        super().__init__(logging.INFO)
        self._page, self._key = page, artifact_key(spec.name, "stages")
        self._done: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        step, phase = getattr(record, "step", ""), getattr(record, "phase", "")
        if step not in STEPS:
            return
        if phase == "start":
            for later in STEPS[STEPS.index(step) :]:  # judged again, against a new champion
                self._done.pop(later, None)
        elif phase == "end":
            self._done[step] = "as before" if getattr(record, "found", False) else f"{record.seconds:.1f} s"  # type: ignore[attr-defined]
        self._page.show(self._key, self._draw(step if phase == "start" else ""))

    def end(self, last_word: str, *, whole: bool) -> None:
        """Show how the run ended; `whole`: it needed no more stages than it went through."""
        bar = self._draw("")
        percent = 100.0 if whole else bar.percent
        self._page.show(self._key, Bar(percent, f"{last_word} {bar.text}"))

    def _draw(self, now: str) -> Bar:
        words = [f"✓ {step} ({self._done[step]})" if step in self._done else step for step in STEPS]
        at_work = f"Now **{now}**. " if now else ""
        text = f"{at_work}{len(self._done)} of {len(STEPS)} stages: {' · '.join(words)}"
        return Bar(100.0 * len(self._done) / len(STEPS), text)


@contextmanager
def showing_stages(project: str) -> Iterator[None]:
    """Show the stages and the training of the run inside on this flow run's page; without one, nothing is shown."""
    with _opened(project) as bars:
        if bars is None:
            yield
            return
        stages, training = bars
        with _listening(stages, training):
            try:
                yield
            except BaseException as error:
                stages.end(f"Stopped by {type(error).__name__}.", whole=False)
                raise
            stages.end("Done.", whole=True)


@contextmanager
def showing_training(project: str) -> Iterator[None]:
    """Show the folds and epochs of the training inside on this flow run's page; without one, nothing is shown."""
    with _opened(project) as bars, _listening(*(bars[1:] if bars else ())):
        yield


@contextmanager
def _opened(project: str) -> Iterator[tuple[StagesBar, TrainingBar] | None]:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield None
        return
    spec = load_project(load_settings().projects, project).spec
    page = ProgressPage(context.flow_run.id)
    try:
        yield StagesBar(page, spec), TrainingBar(page, spec)
    finally:
        page.close()


@contextmanager
def _listening(*handlers: logging.Handler) -> Iterator[None]:
    root = logging.getLogger("tasks")
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)


class StudyBar(logging.Handler):
    """Shows how many of a study's fits are done."""

    def __init__(self, page: ProgressPage, project: str) -> None:
        super().__init__(logging.INFO)
        self._page, self._key = page, artifact_key(project, "study")
        self._percent = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        told = getattr(record, "training", None)
        if told and told["what"].startswith("study: "):
            what, done, of = told["what"].removeprefix("study: "), told["done"], told["of"]
            epoch = what.endswith(", epoch")
            self._percent = self._percent if epoch else 100 * done / max(of, 1)
            self._page.show(
                self._key, Bar(self._percent, f"{what} {done} of {of}" if epoch else f"{what}, fit {done} of {of}")
            )
        elif getattr(record, "step", "") == "study" and getattr(record, "phase", "") == "end":
            self._page.show(self._key, Bar(100.0, "The study is done."))


@contextmanager
def showing_study(project: str) -> Iterator[None]:
    """Show the fits of the study inside on this flow run's page; without one, nothing is shown."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    page = ProgressPage(context.flow_run.id)
    try:
        with _listening(StudyBar(page, project)):
            yield
    finally:
        page.close()
