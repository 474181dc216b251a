"""From a candidate's name to its fitted model."""

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from infra.errors import SpecError
from tasks.contracts.project import ProjectSpec
from tasks.models.checkpoints import CheckpointShelf
from tasks.models.inputs import InputColumns, Rows, Table
from tasks.models.model import FittedModel, Load, OnEpoch
from tasks.models.own_steps import find_steps
from tasks.models.sklearn_models import SklearnModel, SklearnRecipe

if TYPE_CHECKING:
    from tasks.models.keras_models import KerasModel

SMALL_VALUES = 100_000
"""Rows times columns up to which one thread is enough."""
WORDS_A_TEXT = 200
"""A text counts as this many columns."""


def fit_candidate(
    name: str,
    spec: ProjectSpec,
    frame: Table,
    *,
    load: Load,
    on_epoch: OnEpoch | None = None,
    shelf: CheckpointShelf | None = None,
) -> FittedModel:
    """Return the candidate fitted on these rows, and on nothing else.

    Parameters
    ----------
    name
        One of `spec.candidates`.
    frame
        The training rows: features, target and, for ordered or grouped splits, the split's column.
    load
        Resolves `module:function` in the project's folder; asked for networks and for steps of its own.
    on_epoch
        Told of each epoch of a network.
    shelf
        Where checkpoints of a network are kept; None: nowhere.

    Raises
    ------
    SpecError
        The candidate is not there, or cannot be meant.
    TrainingFailed
        No usable model came out.
    """
    rows = Rows.read(frame, spec)
    with stated_threads(spec, rows):
        return fit_rows(name, spec, rows, load=load, on_epoch=on_epoch, shelf=shelf)


def threads_for(spec: ProjectSpec, rows: int) -> int:
    """Return the BLAS and OpenMP threads that a fit on this many rows uses: `compute.threads`, or 1 for small data.

    Threads that meet at each step of an optimiser spend their time waiting for one another where the steps are
    small, and on a busy machine far more than that. The number is part of the result: sums come out in another
    order, so another number of threads gives another digest.
    """
    columns = InputColumns.of(spec)
    width = len(columns.numbers) + len(columns.categories) + len(columns.times) + len(columns.texts) * WORDS_A_TEXT
    values = rows * (width + (prod(columns.pixels) if columns.images else 0))
    return spec.compute.threads if values > SMALL_VALUES else 1


def stated_threads(spec: ProjectSpec, rows: Rows) -> threadpool_limits:
    """Return the context in which fits use that many threads."""
    return threadpool_limits(limits=threads_for(spec, len(rows)))


def fit_rows(
    name: str,
    spec: ProjectSpec,
    rows: Rows,
    *,
    load: Load,
    on_epoch: OnEpoch | None = None,
    watch: bool = True,
    shelf: CheckpointShelf | None = None,
) -> "SklearnModel | KerasModel":
    """Return the candidate fitted on rows that were read already: what selection repeats on every fold.

    `watch` False leaves a network's metrics per epoch on rows apart out, where nobody looks at them.
    """
    if name not in spec.candidates:
        raise SpecError(f"{spec.name}: no candidate {name!r}; there are {', '.join(spec.candidates)}.")
    columns = replace(InputColumns.of(spec), steps=find_steps(spec.preparation_of(name), load))
    if (network := spec.candidates[name].network) is not None:
        from tasks.models.keras_recipes import KerasRecipe  # noqa: PLC0415  brings TensorFlow
        from tasks.models.network_decisions import decide_network  # noqa: PLC0415  likewise

        recipe = KerasRecipe(name, spec, columns, load, shelf)
        model = recipe.fit(rows, on_epoch, watch=watch)
        if spec.decision.threshold == "even":
            return model
        return decide_network(recipe, model, rows, watching=network.validation_share, refitted=network.refit)
    return SklearnRecipe(name, spec, columns).fit(rows.held)
