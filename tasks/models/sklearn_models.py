"""scikit-learn candidates: preprocessing and estimator as one pipeline."""

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, RegressorMixin, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import has_fit_parameter

from infra.errors import InsufficientData, SpecError, TrainingFailed
from tasks.contracts.candidates import Candidate
from tasks.contracts.models import NetworkFit
from tasks.contracts.project import ProjectSpec
from tasks.metrics.registry import find_positive
from tasks.models.balancing import balance_rows, weigh_rows
from tasks.models.binary_relevance import BinaryRelevance
from tasks.models.deciding import Decided, apply_curves, find_decision_metric, learn_curves, tune_threshold
from tasks.models.inputs import InputColumns, Inputs, Rows
from tasks.models.model import Array, Backend, ClassLabel, Floats, class_labels
from tasks.models.partition import Positions, cross_validate
from tasks.models.preprocessing import find_nominal, preprocessing_steps
from tasks.models.refusals import explaining_refusals
from tasks.models.samplers import BY_NEIGHBOURS, Prepared, require_mixable, resample_prepared
from tasks.models.stored import Stored, hold

FORESTS = ("sklearn.ensemble._forest",)
"""Estimators that gain from `n_jobs`; the rest (KNN) lose more to starting workers than they win."""


FOLDS = 5
"""Parts of the training rows that calibration and the threshold are learnt across."""


@dataclass(frozen=True)
class SklearnModel:
    """A fitted pipeline and the columns that it takes."""

    columns: InputColumns
    pipeline: Any
    backend: Backend = "sklearn"
    history: dict[str, list[float]] = field(default_factory=dict)
    trained: NetworkFit | None = None

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        return () if is_regressor(self.pipeline) else class_labels(self.pipeline.classes_)

    def predict(self, frame: pd.DataFrame) -> Array:
        """Return the class of each row, its set of labels in words, or a regression's value (float64), shape (n,)."""
        return self.predict_inputs(self._checked(self.columns.read(frame)))

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the probability of each class, or of each label, shape (n, k)."""
        return self.proba_inputs(self._checked(self.columns.read(frame)))

    def predict_inputs(self, inputs: Inputs | Stored) -> Array:
        """Return the class, or the value, for inputs that `InputColumns.read` made."""
        answers = np.asarray(self.pipeline.predict(self.columns.derive(hold(inputs))))
        # Only a regression answers with floats; some with a column of them, some with short ones.
        return answers.astype(np.float64).reshape(len(inputs)) if answers.dtype.kind == "f" else answers

    def proba_inputs(self, inputs: Inputs | Stored) -> Floats:
        """Return the probabilities for inputs that `InputColumns.read` made."""
        return np.asarray(self.pipeline.predict_proba(self.columns.derive(hold(inputs))), dtype=np.float64)

    def _checked(self, inputs: Inputs) -> Inputs:
        self.columns.require_rows(inputs)
        if not self.pipeline.__sklearn_tags__().input_tags.allow_nan:
            self.columns.require_numbers(inputs)
        return inputs


@dataclass(frozen=True)
class SklearnRecipe:
    """How a scikit-learn candidate is made."""

    name: str
    spec: ProjectSpec
    columns: InputColumns

    def fit(self, rows: Rows) -> SklearnModel:
        """Return the model fitted on these rows and nothing else."""
        pipeline = self._fit_pipeline(rows)
        decided = self._decide(pipeline, rows) if self._asks_for_more else pipeline
        return SklearnModel(self.columns, decided)

    def _fit_pipeline(self, rows: Rows) -> Any:
        pipeline = self.unfitted()
        seen = balance_rows(rows, self._candidate.balance, self.spec.seed)
        inputs = self.columns.derive(hold(seen.inputs), guarded=True)
        try:
            self._fit_steps(pipeline, inputs, seen.target, weigh_rows(seen, self._candidate.balance))
        except InvalidParameterError as error:
            raise SpecError(f"{self._where}.params: {error}") from error
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            raise TrainingFailed(
                f"{self._where} could not be fitted on {len(rows)} rows: {error}",
                remedy="Look at `prepare` (missing values, scaling, encoding) and at the candidate's params.",
            ) from error
        estimator = pipeline.steps[-1][1]
        if type(estimator).__module__ in FORESTS:
            # Threads that add up votes in any order would make answers differ in the last digit.
            estimator.set_params(n_jobs=None)
        return pipeline

    def _fit_steps(self, pipeline: Any, inputs: Inputs, target: Array, weights: Floats | None) -> None:
        """Fit the pipeline in place; where rows are made or left out by neighbours, before its last step."""
        balance = self._candidate.balance
        if balance.resample not in BY_NEIGHBOURS:
            pipeline.fit(inputs, target, **({} if weights is None else {"model__sample_weight": weights}))
            return
        require_mixable(self.columns.widened, balance, self._where)
        *steps, (_, estimator) = pipeline.steps
        prepared = Pipeline(steps).fit_transform(inputs, target) if steps else inputs
        nominal = find_nominal(steps, self.columns)
        rows = resample_prepared(
            Prepared(np.asarray(prepared), target, weights), nominal, balance, self.spec.seed, self._where
        )
        estimator.fit(rows.matrix, rows.target, **({} if rows.weights is None else {"sample_weight": rows.weights}))

    @property
    def _candidate(self) -> Candidate:
        return self.spec.candidates[self.name]

    @property
    def _asks_for_more(self) -> bool:
        if self.spec.is_regression:
            return False  # neither probabilities nor a threshold
        return self._candidate.calibrate != "none" or self.spec.decision.threshold != "even"

    def _decide(self, pipeline: Any, rows: Rows) -> Decided:
        """Return the pipeline with what other pipelines, fitted on parts of the rows, answered on the other parts."""
        classes, truth = np.unique(rows.target, return_inverse=True)
        decision, positive = self.spec.decision, find_positive(self.spec.evaluation.positive, class_labels(classes))
        tuned = decision.threshold == "tuned"
        metric = find_decision_metric(decision, self.spec.evaluation.metric, len(classes)) if tuned else None
        places, shares = self._answer_across_folds(rows, len(classes))
        curves = learn_curves(truth[places], shares, self._candidate.calibrate)
        threshold = None
        if tuned:
            share = apply_curves(shares, curves)[:, positive]
            threshold = tune_threshold(truth[places], share, positive, metric, decision.costs)
        return Decided(pipeline, curves, threshold, max(positive, 0))

    def _answer_across_folds(self, rows: Rows, classes: int) -> tuple[Positions, Floats]:
        """Return places of rows and the probabilities there, by pipelines that were not fitted on them."""
        folds = cross_validate(rows.target, rows.by, self.spec.split, folds=FOLDS, repeats=1, seed=self.spec.seed)
        parts = []
        for fit, judge in folds:
            fitted = self._fit_pipeline(rows.take(fit))
            if len(fitted.classes_) < classes:
                raise InsufficientData(
                    f"{self._where}: expected all {classes} classes in each of {FOLDS} folds of the training rows to "
                    "calibrate or to tune a threshold; one lacks one.",
                    remedy="More rows are needed, or leave `calibrate` and `decision` out.",
                )
            with explaining_refusals(self.spec, self.name, len(fit)):
                parts.append(SklearnModel(self.columns, fitted).proba_inputs(rows.take(judge).inputs))
        return np.concatenate([judge for _, judge in folds]), np.concatenate(parts)

    def unfitted(self) -> Any:
        """Return the pipeline before fitting."""
        regression = self.spec.is_regression
        preparation = self.spec.preparation_of(self.name)
        steps = preprocessing_steps(self.columns, preparation, self.spec.seed, regression=regression)
        estimator = self._estimator()
        if self.spec.labels:
            estimator = BinaryRelevance(estimator, tuple(self.spec.labels))
        return Pipeline([*steps, ("model", estimator)])

    @property
    def _where(self) -> str:
        return f"{self.spec.name}: candidates.{self.name}"

    def _estimator(self) -> Any:
        candidate = self._candidate
        kind = self._find(candidate.estimator or "")
        self._require_weights(kind)
        self._require_known(kind, [name for name in candidate.search if "." not in name], "search")
        self._require_known(kind, candidate.params, "params")
        params = {**self._defaults(kind), **candidate.params}
        estimator = kind(**params)
        if self.spec.is_regression or hasattr(estimator, "predict_proba"):
            return estimator
        # Every classifier of keepfit answers with probabilities: Platt's calibration where the estimator has none.
        return CalibratedClassifierCV(estimator, ensemble=False)

    def _require_weights(self, kind: Any) -> None:
        if has_fit_parameter(kind, "sample_weight"):
            return
        for asked, said, instead in (
            (
                self.spec.training_rows.keep == "decay",
                "training_rows.keep 'decay'",
                "`keep: last` with the days that shall train",
            ),
            (
                self._candidate.balance.weights == "balanced",
                "balance.weights 'balanced'",
                "`balance: {resample: over}`",
            ),
        ):
            if asked:
                raise SpecError(
                    f"{self._where}.estimator: {said} needs an estimator whose fit takes sample_weight; that of "
                    f"{kind.__name__} does not.",
                    remedy=f"Choose another estimator, or {instead}.",
                )

    def _find(self, path: str) -> Any:
        module, _, name = path.rpartition(".")
        try:
            found = importlib.import_module(module)
        except ImportError as error:
            raise SpecError(f"{self._where}.estimator: no module {module!r} ({path}).") from error
        kind = getattr(found, name, None)
        if kind is None:
            near = get_close_matches(name, dir(found), n=1)
            raise SpecError(
                f"{self._where}.estimator: {module} has no {name!r}.",
                remedy=f"Did you mean {module}.{near[0]}?" if near else "",
            )
        wanted, word = (RegressorMixin, "regressor") if self.spec.is_regression else (ClassifierMixin, "classifier")
        if not (inspect.isclass(kind) and issubclass(kind, wanted)):
            raise SpecError(
                f"{self._where}.estimator: expected a scikit-learn {word}, received {path}.",
                remedy=self._explain_task() if inspect.isclass(kind) else "",
            )
        return kind

    def _explain_task(self) -> str:
        column, spec = self.spec.columns[self.spec.target], self.spec
        what = "regression" if spec.is_regression else "classification"
        return f"This is a {what}: the target {spec.target!r} is of type {column.type}, and `task` is {spec.task or 'left out'}."

    def _defaults(self, kind: Any) -> dict[str, Any]:
        known = _parameters(kind)
        defaults: dict[str, Any] = {"random_state": self.spec.seed} if "random_state" in known else {}
        if "n_jobs" in known and kind.__module__ in FORESTS and not self.spec.labels:
            defaults["n_jobs"] = self.spec.compute.threads
        return defaults

    def _require_known(self, kind: Any, names: Iterable[str], where: str) -> None:
        known = _parameters(kind)
        for name in names:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                raise SpecError(
                    f"{self._where}.{where}: {kind.__name__} has no {name!r}; it has {', '.join(known)}.",
                    remedy=f"Did you mean {near[0]}?" if near else "",
                )


@lru_cache
def _parameters(kind: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(kind).parameters)
