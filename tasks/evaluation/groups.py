"""What the decision means for each slice: who is answered positive, rightly and wrongly (two classes)."""

import math

import numpy as np

from tasks.contracts.evaluation import GroupRates, Rate
from tasks.evaluation.answers import AnswerTable
from tasks.metrics.answers import Answers, Mask
from tasks.metrics.proportions import wilson_interval

ALPHA = 0.025


def measure_groups(table: AnswerTable, answers: Answers) -> tuple[GroupRates, ...]:
    """Return for all rows and for each slice the share answered positive, and of those that are and are not positive.

    selection rate P(answered positive), true positive rate P(answered positive | is), false positive rate P(answered positive
    | is not), each with Wilson's two-sided 95 % interval. Equal selection rates are demographic parity, equal true and false
    positive rates equalized odds (Hardt, Price & Srebro 2016, NeurIPS, definition 2.1): where the shares of positives
    differ between groups no useful model has all of them, so the figures are shown and a person judges.

    Intervals are for independent rows: there is none where the project names groups of rows that are not.

    Parameters
    ----------
    table
        Truth and slices; of two classes.
    answers
        The candidate's.
    """
    if len(table.classes) != 2 or table.several or not table.slices:
        return ()
    said, is_positive = answers.predicted == table.positive, table.truth == table.positive
    everyone = np.ones(table.n, dtype=np.bool_)

    def rate(of: Mask) -> Rate:
        n, hits = int(of.sum()), int((said & of).sum())
        if n == 0:
            return Rate(value=math.nan, low=math.nan, high=math.nan, n=0)
        low, high = wilson_interval(hits, n, ALPHA) if table.groups is None else (math.nan, math.nan)
        return Rate(value=hits / n, low=low, high=high, n=n)

    return tuple(
        GroupRates(
            slice=name,
            n=int(mask.sum()),
            positives=int((mask & is_positive).sum()),
            selection=rate(mask),
            true_positive=rate(mask & is_positive),
            false_positive=rate(mask & ~is_positive),
        )
        for name, mask in {"all rows": everyone, **table.slices}.items()
    )
