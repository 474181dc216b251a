"""Candidates fitted on parts of the training rows and judged on others: what every curve and spread is made of."""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from infra.errors import InsufficientData
from tasks.contracts.project import ProjectSpec
from tasks.metrics.answers import Answers
from tasks.metrics.label_sets import constant_set, spread
from tasks.metrics.own import load_own
from tasks.metrics.registry import Metric, find_metric, find_positive
from tasks.models.inputs import Rows, Table
from tasks.models.model import Array, Floats, Load, OnEpoch, class_labels
from tasks.models.partition import Positions, cross_validate
from tasks.models.recipes import fit_rows
from tasks.models.refusals import explaining_refusals
from tasks.training.fold_scores import Folds
from tasks.training.selection import Progress, _Ruler, lacks_a_class, read_truth

ESTIMATORS, NETWORKS = (5, 2), (3, 1)
"""Folds and repeats where project.yaml says nothing: a network's are dear."""

SCORED_ROWS = 10_000
"""So many of the rows that a model was fitted on tell its training score."""


class Scored(NamedTuple):
    """A fit's score on rows that it was fitted on, and on rows that it never saw."""

    training: float
    validation: float


class Tally:
    """Counts the fits of a study and tells each."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, 0
        self.of = 0
        """How many there will be at most."""

    def tell(self, what: str, **figures: float) -> None:
        """Tell of one more fit."""
        self._done += 1
        self._progress(f"study: {what}", min(self._done, self.of), self.of, figures)

    def skip(self, fits: int) -> None:
        """Leave out fits that turned out to be needless."""
        self._done += fits

    def listen(self, what: str) -> OnEpoch:
        """Return what a network tells its epochs."""
        return partial(self._progress, f"study: {what}, epoch")


@dataclass(frozen=True)
class Judge:
    """All that stays the same from fit to fit: the rows, the folds, the metric."""

    spec: ProjectSpec
    rows: Rows
    truth: Array
    folds: Folds
    round: int
    """So many folds, the first, judge every row once: repeats come after them."""
    ruler: _Ruler
    load: Load
    tally: Tally

    @property
    def metric(self) -> Metric:
        return self.ruler.metric

    def score(self, what: str, name: str, fit: Positions, judge: Positions, spec: ProjectSpec | None = None) -> Scored:
        """Return the candidate's scores, fitted on some rows and judged on others.

        Parameters
        ----------
        what
            For the progress.
        spec
            Instead of the study's: another seed, another parameter.

        Raises
        ------
        InsufficientData, TrainingFailed
            It cannot be fitted on these rows, or the metric is undefined on them.
        """
        model = fit_rows(
            name, spec or self.spec, self.rows.take(fit), load=self.load, watch=False, on_epoch=self.tally.listen(what)
        )
        parts = (_some(fit), judge)
        with explaining_refusals(spec or self.spec, name, len(fit)):
            answers = [self.ruler.ask(name, model, self.rows.take(part).inputs) for part in parts]
        training, validation = (
            self.ruler.measure(self.truth[part], given) for part, given in zip(parts, answers, strict=True)
        )
        self.tally.tell(what, **{self.metric.name: validation})
        return Scored(training, validation)

    def score_dummy(self) -> Floats:
        """Return the score on each fold of a model that knows the shares of the classes (or the mean) and no feature."""
        return np.array(
            [self.ruler.measure(self.truth[judge], self._dummy(fit, len(judge))) for fit, judge in self.folds]
        )

    def _dummy(self, fit: Positions, rows: int) -> Answers:
        seen, k = self.truth[fit], len(self.ruler.classes)
        if k == 0:
            centre = np.median(seen) if self.metric.name == "mae" else np.mean(seen)
            return Answers("candidate", "dummy", np.full(rows, centre))
        if self.ruler.several:
            shares = spread(seen, k).mean(axis=0)
            always = constant_set(shares, self.metric.name)
            return Answers("candidate", "dummy", np.repeat(always, rows), np.tile(shares, (rows, 1)))
        shares = np.bincount(seen, minlength=k) / len(seen)
        return Answers("candidate", "dummy", np.full(rows, shares.argmax()), np.tile(shares, (rows, 1)))

    def has_all_classes(self, part: Positions) -> bool:
        """Return whether rows of every class are among these."""
        return not lacks_a_class(self.rows.target, self.spec, part)


def _some(fit: Positions) -> Positions:
    """Return at most SCORED_ROWS of these positions, evenly spread."""
    return fit if len(fit) <= SCORED_ROWS else fit[np.linspace(0, len(fit) - 1, SCORED_ROWS).astype(np.intp)]


def open_judge(spec: ProjectSpec, frame: Table, load: Load, tally: Tally, *, networks: bool) -> Judge:
    """Return the judge of these training rows.

    Parameters
    ----------
    networks
        Whether a network is among the candidates of the study: fewer folds by default.

    Raises
    ------
    InsufficientData
        Too few rows for the folds.
    """
    rows = Rows.read(frame, spec)
    classes, truth = read_truth(rows.target, spec)
    metric = find_metric(spec.evaluation.metric, len(classes), own=load_own(spec.evaluation.metrics, load))
    positive = find_positive(spec.evaluation.positive, class_labels(classes))
    folds, repeats = NETWORKS if networks else ESTIMATORS
    folds = spec.study.folds or folds
    parts = cross_validate(
        rows.target,
        rows.by,
        spec.split,
        folds=folds,
        repeats=spec.study.repeats or repeats,
        seed=spec.seed,
        window=spec.selection.window,
    )
    ruler = _Ruler(metric, classes, positive, several=bool(spec.labels))
    judge = Judge(spec, rows, truth, parts, min(folds, len(parts)), ruler, load, tally)
    for fit, _ in parts:
        if not judge.has_all_classes(fit):
            raise InsufficientData(
                f"{spec.name}: expected all {len(classes)} classes in what each fold fits on; one of {len(parts)} lacks one.",
                remedy="More rows are needed, or fewer folds (`study.folds`).",
            )
    return judge
