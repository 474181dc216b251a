"""`keepfit trace`: from one prediction to what made it."""

import json
from typing import Any

from flows.cli.render import console, number
from tasks.release.tracing import Trace, trace_prediction


def show_trace(text: str, *, as_json: bool) -> None:
    """Print what made a prediction.

    Raises
    ------
    UsageError
        There is no such prediction; the message names the nearest.
    """
    trace = trace_prediction(text)
    facts = describe_trace(trace)
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    console.print(str(trace.id), style="bold", soft_wrap=True)
    for part, values in facts.items():
        for place, (name, value) in enumerate(values.items()):
            console.print(f"  {part if place == 0 else '':<10} {name:<16} {_say(value)}", soft_wrap=True)
    console.print(f"  evidence   keepfit show {trace.batch.model}   ·   keepfit lineage {trace.batch.model}")


def _say(value: object) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {number(share)}" for name, share in value.items()) or "none"


def describe_trace(trace: Trace) -> dict[str, dict[str, Any]]:
    """Return the facts in the order in which one reads them, ready for JSON."""
    batch, made, verdict = trace.batch, trace.version.manifest, trace.version.verdict
    checks = ", ".join(f"{check.name} {check.status}" for check in verdict.checks)
    return {
        "prediction": {
            "row": trace.id.row,
            "time": trace.time,
            "answer": trace.prediction,
            "probabilities": trace.probabilities,
        },
        "batch": {
            "window": f"{batch.window} ({batch.start:%Y-%m-%d %H:%M} up to {batch.end:%Y-%m-%d %H:%M} UTC)",
            "scored": f"{batch.scored_at:%Y-%m-%d %H:%M:%S} UTC by {batch.actor}, rows as of {batch.as_of:%Y-%m-%d %H:%M}",
            "rows": f"{batch.rows:,} scored, {batch.quarantined_rows:,} set aside",
            "snapshot": batch.snapshot,
        },
        "version": {"name": batch.model, "candidate": made.model.candidate, "content": made.model.content},
        "gate": {"verdict": f"{verdict.decision}: {verdict.summary}", "checks": checks},
        "release": _describe_release(trace),
        "data": {
            "snapshot": made.snapshot.digest,
            "rows": f"{made.snapshot.rows:,} from {made.snapshot.source}",
            "as of": made.snapshot.as_of.isoformat(timespec="seconds"),
        },
        "code": {
            "commit": made.code.commit,
            "uncommitted": made.code.dirty_diff.digest if made.code.dirty_diff else "nothing",
            "lock": made.code.lock,
            "project code": made.code.project_code,
            "spec": made.spec.digest,
        },
        "run": {"id": trace.version.row.run_id},
    }


def _describe_release(trace: Trace) -> dict[str, Any]:
    release = trace.release
    if release is None:
        return {"move": "none before the batch was kept"}
    return {
        "move": f"#{release.seq} {release.kind} by {release.actor}, {release.at:%Y-%m-%d %H:%M:%S} UTC",
        "why": release.why,
    }
