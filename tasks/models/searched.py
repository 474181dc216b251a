"""A project whose candidates have the values that a search gave them."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import JsonValue, ValidationError

from infra.errors import SpecError
from tasks.contracts.candidates import Candidate
from tasks.contracts.project import ProjectSpec
from tasks.contracts.tuning import TunedCandidate, place_values
from tasks.models.inputs import InputColumns
from tasks.models.sklearn_models import SklearnRecipe


def give_values(spec: ProjectSpec, name: str, values: Mapping[str, JsonValue]) -> ProjectSpec:
    """Return the project with these values in the candidate, which is searched no more.

    Parameters
    ----------
    values
        Arguments by their name, keys of the candidate by their path; a path below `prepare` starts from how the candidate is
        prepared now.

    Raises
    ------
    SpecError
        Together they are no candidate.
    """
    plain = spec.candidates[name].model_dump()
    if any(path.startswith("prepare.") for path in values):
        plain["prepare"] = spec.preparation_of(name).model_dump()
    try:
        candidate = Candidate.model_validate(place_values(plain, values))
    except ValidationError as error:
        raise SpecError(
            f"{spec.name}: candidates.{name}.search: {dict(values)} cannot stand together: {error.errors()[0]['msg']}.",
            remedy="Leave one of these values out of its space, or search the two in candidates of their own.",
        ) from error
    return spec.model_copy(update={"candidates": {**spec.candidates, name: candidate}})


def give_tuned(spec: ProjectSpec, tuned: Iterable[TunedCandidate]) -> ProjectSpec:
    """Return the project as its candidates were fitted: each that was tuned with the values that were found."""
    for one in tuned:
        spec = give_values(spec, one.candidate, one.params)
    return spec


def require_known_parameters(spec: ProjectSpec, name: str) -> None:
    """Raise SpecError where the candidate's estimator does not have a parameter that has a value or is searched.

    What a build function takes is known to nobody before it is called.
    """
    if spec.candidates[name].estimator:
        SklearnRecipe(name, spec, InputColumns.of(spec)).unfitted()


def give_first_values(spec: ProjectSpec) -> ProjectSpec:
    """Return the project with the first choice, or the lowest value, of each space: to try whether it can be fitted at all."""
    for name, candidate in spec.candidates.items():
        if candidate.search:
            values: dict[str, Any] = {
                key: space.low if space.choices is None else space.choices[0] for key, space in candidate.search.items()
            }
            spec = give_values(spec, name, values)
    return spec
