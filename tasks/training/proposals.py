"""Which values a trial gets: a pure function of the study's seed, the trial's number and what earlier batches found.

Nothing else is asked, so that the same trials come out whoever works on them, in whatever order, after whatever crash.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts.tuning import Params, Space, TrialRecord, Tuning

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler

Search = Mapping[str, Space]

PRUNING_AFTER = 5
"""So many complete trials must have shown what is usual before one is ended for being worse."""


def count_trials(search: Search, tuning: Tuning) -> int:
    """Return how many trials the study has: every combination of a grid, else as many as are asked for."""
    if tuning.method == "grid":
        return int(np.prod([space.size or 1 for space in search.values()]))
    return tuning.trials


def batch_size(search: Search, tuning: Tuning) -> int:
    """Return how many trials are drawn at once; all of them where no trial depends on another."""
    depends = tuning.method == "tpe" or tuning.pruning != "none"
    return tuning.batch if depends else count_trials(search, tuning)


def propose(search: Search, tuning: Tuning, seed: int, earlier: Sequence[TrialRecord], numbers: range) -> list[Params]:
    """Return the values of one batch of trials.

    grid: the combinations in the order of the file, the last parameter moving fastest. random: drawn alike from each space.
    tpe: tree-structured Parzen estimators (Bergstra, Bardenet, Bengio & Kégl 2011, NIPS 24), multivariate (Falkner, Klein &
    Hutter 2018, ICML), with trials of the same batch taken for bad ones so that they spread (the constant liar: Ginsbourger,
    Le Riche & Carraro 2010); the first ten trials are drawn at random.

    Parameters
    ----------
    seed
        Of the study.
    earlier
        All trials of the batches before, by number; their `value` is better the higher it is.
    numbers
        Of the trials of this batch.
    """
    if tuning.method == "grid":
        combinations = list(product(*(list_values(space) for space in search.values())))
        return [dict(zip(search, combinations[number], strict=True)) for number in numbers]
    study = rebuild_study(search, earlier, _make_sampler(tuning, mix_seed(seed, numbers.start)))
    spaces = {name: _distribution(space) for name, space in search.items()}
    asked = [study.ask(spaces) for _ in numbers]
    return [{name: _decode(search[name], value) for name, value in trial.params.items()} for trial in asked]


def mix_seed(seed: int, start: int) -> int:
    """Return a seed below 2**32 for the batch that starts at this number."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{start}".encode()).digest()[:4], "big")


def _make_sampler(tuning: Tuning, seed: int) -> "BaseSampler":
    from optuna.samplers import RandomSampler, TPESampler  # noqa: PLC0415  a second that no other training needs

    return TPESampler(seed=seed) if tuning.method == "tpe" else RandomSampler(seed=seed)


def rebuild_study(search: Search, trials: Sequence[TrialRecord], sampler: "BaseSampler | None" = None) -> "OptunaStudy":
    """Return an Optuna study in memory that has seen these trials; it maximises."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    spaces = {name: _distribution(space) for name, space in search.items()}
    states = {
        "complete": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }
    for trial in trials:
        so_far = {at: float(np.mean(trial.scores[: at + 1])) for at in range(len(trial.scores))}
        so_far = so_far or {at: -min(trial.curve[: at + 1]) for at in range(len(trial.curve))}
        seen = optuna.trial.create_trial(
            state=states[trial.state],
            value=trial.value if trial.state == "complete" else None,
            params={name: _encode(search[name], value) for name, value in trial.params.items()},
            distributions=spaces,
            intermediate_values=so_far,
        )
        study.add_trial(seen)
    return study


def is_hopeless(scores: Sequence[float], earlier: Sequence[TrialRecord]) -> bool:
    """Return whether a trial ends here: its mean so far is worse than the median of the earlier ones at this fold.

    The median stopping rule (Golovin et al. 2017, Google Vizier, KDD, sec. 3.2.1), with the mean where they take the best so far;
    the earlier ones are the complete trials of earlier batches, and all are judged on the same folds.

    Parameters
    ----------
    scores
        Of the folds that were judged, better the higher.
    earlier
        As in `propose`.
    """
    usual = [float(np.mean(one.scores[: len(scores)])) for one in earlier if one.state == "complete"]
    return len(usual) >= PRUNING_AFTER and float(np.mean(scores)) < float(np.median(usual))


def is_hopeless_epoch(curve: Sequence[float], earlier: Sequence[TrialRecord]) -> bool:
    """Return whether a training ends here: its lowest loss so far is higher than the median of the earlier ones' by then.

    The same rule, with the best so far as they have it; earlier ones that had fewer epochs say nothing.

    Parameters
    ----------
    curve
        Loss after each epoch on rows that are not fitted on.
    """
    usual = [
        min(one.curve[: len(curve)]) for one in earlier if one.state == "complete" and len(one.curve) >= len(curve)
    ]
    return len(usual) >= PRUNING_AFTER and min(curve) > float(np.median(usual))


def list_values(space: Space) -> list[Any]:
    """Return all values of a space that has a last one, in order."""
    if space.choices is not None:
        return list(space.choices)
    low, step = space.low or 0, space.step or 1
    # Twelve digits: 0.1 + 2 * 0.1 is 0.3.
    return [low + at * step if space.whole else float(f"{low + at * step:.12g}") for at in range(space.size or 0)]


def _by_place(space: Space) -> bool:
    """Whether Optuna sees the place of a value in the list: it would take true for 1, and steps of 0.1 for uneven."""
    return space.choices is not None or (space.step is not None and not space.whole)


def _distribution(space: Space) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: PLC0415

    if space.choices is not None:
        return CategoricalDistribution(range(len(space.choices)))
    if _by_place(space):
        return IntDistribution(0, (space.size or 1) - 1)
    if space.whole:
        step = int(space.step or 1)
        return IntDistribution(int(space.low or 0), int(list_values(space)[-1]), log=space.log, step=step)
    return FloatDistribution(float(space.low or 0), float(space.high or 0), log=space.log)


def _decode(space: Space, value: Any) -> Any:
    return list_values(space)[value] if _by_place(space) else value


def _encode(space: Space, value: Any) -> Any:
    if not _by_place(space):
        return value
    return [json.dumps(one) for one in list_values(space)].index(json.dumps(value))
