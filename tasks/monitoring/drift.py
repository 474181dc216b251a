"""The decision whether a window drifted, from counts of all its rows."""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tasks.contracts.monitoring import Change, DriftReport
from tasks.contracts.upkeep import Drift
from tasks.monitoring.comparisons import Comparison, NoComparison, compare_window
from tasks.monitoring.counting import Floats
from tasks.monitoring.differences import adjust_p
from tasks.monitoring.pseudo_windows import PseudoWindows, size_for
from tasks.monitoring.summaries import ReferenceSummary, WindowSummary

logger = logging.getLogger(__name__)

DRAWS = 1_000
"""Pseudo-windows: the level rests on the `rate` strictest of them, at least 10 as far as `MOST_DRAWS` allows."""

MOST_DRAWS = 10_000


class Held(NamedTuple):
    """A window and what it is held against; pseudo-windows of its size, where they are made already."""

    reference: ReferenceSummary
    window: WindowSummary
    pseudo: PseudoWindows | None = None


class Calibration(NamedTuple):
    """The rule: a change counts when q <= level and the effect >= its threshold, shape (tests,)."""

    level: float
    thresholds: Floats


def decide_drift(
    reference: ReferenceSummary | None,
    window: WindowSummary,
    rules: Drift,
    *,
    importances: Mapping[str, float] | None = None,
    beside: Sequence[Held] = (),
    pseudo: PseudoWindows | None = None,
    absent: str = "",
    seed: int = 0,
) -> DriftReport:
    """Return what changed, and whether that is an alarm.

    A change counts when it is significant (q <= level, Benjamini & Hochberg 1995, over all tests of the window) and large
    (effect >= threshold). `calibrate` says how level and thresholds keep the rate of false alarms.

    Parameters
    ----------
    reference
        None, or fewer rows than `rules.min_rows`: it cannot be told whether anything changed.
    window
        The window, counted by this reference.
    rules
        Section monitoring.drift of project.yaml.
    importances
        Share of the champion's importance of each column, 0 to 1; a column that is not named counts.
    beside
        Further tables tested together with the first: predictions held against those on the champion's test rows (those
        on its training rows are too sure of themselves), matured targets against the training rows' targets.
    pseudo
        From `draw_pseudo_windows` of this reference, to judge many windows of one size; others are drawn where it does
        not fit.
    absent
        Why there is no reference, where there is none.
    seed
        Of the pseudo-windows.
    """
    refusal = (absent if reference is None else "") or _find_refusal(reference, window, rules)
    if reference is None or refusal:
        return _say_unknown(reference, window, rules, refusal)
    held = [Held(reference, window, pseudo), *beside]
    found = [change for place, each in enumerate(held) for change in _compare(each, rules, seed + place)]
    tests = [each for each in found if isinstance(each, Comparison)]
    if not tests:
        return _say_unknown(reference, window, rules, "No column could be compared: see the notes.", found)
    calibration = calibrate(tests, rules.false_alarm_rate)
    adjusted = adjust_p(np.array([float(each.seen.p) for each in tests]))
    changes = iter(
        _describe(each, float(q), float(threshold), calibration.level, importances)
        for each, q, threshold in zip(tests, adjusted, calibration.thresholds, strict=True)
    )
    ordered = [next(changes) if isinstance(each, Comparison) else _mention(each, importances) for each in found]
    return _conclude(reference, window, rules, ordered)


def draw_pseudo_windows(reference: ReferenceSummary, window_rows: int, rules: Drift, seed: int = 0) -> PseudoWindows:
    """Return the windows without a change that windows of so many rows are judged by."""
    draws = int(np.clip(np.ceil(10 / rules.false_alarm_rate), DRAWS, MOST_DRAWS))
    return PseudoWindows(reference, window_rows, draws=draws, seed=seed)


def calibrate(tests: Sequence[Comparison], rate: float) -> Calibration:
    """Return the level and thresholds at which at most `rate` of the windows without a change alarm.

    Pseudo-windows are whole rows drawn with replacement from the reference (the bootstrap under the null hypothesis:
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 16.2), so that features stay as correlated as
    they are: the joint null of all tests, as in Westfall & Young 1993 (Resampling-Based Multiple Testing, section 2.3).
    Each has m = nN / (n + N) rows, but at most 1,000: sqrt(m) times an effect has a limit law (of KS distances Donsker's,
    of shares the central limit theorem's; van der Vaart & Wellner 1996, sections 2.1 and 3.7), so that its quantiles at
    1,000 rows hold at more, divided by sqrt(m).

    threshold = max(floor, the (1 - rate) quantile of the effect). level: the largest, at most `rate`, at which no more than
    floor(rate (B + 1)) of B pseudo-windows hold a test with q <= level and an effect above its threshold; another
    exchangeable window then does with a chance of at most `rate` (Davison & Hinkley 1997, section 4.2).
    """
    roots = np.sqrt(np.array([max(each.rows, 1.0) for each in tests]))
    sizes = np.stack([each.null.size for each in tests], axis=1) / roots
    floors = np.array([each.floor for each in tests])
    thresholds = np.maximum(floors, np.quantile(sizes, 1 - rate, axis=0, method="higher"))
    adjusted = adjust_p(np.stack([each.null.p for each in tests], axis=1))
    least = np.sort(np.where(sizes >= thresholds, adjusted, 1.0).min(axis=1))
    tolerated = int(rate * (len(least) + 1))
    # Just below the first that is one too many.
    level = min(rate, float(np.nextafter(least[tolerated], 0.0)))
    return Calibration(level, thresholds)


def _compare(held: Held, rules: Drift, seed: int) -> list[Comparison | NoComparison]:
    if refusal := _find_refusal(held.reference, held.window, rules):
        rows = held.reference.rows, held.window.rows
        return [NoComparison(each.measure, *rows, refusal) for each in held.reference.measures]
    pseudo = held.pseudo
    if pseudo is None or pseudo.size != size_for(held.reference.rows, held.window.rows):
        pseudo = draw_pseudo_windows(held.reference, held.window.rows, rules, seed)
    return compare_window(held.reference, held.window, pseudo)


def _find_refusal(reference: ReferenceSummary | None, window: WindowSummary, rules: Drift) -> str:
    if reference is None:
        return "There is no reference to hold this window against: it cannot be told whether anything changed."
    if reference.rows < rules.min_rows:
        return f"The reference has {reference.rows:,} rows, at least {rules.min_rows:,} are needed (drift.min_rows)."
    if window.rows < rules.min_rows:
        return f"The window has {window.rows:,} rows, at least {rules.min_rows:,} are needed (drift.min_rows)."
    return ""


def _say_unknown(
    reference: ReferenceSummary | None,
    window: WindowSummary,
    rules: Drift,
    reason: str,
    found: Sequence[Comparison | NoComparison] = (),
) -> DriftReport:
    return DriftReport(
        reference=reference.described if reference else "none",
        reference_digest=reference.digest if reference else None,
        window_rows=window.rows,
        changes=tuple(_mention(each, None) for each in found if isinstance(each, NoComparison)),
        drifted=(),
        alarm=None,
        reason=reason,
        false_alarm_rate=rules.false_alarm_rate,
    )


def _describe(
    each: Comparison, adjusted: float, threshold: float, level: float, importances: Mapping[str, float] | None
) -> Change:
    effect = float(each.seen.effect)
    return Change(
        name=each.measure.name,
        aspect=each.measure.aspect,
        type=each.measure.type,
        test=each.test,
        statistic=float(each.seen.statistic),
        p=float(each.seen.p),
        p_adjusted=adjusted,
        effect=effect,
        effect_name=each.effect_name,
        threshold=threshold,
        reference_rows=each.reference_rows,
        window_rows=each.window_rows,
        importance=_importance(each, importances),
        drifted=adjusted <= level and effect >= threshold,
        note=each.note,
    )


def _mention(each: NoComparison, importances: Mapping[str, float] | None) -> Change:
    return Change(
        name=each.measure.name,
        aspect=each.measure.aspect,
        type=each.measure.type,
        test="none",
        reference_rows=each.reference_rows,
        window_rows=each.window_rows,
        importance=_importance(each, importances),
        note=each.note,
    )


def _importance(each: Comparison | NoComparison, importances: Mapping[str, float] | None) -> float | None:
    if importances is None or each.measure.aspect != "feature":
        return None
    return importances.get(each.measure.column)


def _conclude(
    reference: ReferenceSummary, window: WindowSummary, rules: Drift, changes: Sequence[Change]
) -> DriftReport:
    found = sorted((each for each in changes if each.drifted), key=_excess, reverse=True)
    counting = [each for each in found if each.importance is None or each.importance >= rules.min_importance]
    drifted = tuple(dict.fromkeys(each.name for each in found))
    reason = _say_why(found, counting, tests=sum(each.test != "none" for each in changes), rules=rules)
    logger.info("drift: %d rows against %d, %d changes count", window.rows, reference.rows, len(counting))
    return DriftReport(
        reference=reference.described,
        reference_digest=reference.digest,
        window_rows=window.rows,
        changes=tuple(changes),
        drifted=drifted,
        alarm=bool(counting),
        reason=reason,
        false_alarm_rate=rules.false_alarm_rate,
    )


def _excess(change: Change) -> float:
    return (change.effect or 0.0) / (change.threshold or 1.0)


def _say_why(found: Sequence[Change], counting: Sequence[Change], *, tests: int, rules: Drift) -> str:
    if not found:
        return f"None of {tests} tests found a change that is both significant and large."
    first = (counting or found)[0]
    largest = f"{first.name}, {first.effect_name} {first.effect:.3f} (counts from {first.threshold:.3f})"
    if not counting:
        return (
            f"{len(found)} of {tests} tests found a change, all in columns that matter little to the champion "
            f"(less than {rules.min_importance:g} of the importance); the largest: {largest}."
        )
    return (
        f"{len(counting)} of {tests} tests found a change that is both significant and large; the largest: {largest}."
    )
