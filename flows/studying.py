"""A study of a project's candidates: bias, variance and luck on the training rows. Registers and releases nothing."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import AwareDatetime

from flows.artifacts.study import publish_study
from flows.artifacts.validation import publish_refused_data
from flows.forms import ProjectChoice, explained
from flows.progress import showing_study
from flows.runs import OpenRun, close, running
from infra.errors import DataError
from infra.settings import load_settings
from tasks.contracts.runs import Trigger
from tasks.contracts.study_report import CandidateStudy
from tasks.contracts.values import Name
from tasks.ingestion.steps import ingest
from tasks.preparation.steps import split
from tasks.project import load_project
from tasks.training.steps import study as study_candidates
from tasks.validation.steps import validate


@flow(name="study", flow_run_name="study {project}", persist_result=False, validate_parameters=True)
@explained
def study(
    project: ProjectChoice, candidates: tuple[Name, ...] = (), as_of: AwareDatetime | None = None
) -> State[CandidateStudy]:
    """Find out what a project's candidates suffer from: too simple, over-fitted, too few rows, or nothing that one can see.

    Looks at the training rows alone and changes nothing. It holds the project as a run does, so that no retraining of it begins
    meanwhile.

    Parameters
    ----------
    project
        The project whose candidates are studied: the name of a folder under projects/.
    candidates
        Only these of its candidates; empty: all, which can then be told apart.
    as_of
        The data as known at this time, with its time zone; empty: now.
    """
    loaded = load_project(load_settings().projects, project)
    parameters = {"as_of": as_of and as_of.isoformat(), "candidates": list(candidates)}
    with running(loaded, "study", Trigger(why="a study"), as_of, parameters) as run, showing_study(project):
        report = _study(run, candidates)
        close(run, {"status": "studied", "findings": {one.candidate: list(one.findings) for one in report.diagnoses}})
    publish_study(report)
    said = "; ".join(f"{one.candidate}: {', '.join(one.findings)}" for one in report.diagnoses)
    return Completed(message=f"{said}.", data=report)  # called as a function, the flow returns the data


def _study(run: OpenRun, candidates: tuple[str, ...]) -> CandidateStudy:
    snapshot = ingest(run.context)
    try:
        validation = validate(run.context, snapshot)
    except DataError:
        publish_refused_data(run.context.project, run.context.run_id)
        raise
    return study_candidates(run.context, split(run.context, validation), candidates)
