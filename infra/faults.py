"""Named points at which a test may kill the process, to show what a crash leaves behind.

Set `KEEPFIT_FAULT_POINT=<name>` and the process gets SIGKILL when it reaches that point, or the signal that
`KEEPFIT_FAULT_SIGNAL=TERM` names. Unset, a point costs one dictionary look-up. `POINTS` is the whole list; a test holds it against the points that are tested.
"""

import os
import signal

from infra.errors import UsageError

STEPS = ("ingest", "validate", "split", "train", "score", "evaluate", "decide", "report", "register", "release")
"""The steps of retraining, in order."""

POINTS = (
    *(f"{step}.{place}" for step in STEPS for place in ("start", "before_commit", "after_commit")),
    "batch.before_commit",
    "batch.after_commit",
    "labels.before_commit",
    "labels.after_commit",
    "monitor.before_commit",
    "monitor.after_commit",
    "rollback.after_commit",
    "release.in_transaction",
    "trial.before_commit",
    "trial.after_commit",
    "checkpoint.after_save",
    "checkpoint.between",
    "store.before_publish",
    "study.start",
    "study.before_commit",
    "study.after_commit",
)


def reach(point: str) -> None:
    """Die here, or get the signal, if the environment names this point."""
    wanted = os.environ.get("KEEPFIT_FAULT_POINT")
    if wanted is None:
        return
    if wanted not in POINTS:
        raise UsageError(f"KEEPFIT_FAULT_POINT={wanted!r} is no fault point.", remedy=f"One of: {', '.join(POINTS)}.")
    if wanted == point:
        os.kill(os.getpid(), signal.Signals[f"SIG{os.environ.get('KEEPFIT_FAULT_SIGNAL', 'KILL')}"])
