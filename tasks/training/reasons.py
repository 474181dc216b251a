"""Why these values: how the search went, which parameters matter, and where its spaces were too narrow; in words."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tasks.contracts.tuning import Space, TrialRecord
from tasks.training.proposals import rebuild_study
from tasks.training.studies import Study

NEAR_THE_END = 0.02
"""A value this near to an end, as a share of its space, counts as lying at the end."""
LATE = 0.75
"""A best trial after this share of them says that more may find a better one."""


def weigh_parameters(study: Study, records: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the share of each parameter, alone, in what all of them change of the figure; the largest first.

    Functional ANOVA over a forest that was fitted on the complete trials (Hutter, Hoos & Leyton-Brown 2014, ICML, sec. 3); the
    shares are of the main effects and sum to 1. Empty where fewer than four trials are complete, or all came to one figure.
    """
    complete = [one for one in records if one.state == "complete"]
    if len(complete) < 4 or len({one.value for one in complete}) == 1:
        return {}
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # noqa: PLC0415

    rebuilt = rebuild_study(study.search, study.turned(complete))
    shares = get_param_importances(rebuilt, evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in shares.items()} if all(map(math.isfinite, shares.values())) else {}


def explain_study(
    study: Study, records: Sequence[TrialRecord], best: TrialRecord, importance: Mapping[str, float]
) -> dict[str, str]:
    """Return a sentence or two on the history, the values and the importance of the parameters."""
    return {
        "history": _explain_history(study, records, best),
        "values": _explain_values(study, best),
        "importance": _explain_importance(importance),
    }


def _explain_history(study: Study, records: Sequence[TrialRecord], best: TrialRecord) -> str:
    total = len(records)
    said = f"Trial {best.number + 1} of {total} was the best: {study.metric} {best.value:.4g}"
    complete = [one.value for one in records if one.state == "complete" and one.value is not None]
    said += f", where the median of the trials is {np.median(complete):.4g}."
    counts = [(sum(one.state == state for one in records), word) for state, word in _UNFINISHED]
    if ended := " and ".join(f"{count} {word}" for count, word in counts if count):
        said += f" {ended[0].upper()}{ended[1:]}."
    if study.spec.tuning.method != "grid" and best.number + 1 > LATE * total:
        said += " It was among the last: more trials may find a better one."
    return f"{said} As the best of many on the same rows it is a little too good; the test rows say what it is worth."


_UNFINISHED = (("pruned", "ended early for being worse than usual"), ("failed", "could not be fitted"))


def _explain_values(study: Study, best: TrialRecord) -> str:
    said = ", ".join(f"{name} {show(value)}" for name, value in best.params.items())
    ends = [name for name, space in study.search.items() if _is_at_end(space, best.params[name])]
    if not ends:
        return f"The best: {said}."
    several = len(ends) > 1
    return (
        f"The best: {said}. {' and '.join(ends)} {'lie' if several else 'lies'} at the end of "
        f"{'their spaces' if several else 'its space'}: a wider one may hold a better value."
    )


def _is_at_end(space: Space, value: object) -> bool:
    if space.low is None or space.high is None or not isinstance(value, int | float) or space.size in (1, 2):
        return False
    scale = math.log if space.log else float
    place = (scale(value) - scale(space.low)) / (scale(space.high) - scale(space.low))
    return min(place, 1 - place) <= NEAR_THE_END


def _explain_importance(importance: Mapping[str, float]) -> str:
    if not importance:
        return "The trials do not tell which parameter matters: too few are complete, or all came to one figure."
    (first, share), *others = importance.items()
    if not others:
        return f"{first} alone was searched."
    rest = ", ".join(f"{name} {part:.0%}" for name, part in others[:4])
    return f"{first} matters most: {share:.0%} of what the parameters change by themselves; then {rest}."


def show(value: object) -> str:
    """Return a value as people write it: numbers to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
