"""One word on a window, with its reasons and what to do: the findings of validation, drift and performance together."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tasks.contracts.monitoring import DriftReport, PerformanceReport, Status

MOST_NAMES = 3


class Verdict(NamedTuple):
    """`cause` says what asks for a retraining; None where nothing does."""

    status: Status
    reasons: tuple[str, ...]
    next_step: str
    cause: Literal["drift", "performance"] | None = None


def reach_verdict(
    *,
    broken: Sequence[str],
    drift: DriftReport | None,
    persistent: bool,
    performance: PerformanceReport | None,
    quarantined_rows: int = 0,
    project: str = "PROJECT",
) -> Verdict:
    """Return the verdict: the first of these that holds.

    BROKEN DATA: validation refused the window; it says nothing of the world, and nothing is trained on it.
    RETRAIN: the figure fell, or drift persists. WATCH: drift, not yet persistent; or due labels that do not arrive.
    UNKNOWN: drift could not be told. FINE: none of these. What is unknown is never fine.

    Parameters
    ----------
    broken
        What validation found, in words; empty where the window may be used.
    drift
        None where the window never came so far.
    persistent
        Of `persistence.persists` over the windows up to this one.
    performance
        None where the project has no labels.
    quarantined_rows
        Rows that validation set aside.
    project
        Its name, for the commands in the next step.
    """
    aside = (f"{quarantined_rows:,} rows were set aside.",) if quarantined_rows else ()
    if broken:
        return Verdict(
            "BROKEN DATA",
            (*broken, *aside),
            "Mend the source and score the window again. Nothing is retrained on broken data.",
        )
    reasons = (*_give_reasons(drift, performance), *aside)
    fell = performance is not None and performance.fell
    if fell or (drift is not None and drift.alarm and persistent):
        return Verdict("RETRAIN", reasons, _say_retrain(project), "performance" if fell else "drift")
    if drift is not None and drift.alarm:
        names = ", ".join(drift.drifted[:MOST_NAMES])
        step = (
            f"Look at {names} in the report. A retraining starts when enough windows drift (monitoring.drift.alarms)."
        )
        return Verdict("WATCH", reasons, step)
    if drift is None or drift.alarm is None:
        return Verdict("UNKNOWN", reasons, _say_unknown(drift, project))
    if performance is not None and _labels_are_missing(performance):
        return Verdict(
            "WATCH", reasons, f"Find out why labels do not arrive; `keepfit labels {project}` takes them when they do."
        )
    return Verdict("FINE", reasons, "Nothing to do.")


def _give_reasons(drift: DriftReport | None, performance: PerformanceReport | None) -> tuple[str, ...]:
    said = ["Drift was not looked at." if drift is None else f"Drift: {drift.reason}"]
    if performance is not None:
        said.append(f"Performance: {performance.reason}")
    return tuple(said)


def _labels_are_missing(performance: PerformanceReport) -> bool:
    """Return whether labels are due, the window is judged by them, and they are not there."""
    return performance.fell is None and performance.value is None and performance.matured < performance.due


def _say_retrain(project: str) -> str:
    return (
        f"A retraining starts by itself unless a brake holds it (`keepfit history {project}` says which); the gate decides "
        f"whether its model is released. By hand: `keepfit run {project}`."
    )


def _say_unknown(drift: DriftReport | None, project: str) -> str:
    if drift is not None and drift.reference_digest is None:
        return f"Give the project a reference: a champion (`keepfit run {project}`), or more windows."
    return "Wait for a larger window, or choose a longer one (monitoring.window) if windows stay this small."
