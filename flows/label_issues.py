"""Labels that are likely wrong among the training rows of a champion: read, judged, tried, told. Nothing is changed or kept."""

import logging
from datetime import UTC, datetime

from flows.batches import told
from infra.errors import SpecError, UsageError
from infra.workspace import open_workspace
from tasks.batches import read_frame
from tasks.contracts.labelling import IssuesOutcome, LabelIssue
from tasks.contracts.project import ProjectSpec
from tasks.project import load_project
from tasks.release.stored import StoredVersion, find_champion_version, find_version

logger = logging.getLogger(__name__)


def find_label_issues(
    project: str, as_of: datetime | None = None, *, trial: bool = True, seed: int = 0
) -> tuple[IssuesOutcome, str]:
    """Return the labels that are likely wrong, and a file of them for people, as CSV.

    Parameters
    ----------
    as_of
        The training rows, recipe and features are those of the champion of this time; by default of now.
    trial
        Fit once more on a copy with flipped labels, to say what the list is worth.
    seed
        Of the flips.

    Raises
    ------
    UsageError
        There is or was no champion.
    SpecError
        The project is no classification.
    InsufficientData
        Too few rows to part.
    """
    from tasks.labelling.issues import find_issues, frame_issues, judge_labels, say_expectation, try_flipping  # noqa: PLC0415
    from tasks.labelling.sheets import guard_frame  # noqa: PLC0415
    from tasks.models.inputs import Rows  # noqa: PLC0415
    from tasks.models.searched import give_tuned  # noqa: PLC0415

    loaded = load_project(open_workspace().settings.projects, project)
    version, moment = _find_champion(project, as_of), as_of or datetime.now(UTC)
    made, name = version.manifest, version.manifest.model.candidate
    if len(made.model.classes) < 2 or ProjectSpec.model_validate_json(open_workspace().store.read(made.spec)).labels:
        raise SpecError(
            f"{project}: likely wrong labels are found where each row has one class; {version.label} answers none, or several."
        )
    spec = give_tuned(ProjectSpec.model_validate_json(open_workspace().store.read(made.spec)), made.fit.tuned)
    frame = read_frame(made.split.train, f"{version.label}: its training rows")
    rows = Rows.read(frame, spec)
    with told("judge"):
        judged = judge_labels(name, spec, rows, loaded.load, _tell)
        found = find_issues(judged)
        logger.info("%d of %s labels are likely wrong", len(found), f"{len(judged.places):,}")
    tried = None
    if trial:
        with told("try"):
            tried = try_flipping(name, spec, rows, loaded.load, _tell, before=found, seed=seed)
            logger.info("%s", f"{tried.found} of {tried.flipped} flipped ones found" if tried else "too few rows")
    columns = [column for column in (spec.row_id, spec.time, *spec.features) if column]
    table = frame_issues(found, judged, frame, columns)
    names = [str(row) for row in (table[spec.row_id] if spec.row_id else table["keepfit_place"])]
    issues = tuple(
        LabelIssue(
            row=row, given=judged.classes[each.given], likely=judged.classes[each.likely], score=round(each.score, 6)
        )
        for row, each in zip(names, found, strict=True)
    )
    outcome = IssuesOutcome(
        project=project,
        version=version.label,
        candidate=name,
        as_of=moment,
        training_rows=len(rows),
        judged_rows=len(judged.places),
        issues=issues,
        trial=tried,
        expectation=say_expectation(len(issues), tried),
    )
    return outcome, str(guard_frame(table).to_csv(index=False))


def _find_champion(project: str, as_of: datetime | None) -> StoredVersion:
    if as_of is None:
        return find_champion_version(project)
    release = open_workspace().registry.champion_at(project, as_of)
    if release is None:
        raise UsageError(
            f"--as-of: {project} had no champion at {as_of:%Y-%m-%d %H:%M} UTC.",
            remedy=f"`keepfit history {project}` says who was champion from when on.",
        )
    return find_version(f"{project}@{release.version}")


def _tell(what: str, done: int, of: int) -> None:
    logger.info("%s: fold %d of %d", what, done, of)
