"""The honest score of a selection: it is made anew within each outer fold and judged on rows that it never saw."""

from collections.abc import Callable

import numpy as np

from infra.errors import InsufficientData
from tasks.contracts.models import CandidateScore
from tasks.contracts.project import ProjectSpec
from tasks.contracts.study_report import NestedEstimate
from tasks.models.inputs import Table, take_rows
from tasks.models.model import Load
from tasks.training.fold_scores import corrected_standard_error
from tasks.training.selection import Progress, select_candidate
from tasks.training.study.judging import Judge

Tune = Callable[[ProjectSpec, Table], ProjectSpec]
"""Returns the project with the parameters that were found for its candidates on these rows."""


def estimate_nested(
    judge: Judge, frame: Table, progress: Progress, *, untuned: ProjectSpec, tune: Tune
) -> NestedEstimate:
    """Return the score of the procedure "tune, select, then fit the chosen one", beside the naive score of what it chose.

    The best of many means is the mean that luck helped most: it tells which candidate to take and overrates what it is worth
    (Varma & Simon 2006, BMC Bioinformatics 7:91; Cawley & Talbot 2010, JMLR 11, sec. 5). So the whole of `select_candidate`
    runs on the rows that an outer fold fits on, after the tuning where a project tunes, and the candidate that it chose is
    judged on the fold's other rows (Stone 1974, J. R. Stat. Soc. B 36).

    Parameters
    ----------
    judge
        Its first round of folds are the outer ones; its project is tuned on all rows.
    frame
        The training rows that the judge was opened on.
    progress
        Told of each selection's folds.
    untuned
        The project as it stands in the file.
    tune
        What a run does before it selects.

    Raises
    ------
    InsufficientData
        An outer fold's rows are too few for the selection within it.
    """
    folds = judge.folds[: judge.round]
    scores, chosen = [], []
    for at, (fit, held) in enumerate(folds, start=1):
        rows = take_rows(frame, fit)
        spec = tune(untuned, rows)
        name = _select(spec, rows, judge.load, progress)
        chosen.append(name)
        scores.append(
            judge.score(f"{name}, chosen in outer fold {at} of {len(folds)}", name, fit, held, spec).validation
        )
    naive = find_best(select_candidate(judge.spec, frame, judge.load, progress), judge.metric.sign)
    mean, error = float(np.mean(scores)), corrected_standard_error(scores, folds)
    return NestedEstimate(
        scores=tuple(scores),
        mean=mean,
        error=error,
        chosen=tuple(chosen),
        naive_candidate=naive.candidate,
        naive_mean=naive.mean,
        naive_error=naive.standard_error,
        detail=_tell(judge, mean, error, naive, chosen),
    )


def _select(spec: ProjectSpec, rows: Table, load: Load, progress: Progress) -> str:
    try:
        scores = select_candidate(spec, rows, load, progress)
    except InsufficientData as error:
        raise InsufficientData(
            f"study.nested: the selection within an outer fold has too few rows ({len(rows)}): {error.message}",
            remedy="More rows are needed, or fewer folds (`selection.folds`), or leave `study.nested` out.",
        ) from error
    return next(score.candidate for score in scores if score.chosen)


def find_best(scores: list[CandidateScore], sign: int) -> CandidateScore:
    """Return the candidate with the best mean: what one would quote without thinking."""
    return max(scores, key=lambda score: sign * score.mean)


def _tell(judge: Judge, mean: float, error: float, naive: CandidateScore, chosen: list[str]) -> str:
    metric, names = judge.metric.name, sorted(set(chosen))
    optimism = judge.metric.sign * (naive.mean - mean)
    said = (
        f"The procedure as a whole is worth {mean:.4f} ± {error:.4f} ({metric}, standard error); the best mean of its own "
        f"folds says {naive.mean:.4f} ({naive.candidate})"
    )
    within = ", which is within the error" if optimism <= error else ": too good"
    said += f", {optimism:.4f} better{within}." if optimism > 0 else "."
    if len(names) == 1:
        return f"{said} Every outer fold chose {names[0]}."
    counts = ", ".join(f"{name} {chosen.count(name)}" for name in names)
    return f"{said} The outer folds did not agree on a candidate: {counts}."
