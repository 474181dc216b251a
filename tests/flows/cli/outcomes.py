"""The outcome of a run, for the tests of what is shown of it."""

from typing import Any

from tasks.contracts.release import RunOutcome
from tests.tasks.release.builders import make_manifest, make_verdict


def make_outcome(text: str = "plain", **changed: Any) -> RunOutcome:
    """Return an outcome; `text` stands wherever words of others can stand."""
    made = make_manifest(text)
    decision = changed.get("decision", "PROMOTE")
    verdict = make_verdict(text).model_copy(update={"decision": decision})
    known = {"run_id": "r", "project": "iris", "decision": decision, "released": False, "verdict": verdict}
    known |= {"evaluation": made.evaluation, "fit": made.fit, "snapshot": made.snapshot, "seconds": 1.0}
    return RunOutcome(**{**known, **changed})
