"""From a candidate's name to its fitted model."""

from typing import TYPE_CHECKING

import pandas as pd
from threadpoolctl import threadpool_limits

from infra.errors import SpecError
from tasks.contracts.project import ProjectSpec
from tasks.models.inputs import InputColumns, Rows
from tasks.models.model import FittedModel, Load, OnEpoch

if TYPE_CHECKING:
    from tasks.models.keras_models import KerasModel
    from tasks.models.sklearn_models import SklearnModel


def fit_candidate(
    name: str, spec: ProjectSpec, frame: pd.DataFrame, *, load: Load, on_epoch: OnEpoch | None = None
) -> FittedModel:
    """Return the candidate fitted on these rows, and on nothing else.

    Parameters
    ----------
    name
        One of `spec.candidates`.
    frame
        The training rows: features, target and, for ordered or grouped splits, the split's column.
    load
        Resolves `module:function` in the project's folder; asked for networks only.
    on_epoch
        Told of each epoch of a network.

    Raises
    ------
    SpecError
        The candidate is not there, or cannot be meant.
    TrainingFailed
        No usable model came out.
    """
    return fit_rows(name, spec, Rows.read(frame, spec), load=load, on_epoch=on_epoch)


def fit_rows(
    name: str, spec: ProjectSpec, rows: Rows, *, load: Load, on_epoch: OnEpoch | None = None, watch: bool = True
) -> "SklearnModel | KerasModel":
    """Return the candidate fitted on rows that were read already: what selection repeats on every fold.

    `watch` False leaves a network's metrics per epoch on rows apart out, where nobody looks at them.
    """
    if name not in spec.candidates:
        raise SpecError(f"{spec.name}: no candidate {name!r}; there are {', '.join(spec.candidates)}.")
    columns = InputColumns.of(spec)
    with threadpool_limits(limits=spec.compute.threads):
        if spec.candidates[name].network is not None:
            from tasks.models.keras_models import KerasRecipe

            return KerasRecipe(name, spec, columns, load).fit(rows, on_epoch, watch=watch)
        from tasks.models.sklearn_models import SklearnRecipe

        return SklearnRecipe(name, spec, columns).fit(rows)
