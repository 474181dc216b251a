"""Imputation, scaling and encoding by type of column, as steps of the estimator's own pipeline."""

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler

from tasks.contracts.project import CategoryPreparation, NumberPreparation, Preparation, TextPreparation
from tasks.models.inputs import InputColumns
from tasks.models.text import Tfidf, Tokens

Step = tuple[str, Any]


def preprocessing_steps(columns: InputColumns, preparation: Preparation) -> list[Step]:
    """Return the unfitted steps that come before the estimator; none where nothing is asked or needed.

    Numbers are imputed only where the contract lets them be missing (`null_share` above 0), so that complete
    numbers reach the estimator as they are.
    """
    numbers = _number_steps(columns, preparation.number)
    if columns.are_numbers:
        return numbers
    parts: list[tuple[str, Any, Any]] = []
    if columns.numbers:
        parts.append(("number", Pipeline(numbers) if numbers else "passthrough", list(columns.numbers)))
    if columns.categories:
        parts.append(("category", Pipeline(_category_steps(preparation.category)), list(columns.categories)))
    parts += [(f"text_{at}", _text_step(preparation.text), name) for at, name in enumerate(columns.texts)]
    return [("columns", ColumnTransformer(parts))]


def _number_steps(columns: InputColumns, preparation: NumberPreparation) -> list[Step]:
    steps: list[Step] = []
    if preparation.impute != "none" and not columns.complete:
        strategy = {"zero": "constant"}.get(preparation.impute, preparation.impute)
        imputer = SimpleImputer(
            strategy=strategy,
            fill_value=0.0,
            add_indicator=preparation.missing_indicator,
            keep_empty_features=True,
        )
        steps.append(("impute", imputer))
    scalers = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}
    if preparation.scale != "none":
        steps.append(("scale", scalers[preparation.scale]()))
    return steps


def _category_steps(preparation: CategoryPreparation) -> list[Step]:
    rare = preparation.min_share or None
    steps: list[Step] = []
    if preparation.impute == "missing":
        steps.append(("impute", SimpleImputer(strategy="constant", fill_value="(missing)")))
    elif preparation.impute == "most_frequent":
        steps.append(("impute", SimpleImputer(strategy="most_frequent", keep_empty_features=True)))
    if preparation.encode == "one_hot":
        unknown = "infrequent_if_exist" if rare else "ignore"
        steps.append(("encode", OneHotEncoder(handle_unknown=unknown, min_frequency=rare, sparse_output=False)))
    else:
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, min_frequency=rare
        )
        steps.append(("encode", encoder))
    return steps


def _text_step(preparation: TextPreparation) -> Any:
    if preparation.encode == "tokens":
        return Tokens(preparation.vocabulary, preparation.length)
    return Tfidf(max_features=preparation.vocabulary, ngram_range=(1, preparation.ngrams), sublinear_tf=True)
