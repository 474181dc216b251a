"""Keys of project.yaml for the search of parameters, and what a search found."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

from infra.artifacts.reference import Digest
from infra.suggestion import suggest
from tasks.contracts.frozen import Contract
from tasks.contracts.values import Positive, say_pattern

Number = int | float
Choice = str | int | float | bool | list[int] | None
Params = dict[str, JsonValue]
"""Parameter: its value in one trial."""

Method = Literal["grid", "random", "tpe"]
TrialState = Literal["complete", "pruned", "failed"]

ParameterName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[a-z][a-z0-9_]*)*$"),
    say_pattern("the name of an argument, or the path of a key of the candidate such as prepare.number.scale"),
]

GRID_LIMIT = 1_000
"""More combinations than this nobody means to try."""


class Space(Contract):
    """The values that one parameter may take: those listed, or all from `low` to `high`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["choices"]}, {"required": ["low", "high"]}]},
    )

    choices: Annotated[list[Choice], Field(min_length=1)] | None = Field(
        None, description="The only values: words, numbers, true or false, null, lists of whole numbers."
    )
    low: Number | None = Field(
        None, description="Smallest value. Whole numbers are searched where both ends are written as such (1, not 1.0)."
    )
    high: Number | None = Field(None, description="Largest value, inclusive.")
    step: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Distance between two values that are tried; left out: 1 for whole numbers, any for others."
    )
    log: bool = Field(
        False,
        description="Each factor of ten gets as many trials: for values of which only the order of magnitude matters, such as "
        "a penalty or a learning rate.",
    )

    @model_validator(mode="after")
    def _one_of_two_kinds(self) -> Self:
        if self.choices is not None:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise ValueError("low, high, step and log do not stand with `choices`")
            seen = [json.dumps(choice) for choice in self.choices]
            if twice := next((one for one in seen if seen.count(one) > 1), None):
                raise ValueError(f"choices: {twice} stands there twice")
        elif self.low is None or self.high is None:
            raise ValueError("expected `choices`, or `low` and `high`")
        else:
            self._check_range(self.low, self.high)
        return self

    def _check_range(self, low: Number, high: Number) -> None:
        if low >= high:
            raise ValueError(f"expected a low below high, received {low} and {high}")
        if self.log and self.step is not None:
            raise ValueError("step does not stand with `log`: the values would be no scale of factors")
        if self.log and low <= 0:
            raise ValueError(f"log: expected a low above 0, received {low}")
        if self.whole and isinstance(self.step, float):
            raise ValueError(f"step: expected a whole number between whole numbers, received {self.step}")

    @property
    def whole(self) -> bool:
        """Only whole numbers are tried between the ends."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def size(self) -> int | None:
        """How many values there are; None: any number of them."""
        if self.choices is not None:
            return len(self.choices)
        if self.low is None or self.high is None or (self.step is None and not self.whole):
            return None
        return math.floor((self.high - self.low) / (self.step or 1) + 1e-9) + 1


class Tuning(Contract):
    """How the parameters of candidates with `search` are found, on training rows only."""

    method: Method = Field(
        "tpe",
        description="grid: every combination, where they are few; random: drawn alike from everywhere, a sound beginning for many "
        "parameters; tpe: drawn where earlier trials did well (tree-structured Parzen estimators), best from 20 trials on.",
    )
    trials: Positive = Field(
        20, description="random, tpe: how many sets of values a candidate is tried with; grid tries every combination."
    )
    pruning: Literal["none", "median"] = Field(
        "none",
        description="median: a trial that is worse than the median of the earlier ones ends at that fold, by its mean so far, or "
        "at that epoch of a network that watches rows of its own, by its lowest loss on them so far.",
    )
    batch: Positive = Field(
        4,
        description="So many trials are drawn at once, knowing the results of all batches before. The same trials come out "
        "whoever works on them; more workers than this have nothing to do with tpe.",
    )
    folds: Annotated[int, Field(ge=2, le=50)] | None = Field(
        None, description="Parts of the training rows that a trial is judged on, once; left out: as `selection` judges."
    )
    seed: int | None = Field(None, description="Seed of what is drawn; left out: the project's `seed`.")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="How many processes work on the trials, the run's own among them; the trials and the model stay the same.",
    )
    workers_on: Literal["machine", "pool"] = Field(
        "machine",
        description="Where the others are. machine: beside the run; pool: on workers of cpu-pool that are free (deployment fit/cpu), "
        "for a run that a worker started; one that somebody typed works alone.",
    )


class TrialRecord(Contract):
    """One set of values and how it did."""

    number: int
    params: Params
    state: TrialState
    scores: tuple[float, ...] = Field(description="The metric on each fold, in order; fewer of a pruned trial.")
    curve: tuple[float, ...] = Field(
        (), description="Loss on the rows that watch after each epoch of a network, where any do."
    )
    value: float | None = Field(description="Their mean; None where none was judged.")
    error: str = Field("", description="Why it failed.")


class TunedCandidate(Contract):
    """The values that were found for a candidate, and why these."""

    candidate: str
    study: Digest = Field(description="The study in the registry: what it computed.")
    method: Method
    metric: str
    params: Params = Field(description="The values of the best trial: the candidate is fitted with them.")
    trial: int = Field(description="Number of the best trial, from 0.")
    value: float = Field(description="Its mean over the folds: of the best of many, so a little too good.")
    trials: int
    pruned: int = 0
    failed: int = 0
    best: tuple[TrialRecord, ...] = Field(description="The best trials, the best one first.")
    reasons: dict[str, str] = Field(
        default_factory=dict, description="What the trials say, in words: history, values, importance."
    )


class SearchReport(Contract):
    """All trials of a study, for the pictures."""

    candidate: str
    metric: str
    direction: Literal["higher", "lower"]
    search: dict[str, Space]
    trials: tuple[TrialRecord, ...]
    best: int = Field(description="Number of the best trial.")
    importance: dict[str, float] = Field(description="Share of each parameter in what they change, the largest first.")


def place_values(candidate: Mapping[str, Any], values: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Return a candidate as plain data with these values in it: paths go where they lead, names into `params`."""
    placed: dict[str, Any] = {**candidate, "params": dict(candidate["params"]), "search": {}}
    for name, value in values.items():
        *path, key = name.split(".") if "." in name else ("params", name)
        node = placed
        for step in path:
            node[step] = dict(node[step])
            node = node[step]
        node[key] = value
    return placed


def check_search(kind: type[BaseModel], candidate: Any, prepare: BaseModel) -> None:
    """Raise ValueError where a parameter has a value already, a path leads nowhere, or a value cannot stand there.

    Parameters
    ----------
    kind
        The contract of a candidate.
    candidate
        One with `search`.
    prepare
        How its inputs are prepared.
    """
    plain = {**candidate.model_dump(), "prepare": prepare.model_dump()}
    paths = list_paths(plain)
    for name, space in candidate.search.items():
        if name in candidate.params:
            raise ValueError(f"search: {name!r} stands in params too: it either has a value or is searched")
        if "." in name and name not in paths:
            raise ValueError(f"search: {name!r} is no key of this candidate.{suggest(name, paths)}")
        for value in _ends_of(space) if "." in name else _ends_of(space)[:1]:
            try:
                kind.model_validate(place_values(plain, {name: value}))
            except ValidationError as error:
                raise ValueError(f"search: {name} cannot be {value!r}: {error.errors()[0]['msg']}") from error


def list_paths(candidate: Mapping[str, Any]) -> list[str]:
    """Return the paths of the keys that may be searched: all below prepare, balance and network."""
    return list(_leaves({name: candidate.get(name) for name in ("prepare", "balance", "network")}))


def _leaves(node: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, part in node.items():
        if isinstance(part, dict) and part:
            yield from _leaves(part, f"{above}{name}.")
        elif above:
            yield f"{above}{name}"


def _ends_of(space: Space) -> list[Any]:
    return list(space.choices) if space.choices is not None else [space.low, space.high]


def check_tuning(tuning: Tuning, candidates: Mapping[str, Any], *, holdout: bool) -> None:
    """Raise ValueError where trials cannot be made as `tuning` says; `holdout`: selection has no folds."""
    for name, candidate in candidates.items():
        if tuning.method == "grid":
            _require_finite(candidate.search, f"candidates.{name}.search")
        if holdout and tuning.pruning != "none" and candidate.search and not _tells_epochs(candidate.network):
            raise ValueError(
                f"tuning.pruning: candidates.{name} has neither folds (selection.method is holdout) nor epochs to be ended "
                "at: a network tells its loss with a `validation_share` and `refit: false` or early stopping"
            )
    if holdout and tuning.folds:
        raise ValueError("tuning.folds: there are none, selection.method is holdout")


def _tells_epochs(network: BaseModel | None) -> bool:
    """Whether each training of the network tells its loss on rows apart: one that is only looked at is left out of trials."""
    said = network.model_dump() if network is not None else {}
    return bool(said.get("validation_share")) and (not said.get("refit") or bool(said.get("early_stopping")))


def _require_finite(search: Mapping[str, Space], where: str) -> None:
    if endless := [name for name, space in search.items() if space.size is None]:
        raise ValueError(
            f"{where}: tuning.method grid needs values that can be counted; {', '.join(endless)} is a range of "
            "numbers without a step. Give `choices` or a `step`, or take method random or tpe"
        )
    combinations = math.prod(space.size or 1 for space in search.values())
    if combinations > GRID_LIMIT:
        raise ValueError(f"{where}: {combinations:,} combinations are too many for a grid: take method random or tpe")
