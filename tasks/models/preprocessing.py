"""Cleaning, imputation, scaling and encoding by type of column, as steps of the estimator's own pipeline."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from tasks.contracts.preparation import CategoryPreparation, NumberPreparation, Preparation, TextPreparation
from tasks.models.cleaning import BestColumns, BestColumnsForValues, Fences, Pixels, Ranks, TimeParts
from tasks.models.inputs import InputColumns
from tasks.models.text import Phrases, Tfidf, Tokens

Step = tuple[str, Any]


def preprocessing_steps(
    columns: InputColumns, preparation: Preparation, seed: int = 0, *, regression: bool = False
) -> list[Step]:
    """Return the unfitted steps that come before the estimator; none where nothing is asked or needed.

    Numbers are imputed only where the contract lets them be missing (`null_share` above 0), so that complete
    numbers reach the estimator as they are.

    Parameters
    ----------
    seed
        Of what draws rows: target encoding across folds, the weighing of columns.
    regression
        The target is a value: what looks at it (target encoding, the weighing of columns) takes it as one.
    """
    steps = _column_steps(columns.widened, preparation, _folds(seed, regression=regression))
    select = preparation.select
    if select.method != "none":
        kind = BestColumnsForValues if regression else BestColumns
        steps.append(("select", kind(select.method, select.keep, seed)))
    return steps


def _folds(seed: int, *, regression: bool) -> Any:
    """Return the parts of the rows across which target encoding is fitted."""
    return (KFold if regression else StratifiedKFold)(5, shuffle=True, random_state=seed)


def _column_steps(columns: InputColumns, preparation: Preparation, folds: Any) -> list[Step]:
    numbers = _number_steps(preparation.number, complete=columns.complete)
    if columns.images:
        return [("pixels", Pixels()), *numbers]
    if columns.are_numbers:
        return numbers
    parts: list[tuple[str, Any, Any]] = []
    if columns.numbers:
        parts.append(("number", Pipeline(numbers) if numbers else "passthrough", list(columns.numbers)))
    if columns.categories:
        parts.append(("category", Pipeline(_category_steps(preparation.category, folds)), list(columns.categories)))
    parts += [(f"text_{at}", _text_step(preparation.text), name) for at, name in enumerate(columns.texts)]
    if columns.times:
        parts.append(("time", Pipeline(_time_steps(preparation)), list(columns.times)))
    return [("columns", ColumnTransformer(parts))]


def _number_steps(preparation: NumberPreparation, *, complete: bool) -> list[Step]:
    steps: list[Step] = []
    if preparation.outliers == "clip":
        steps.append(("fences", Fences(preparation.fence)))
    if not complete:
        steps += _imputation(preparation)
    if preparation.transform == "power":
        steps.append(("transform", PowerTransformer()))
    elif preparation.transform == "quantile":
        steps.append(("transform", Ranks(output_distribution="normal", subsample=None)))
    return [*steps, *_scaling(preparation)]


def _imputation(preparation: NumberPreparation) -> list[Step]:
    indicator = preparation.missing_indicator
    if preparation.impute == "none":
        return []
    if preparation.impute == "nearest":
        # Who is near must not depend on the units.
        return [
            ("near", StandardScaler()),
            ("impute", KNNImputer(add_indicator=indicator, keep_empty_features=True)),
        ]
    strategy = {"zero": "constant"}.get(preparation.impute, preparation.impute)
    imputer = SimpleImputer(strategy=strategy, fill_value=0.0, add_indicator=indicator, keep_empty_features=True)
    return [("impute", imputer)]


def _scaling(preparation: NumberPreparation) -> list[Step]:
    scalers = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}
    return [] if preparation.scale == "none" else [("scale", scalers[preparation.scale]())]


def _category_steps(preparation: CategoryPreparation, folds: Any) -> list[Step]:
    rare = preparation.min_share or None
    steps: list[Step] = []
    if preparation.impute == "missing":
        steps.append(("impute", SimpleImputer(strategy="constant", fill_value="(missing)")))
    elif preparation.impute == "most_frequent":
        steps.append(("impute", SimpleImputer(strategy="most_frequent", keep_empty_features=True)))
    if preparation.encode == "one_hot":
        unknown = "infrequent_if_exist" if rare else "ignore"
        steps.append(("encode", OneHotEncoder(handle_unknown=unknown, min_frequency=rare, sparse_output=False)))
    elif preparation.encode == "target":
        steps.append(("encode", TargetEncoder(cv=folds)))
    else:
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, min_frequency=rare
        )
        steps.append(("encode", encoder))
    return steps


def _time_steps(preparation: Preparation) -> list[Step]:
    """Return the steps of times; what is missing of them is filled in as a missing number would be."""
    parts = TimeParts(list(preparation.datetime.parts), preparation.datetime.cyclic)
    filled = (
        []
        if preparation.number.impute == "none"
        else [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    )
    return [("parts", parts), *filled, *_scaling(preparation.number)]


def _text_step(preparation: TextPreparation) -> Any:
    if preparation.encode == "tokens":
        if preparation.ngrams > 1:
            return Phrases(preparation.vocabulary, preparation.length, preparation.ngrams)
        return Tokens(preparation.vocabulary, preparation.length)
    return Tfidf(max_features=preparation.vocabulary, ngram_range=(1, preparation.ngrams), sublinear_tf=True)


def find_nominal(steps: Sequence[Step], columns: InputColumns) -> list[list[int]]:
    """Return which columns of the prepared matrix hold a category: one column, or the several of a one-hot encoding.

    Truth values and indicators of what is missing are categories of one column.

    Parameters
    ----------
    steps
        Those of `preprocessing_steps`, fitted.
    """
    fitted, columns = dict(steps), columns.widened
    parts = fitted.get("columns")
    if parts is None:
        groups = _nominal_numbers(fitted.get("impute"), columns, 0)
    else:
        number = parts.named_transformers_.get("number")
        imputer = dict(number.steps).get("impute") if isinstance(number, Pipeline) else None
        groups = _nominal_numbers(imputer, columns, parts.output_indices_["number"].start) if columns.numbers else []
        if columns.categories:
            encoder = parts.named_transformers_["category"].steps[-1][1]
            groups += _nominal_categories(encoder, parts.output_indices_["category"].start)
    select = fitted.get("select")
    if select is None:
        return groups
    kept = select.get_support()
    places = np.cumsum(kept) - 1
    chosen = [[int(places[at]) for at in group if kept[at]] for group in groups]
    return [group for group in chosen if group]


def _nominal_numbers(imputer: Any, columns: InputColumns, start: int) -> list[list[int]]:
    count = len(columns.numbers)
    indicator = getattr(imputer, "indicator_", None)
    indicated = 0 if indicator is None else len(indicator.features_)
    truths = [at for at, name in enumerate(columns.numbers) if name in columns.truths]
    return [[start + at] for at in (*truths, *range(count, count + indicated))]


def _nominal_categories(encoder: Any, start: int) -> list[list[int]]:
    if isinstance(encoder, TargetEncoder):
        return []  # numbers by now
    if isinstance(encoder, OrdinalEncoder):
        return [[start + at] for at in range(len(encoder.categories_))]
    rare = getattr(encoder, "infrequent_categories_", None) or [None] * len(encoder.categories_)
    groups = []
    for names, together in zip(encoder.categories_, rare, strict=True):
        width = len(names) if together is None else len(names) - len(together) + 1
        groups.append(list(range(start, start + width)))
        start += width
    return groups
