"""What a candidate suffers from, in plain words with the figures that they rest on, and no more than the folds can tell."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tasks.contracts.models import FoldDifference
from tasks.contracts.study_report import Diagnosis, Finding
from tasks.models.model import Floats
from tasks.training.fold_scores import LEVEL, Folds, MeanOverFolds

LOST_SHARE = 0.2
"""Over-fitted: of what it is better than the dummy on its own training rows, more than this share is lost on others.

A convention of ours, like any such bound. The gap itself proves nothing: one nearest neighbour and a forest have a perfect
training score and may predict well (Hastie, Tibshirani & Friedman 2009, The Elements of Statistical Learning, sec. 7.2-7.4).
"""

MATTERS_SHARE = 0.02
"""A difference matters from this share on of what the best candidate is better than the dummy, where the project does not say."""


@dataclass(frozen=True)
class Case:
    """One candidate's scores at all rows, one a fold, turned so that more is better, and what they are held against."""

    name: str
    training: Floats
    validation: Floats
    dummy: Floats
    others: Mapping[str, Floats]
    """Validation scores of the other candidates."""
    step: tuple[Floats, float] | None
    """What the last doubling of the rows brought a fold, and what the one before did; None where there was none."""
    rows: int
    difference: FoldDifference | None
    """To the best candidate; None for the best itself."""
    folds: Folds
    alpha: float
    """One-sided level of each test."""
    matters: float
    unit: int
    """-1 where the metric's lower values are better: figures are shown in its own unit."""

    def mean(self, values: Floats) -> MeanOverFolds:
        """Return a mean over the folds with its corrected error."""
        return MeanOverFolds.of(values, self.folds)


@dataclass(frozen=True)
class Answer:
    """What one test said: a finding or none, and a sentence."""

    finding: Finding | None
    said: str


def diagnose(case: Case) -> Diagnosis:
    """Return what the candidate suffers from.

    Every question is a one-sided test at `alpha` on one figure a fold, by the corrected resampled t (`MeanOverFolds`), so that
    none is answered by the luck of the folds; `alpha` is 0.05 over the number of candidates.

    over-fitted
        (training - validation) - 0.2 (training - dummy) is above 0: much of what it learnt holds for its own rows only
        (variance; HTF 2009, sec. 7.2).
    under-fitted
        Another candidate predicts rows that it never saw better than this one fits its own, by more than `matters`: it is too
        simple for what is there (bias; HTF 2009, sec. 7.3). Without a better candidate a low score cannot be told from noise in the
        data, and nothing is claimed.
    more data would help
        The last doubling of the rows brought something (its lower bound is above 0), and the next one is expected to bring at
        least `matters`. Expected: the last gain times its ratio to the gain before, what the power law a + b n^-c says of
        equal factors (Viering & Loog 2021, arXiv:2103.10948, sec. 3; Perlich et al. 2003, JMLR 4).
    as good as these data allow
        None of these, no other candidate is told apart as better, and the upper bound of what the last doubling brought is below
        `matters`: an equivalence test, not a lack of evidence (Schuirmann 1987).
    not told apart
        None of these, and that bound is not below `matters`: these rows and folds cannot say whether more would help.
    """
    answers = [_ask_over(case), _ask_under(case), _ask_more(case)]
    findings = [answer.finding for answer in answers if answer.finding]
    asked = {"over-fitted", "under-fitted", "more data would help"} & set(findings)
    if not asked:
        findings = [_conclude(case, saturated="as good as these data allow" in findings)]
    else:
        findings = [finding for finding in findings if finding in asked]
    reasons = [answer.said for answer in (_ask_dummy(case), *answers)]
    if case.difference is not None:
        reasons.append(case.difference.detail)
    validation = case.mean(case.validation)
    return Diagnosis(
        candidate=case.name,
        findings=tuple(findings),
        reasons=tuple(reasons),
        next_step=_advise(findings[0], case),
        mean=case.unit * validation.value,
        error=validation.error,
        training_mean=case.unit * float(np.mean(case.training)),
        difference=case.difference,
    )


def _ask_dummy(case: Case) -> Answer:
    gain = case.mean(case.validation - case.dummy)
    beats = gain.low(case.alpha) > 0
    word = "better than" if beats else "not told apart from"
    figures = f"{_figure(case, case.validation)} against {_figure(case, case.dummy)}"
    return Answer(None, f"On rows that it never saw it is {word} the dummy: {figures}.")


def _ask_over(case: Case) -> Answer:
    gap, learnt = case.training - case.validation, case.training - case.dummy
    beyond = case.mean(gap - LOST_SHARE * learnt)
    figures = f"{_figure(case, case.training)} on its own training rows, {_figure(case, case.validation)} on others"
    lost = ""
    if case.mean(learnt).low(case.alpha) > 0:
        share = min(float(np.mean(gap) / np.mean(learnt)), 1.0)
        lost = f", {share:.0%} of what it is better than the dummy is lost"
    if beyond.low(case.alpha) > 0 and np.mean(gap) >= case.matters:
        return Answer("over-fitted", f"Over-fitted: {figures}{lost}.")
    if beyond.high(case.alpha) <= 0:
        return Answer(None, f"Not over-fitted: {figures}.")
    return Answer(None, f"{figures}{lost}: whether it is over-fitted cannot be told.")


def _ask_under(case: Case) -> Answer:
    if not case.others:
        return Answer(
            None,
            "Whether it is too simple cannot be told: there is no other candidate to hold its training score against.",
        )
    # Each of them is a chance to find one that is better by luck.
    alpha = case.alpha / len(case.others)
    beats = {name: case.mean(other - case.training) for name, other in case.others.items()}
    name = max(beats, key=lambda other: beats[other].low(alpha))
    figures = f"{name} has {_figure(case, case.others[name])} on rows that it never saw"
    if beats[name].low(alpha) > 0 and beats[name].value >= case.matters:
        own = _figure(case, case.training)
        return Answer("under-fitted", f"Under-fitted: {figures}, and this one only {own} on its own training rows.")
    return Answer(
        None,
        "No other candidate predicts better than this one fits its own training rows: nothing says that it is too simple.",
    )


def _ask_more(case: Case) -> Answer:
    if case.step is None:
        return Answer(None, "What more rows would bring cannot be told: there are too few for a curve.")
    gains, before = case.step
    gain = case.mean(gains)
    low, high = gain.low(case.alpha), gain.high(case.alpha)
    figures = f"the last doubling, to {case.rows:,} rows, improved it by {_signed(gain.value)} [{_signed(low)}, {_signed(high)}]"
    expected = expect_next(gain.value, before)
    if low > 0 and expected >= case.matters:
        return Answer("more data would help", f"Still rising: {figures}; the next one may by about {expected:+.4f}.")
    if low > 0:
        return Answer(
            "as good as these data allow",
            f"Rising by less than matters ({case.matters:.2g}): {figures}; the next one may by about {expected:+.4f}.",
        )
    if high < case.matters:
        return Answer("as good as these data allow", f"Flat: {figures}, less than matters ({case.matters:.2g}).")
    return Answer(None, f"Whether more rows would help cannot be told: {figures}.")


def expect_next(gain: float, before: float) -> float:
    """Return what the next doubling brings where the score follows a power law: the gain times its ratio to the one before.

    a + b n^-c gains b n^-c (1 - 2^-c) by a doubling, and 2^-c times as much by the next. A ratio above 1 (a curve that has just
    begun to rise) is taken for 1, and where the gain before is unknown or not above 0 the gain itself is all there is.

    >>> expect_next(0.02, 0.04)
    0.01
    """
    return gain * min(gain / before, 1.0) if before > 0 else gain


def _conclude(case: Case, *, saturated: bool) -> Finding:
    if case.mean(case.validation - case.dummy).low(case.alpha) <= 0:
        return "not told apart from the dummy"
    if case.difference is not None and case.difference.told_apart:
        return "behind another candidate"
    return "as good as these data allow" if saturated else "not told apart"


def _signed(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}"  # no minus before a zero


def _figure(case: Case, values: Floats) -> str:
    return f"{case.unit * float(np.mean(values)):.4f}"


def _advise(finding: Finding, case: Case) -> str:
    best = case.difference.against if case.difference is not None else ""
    return {
        "over-fitted": "Give it less freedom (regularisation, fewer or shallower parts, `prepare.select`), or more rows; "
        "a `study.validation_curve` over the parameter that holds it back shows where.",
        "under-fitted": "Give it more freedom or better features, or take the candidate that does better.",
        "more data would help": "Gather more rows of the same kind before anything is tuned.",
        "not told apart from the dummy": "Look at the features: as far as these rows and this candidate can tell, nothing in them speaks of the target.",
        "behind another candidate": f"Take {best}, or leave this one out.",
        "as good as these data allow": "Only better features or another kind of candidate will change the score; more rows will not.",
        "not told apart": "More rows, or more `study.repeats`, would say more; until then take the simplest.",
    }[finding]


def smallest_that_matters(validation: Mapping[str, Floats], dummy: Floats, declared: float | None) -> float:
    """Return the smallest difference that counts; scores turned so that more is better."""
    if declared is not None:
        return declared
    best = max(float(np.mean(scores)) for scores in validation.values())
    return MATTERS_SHARE * max(best - float(np.mean(dummy)), 0.0)


def level_of(candidates: int) -> float:
    """Return the one-sided level of each test, so that all candidates' questions of one kind together keep LEVEL."""
    return LEVEL / candidates
