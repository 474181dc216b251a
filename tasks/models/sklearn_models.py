"""scikit-learn candidates: preprocessing and estimator as one pipeline."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from pydantic import JsonValue
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.validation import has_fit_parameter

from infra.errors import SpecError, TrainingFailed
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import InputColumns, Inputs, Rows
from tasks.models.model import Array, Backend, ClassLabel, Floats, class_labels
from tasks.models.preprocessing import preprocessing_steps

FORESTS = ("sklearn.ensemble._forest",)
"""Estimators that gain from `n_jobs`; the rest (KNN) lose more to starting workers than they win."""


@dataclass(frozen=True)
class SklearnModel:
    """A fitted pipeline and the columns that it takes."""

    columns: InputColumns
    pipeline: Any
    backend: Backend = "sklearn"
    history: dict[str, list[float]] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[ClassLabel, ...]:
        return class_labels(self.pipeline.classes_)

    def predict(self, frame: pd.DataFrame) -> Array:
        """Return the class of each row, shape (n,)."""
        return self.predict_inputs(self._checked(self.columns.read(frame)))

    def predict_proba(self, frame: pd.DataFrame) -> Floats:
        """Return the probability of each class, shape (n, k)."""
        return self.proba_inputs(self._checked(self.columns.read(frame)))

    def predict_inputs(self, inputs: Inputs) -> Array:
        """Return the class for inputs that `InputColumns.read` made."""
        return np.asarray(self.pipeline.predict(inputs))

    def proba_inputs(self, inputs: Inputs) -> Floats:
        """Return the probabilities for inputs that `InputColumns.read` made."""
        return np.asarray(self.pipeline.predict_proba(inputs), dtype=np.float64)

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
        pipeline = self.unfitted()
        try:
            weights = rows.weights
            pipeline.fit(rows.inputs, rows.target, **({} if weights is None else {"model__sample_weight": weights}))
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
        return SklearnModel(self.columns, pipeline)

    def unfitted(self) -> Any:
        """Return the pipeline before fitting."""
        steps = preprocessing_steps(self.columns, self.spec.preparation_of(self.name), self.spec.seed)
        return Pipeline([*steps, ("model", self._estimator())])

    @property
    def _where(self) -> str:
        return f"{self.spec.name}: candidates.{self.name}"

    def _estimator(self) -> Any:
        candidate = self.spec.candidates[self.name]
        kind = self._find(candidate.estimator or "")
        if self.spec.training_rows.keep == "decay" and not has_fit_parameter(kind, "sample_weight"):
            raise SpecError(
                f"{self._where}.estimator: training_rows.keep 'decay' needs an estimator whose fit takes sample_weight; "
                f"that of {kind.__name__} does not.",
                remedy="Choose another estimator, or `keep: last` with the days that shall train.",
            )
        params = {**self._defaults(kind), **self._checked(kind, candidate.params)}
        estimator = kind(**params)
        if hasattr(estimator, "predict_proba"):
            return estimator
        # Every model of keepfit answers with probabilities: Platt's calibration where the estimator has none.
        return CalibratedClassifierCV(estimator, ensemble=False)

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
        if not (inspect.isclass(kind) and issubclass(kind, ClassifierMixin)):
            raise SpecError(f"{self._where}.estimator: expected a scikit-learn classifier, received {path}.")
        return kind

    def _defaults(self, kind: Any) -> dict[str, Any]:
        known = _parameters(kind)
        defaults: dict[str, Any] = {"random_state": self.spec.seed} if "random_state" in known else {}
        if "n_jobs" in known and kind.__module__ in FORESTS:
            defaults["n_jobs"] = self.spec.compute.threads
        return defaults

    def _checked(self, kind: Any, params: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        known = _parameters(kind)
        for name in params:
            if name not in known:
                near = get_close_matches(name, known, n=1)
                raise SpecError(
                    f"{self._where}.params: {kind.__name__} has no {name!r}; it has {', '.join(known)}.",
                    remedy=f"Did you mean {near[0]}?" if near else "",
                )
        return params


@lru_cache
def _parameters(kind: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(kind).parameters)
