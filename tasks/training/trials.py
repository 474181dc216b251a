"""Work on the trials of a study: claim one, judge it on the folds, keep how it did; until none is left.

Any number of processes may do this at the same time. They meet in the registry alone: what a trial is follows from the
study, so it does not matter who makes it, nor how often somebody dies over it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np

from infra.errors import LeaseLost, RegistryError, RegistryUnavailable, TrainingFailed
from infra.faults import reach
from infra.registry.records import TrialClaim
from infra.registry.registry import Registry
from infra.registry.trials import Proposal, TrialResult
from infra.registry.tuning import CLAIM_S
from infra.worker import describe_worker
from tasks.contracts.tuning import Params, TrialRecord
from tasks.models.searched import give_values
from tasks.training.proposals import is_hopeless, is_hopeless_epoch, propose
from tasks.training.selection import Comparison
from tasks.training.studies import Study, read_records

logger = logging.getLogger(__name__)

HEARTBEAT_S = 15.0
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0
"""While the last trials of a batch are in other hands; doubling."""

Tell = Callable[[Sequence[TrialRecord]], None]
"""Told of the trials that have ended, each time that one has."""


@dataclass
class Batch:
    """Trials that may be worked on, and what was known when they were drawn."""

    numbers: range
    earlier: list[TrialRecord]
    params: list[Params]

    @classmethod
    def draw(cls, study: Study, numbers: range, records: Sequence[TrialRecord]) -> "Batch":
        """Return the batch of these numbers; of the trials it looks at those of earlier batches alone."""
        earlier = [record for record in records if record.number < numbers.start]
        known = study.turned(earlier)
        return cls(numbers, earlier, propose(study.search, study.spec.tuning, study.seed, known, numbers))

    def left(self, records: Sequence[TrialRecord]) -> list[Proposal]:
        """Return the trials that have not ended."""
        done = {record.number for record in records}
        pairs = zip(self.numbers, self.params, strict=True)
        return [Proposal(number, params) for number, params in pairs if number not in done]


def work_on(study: Study, registry: Registry, comparison: Comparison, tell: Tell) -> list[TrialRecord]:
    """Return all trials of the study once each has ended, after making those that nobody else makes.

    Raises
    ------
    SpecError, InsufficientData
        A value of the search that the estimator does not take; rows that cannot be judged on.
    RegistryUnavailable
        The database does not answer.
    """
    batch: Batch | None = None
    told, wait_s = -1, SHORTEST_WAIT_S
    while True:
        records = read_records(registry.trials(study.key))
        if len(records) != told:
            told = len(records)
            tell(records)
        numbers = study.open_batch(records)
        if numbers is None:
            return records
        if batch is None or batch.numbers != numbers:
            batch = Batch.draw(study, numbers, records)
        claim = registry.claim_trial(study.key, batch.left(records), worker=describe_worker().name)
        if claim is None:
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            continue
        wait_s = SHORTEST_WAIT_S
        _make(study, registry, comparison, claim, batch.earlier)


def _make(
    study: Study, registry: Registry, comparison: Comparison, claim: TrialClaim, earlier: Sequence[TrialRecord]
) -> None:
    """Judge the trial and keep how it did; whatever goes wrong, the next one can have it at once."""
    try:
        with _renewing(registry, claim):
            started = time.perf_counter()
            result = _repeat(claim.params, earlier) or _judge(study, comparison, claim.params, earlier)
            result = result._replace(seconds=time.perf_counter() - started)
        reach("trial.before_commit")
        registry.finish_trial(claim, result)
        reach("trial.after_commit")
    except LeaseLost as lost:
        logger.info("%s", lost.message)
    except BaseException:
        with suppress(RegistryError):
            registry.drop_claim(claim)
        raise


def _repeat(params: Params, earlier: Sequence[TrialRecord]) -> TrialResult | None:
    """Return how an earlier trial with the very same values did: it would do the same again."""
    twin = next((one for one in earlier if one.params == params), None)
    return None if twin is None else TrialResult(twin.state, twin.scores, twin.value, twin.error, 0.0, twin.curve)


def _judge(study: Study, comparison: Comparison, params: Params, earlier: Sequence[TrialRecord]) -> TrialResult:
    """Return how these values do on the folds."""
    rivals = study.turned(earlier) if study.spec.tuning.pruning == "median" else []
    scores: list[float] = []
    epochs = _Epochs(rivals)
    tried = replace(comparison, spec=give_values(study.spec, study.candidate, params), progress=epochs)
    try:
        with closing(tried.judge_folds(study.candidate)) as folds:
            for _, _, score in folds:
                scores.append(score)
                turned = [study.sign * one for one in scores]
                if len(scores) < len(tried.folds) and is_hopeless(turned, rivals):
                    return TrialResult("pruned", scores, float(np.mean(scores)), "", 0.0)
    except _HopelessEpoch:
        return TrialResult("pruned", scores, None, "", 0.0, epochs.curve)
    except TrainingFailed as failure:
        return TrialResult("failed", scores, None, failure.message, 0.0, epochs.curve)
    return TrialResult("complete", scores, float(np.mean(scores)), "", 0.0, epochs.curve)


class _HopelessEpoch(Exception):
    """Ends the training of a network from inside."""


class _Epochs:
    """Listens to the epochs of a network, keeps its loss on the rows that watch, and ends what is hopeless."""

    def __init__(self, rivals: Sequence[TrialRecord]) -> None:
        self.curve: list[float] = []
        self._rivals = rivals

    def __call__(self, what: str, _done: int, _of: int, figures: Mapping[str, float]) -> None:
        if what.endswith(", epoch") and "val_loss" in figures:
            self.curve.append(figures["val_loss"])
            if is_hopeless_epoch(self.curve, self._rivals):
                raise _HopelessEpoch


@contextmanager
def _renewing(registry: Registry, claim: TrialClaim) -> Iterator[None]:
    """Keep the claim while the body works, however long that takes."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_S):
            try:
                registry.renew_claim(claim, CLAIM_S)
            except LeaseLost:
                return
            except RegistryUnavailable as error:
                logger.warning("the claim of trial %d could not be renewed: %s", claim.number, error.message)

    thread = threading.Thread(target=beat, daemon=True, name="claim")
    thread.start()
    try:
        yield
    finally:
        stop.set()
