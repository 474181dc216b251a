"""A project whose candidates have the values that a search gave them."""

from collections.abc import Iterable, Mapping

from pydantic import JsonValue, ValidationError

from infra.errors import SpecError
from tasks.contracts.project import Candidate, ProjectSpec
from tasks.contracts.tuning import TunedCandidate, place_values


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
