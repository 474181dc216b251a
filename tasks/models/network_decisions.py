"""From which probability on a network answers the positive class: learnt on training rows that it was not fitted on."""

from dataclasses import replace

import numpy as np

from infra.errors import InsufficientData
from tasks.contracts.project import ProjectSpec
from tasks.metrics.registry import find_positive
from tasks.models.deciding import find_decision_metric, tune_threshold
from tasks.models.inputs import Rows
from tasks.models.keras_models import KerasModel
from tasks.models.keras_recipes import KerasRecipe
from tasks.models.model import class_labels
from tasks.models.partition import hold_out

SHARE = 0.2
"""Of the training rows, where the network has no share that watches."""


def decide_network(
    recipe: KerasRecipe, model: KerasModel, rows: Rows, *, watching: float, refitted: bool
) -> KerasModel:
    """Return the model with the threshold that is best on rows set aside.

    A network that is not refitted was never fitted on the rows that watched it: its own answers to them are taken. Else another
    is trained without rows of such a share, answers them, and is thrown away. Its probabilities stand for those of the network
    that was fitted on all rows, as with estimators the folds' do.

    Parameters
    ----------
    recipe
        What `model` was made by.
    rows
        All training rows.
    watching
        Share of them that watched its training; 0: none did.
    refitted
        It was trained once more, on the rows that watched as well.

    Raises
    ------
    InsufficientData
        The rows set aside have one class.
    SpecError
        `decision` does not go with the target or its metric.
    """
    spec: ProjectSpec = recipe.spec
    classes, truth = np.unique(rows.target, return_inverse=True)
    positive = find_positive(spec.evaluation.positive, class_labels(classes))
    metric = find_decision_metric(spec.decision, spec.evaluation.metric, len(classes))
    fit, held = hold_out(rows.target, rows.by, spec.split, share=watching or SHARE, seed=spec.seed)
    if len(np.unique(rows.target[held])) < 2:
        raise InsufficientData(
            f"{spec.name}: candidates.{recipe.name}: expected both classes among the {len(held)} rows that a threshold is tuned "
            "on, received one.",
            remedy="More rows are needed, a larger network.validation_share, or leave `decision` out.",
        )
    asked = model if watching and not refitted else recipe.fit(rows.take(fit), watch=False)
    share = asked.proba_inputs(rows.take(held).inputs)[:, positive]
    threshold = tune_threshold(truth[held], share, positive, metric, spec.decision.costs)
    return replace(model, threshold=threshold, positive=positive)
