"""What the registry's tests write: digests, references, holders, runs and versions."""

import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import update

from infra.artifacts.reference import ArtifactRef
from infra.registry.batches import BatchRequest
from infra.registry.holder import describe_process
from infra.registry.records import BatchRow, BreakerRow, Fencing, Holder, RunGrant, VersionRow
from infra.registry.registry import Registry
from infra.registry.schema import study, trial
from infra.registry.trials import Proposal, TrialResult


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def reference(text: str) -> ArtifactRef:
    return ArtifactRef(digest=digest(text), size_bytes=len(text), media_type="text/plain")


@cache
def dead_holder() -> Holder:
    """A process of this host and boot that has ended."""
    alive = describe_process()
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return alive.model_copy(update={"pid": process.pid})


def begin(registry: Registry, project: str = "iris", **changes: Any) -> RunGrant:
    values: dict[str, Any] = {
        "project": project,
        "flow": "retrain",
        "trigger_kind": "operator",
        "trigger_key": None,
        "why": "a test",
        "parameters": {},
        "actor": "tester",
        "holder": describe_process(),
    }
    return registry.begin_run(**values | changes)


def commit(registry: Registry, grant: RunGrant | Fencing, of: str = "ingest", **changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "key": digest(of),
        "step": "ingest",
        "result": {"rows": 150},
        "blobs": [],
        "seconds": 0.5,
    }
    return registry.commit_step(grant, **values | changes)


def register(registry: Registry, grant: RunGrant | Fencing, key: str = "one", **changes: Any) -> VersionRow:
    project = grant.fencing.project if isinstance(grant, RunGrant) else grant.project
    values: dict[str, Any] = {
        "project": project,
        "key": key,
        "manifest": reference(f"manifest {project} {key}"),
        "content": digest(f"model {key}"),
        "payload": {"backend": "sklearn"},
        "verdict": {"summary": "better"},
        "decision": "PROMOTE",
        "test_digest": digest("test rows"),
        "blobs": [reference(f"model {key}")],
    }
    return registry.register_version(grant, **values | changes)


def promote(registry: Registry, number: int, seq: int, project: str = "iris", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "project": project,
        "number": number,
        "expected_seq": seq,
        "kind": "promote",
        "why": "better",
        "actor": "tester",
        "fencing": None,
        "evidence": {"p_value": 0.01},
    }
    return registry.release(**values | changes)


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2013, 7, day, hour, tzinfo=UTC)


def add_batch(registry: Registry, window: str = "2013-07-14", content: str = "one", **changes: Any) -> BatchRow:
    day = int(window[-2:])
    rows = changes.get("rows", 10)
    values: dict[str, Any] = {
        "project": "iris",
        "window": window,
        "start": at(day),
        "end": at(day + 1),
        "version": 1,
        "key": digest(f"received {content}"),
        "snapshot": digest(f"scored {content}"),
        "rows_blob": reference(f"rows {content}"),
        "predictions_blob": reference(f"predictions {content}"),
        "quarantine_blob": reference(f"aside {content}"),
        "rows": rows,
        "quarantined_rows": 2,
        "findings": {"reasons": {"signal: missing": 2}},
        "as_of": at(day + 1),
        "actor": "tester",
    }
    return registry.add_batch(BatchRequest(**values | changes))


def add_labels(registry: Registry, content: str = "one", known_at: datetime | None = None, **changes: Any) -> Any:
    moment = known_at or at(16)
    values: dict[str, Any] = {"project": "iris", "digest": digest(f"labels {content} {moment}"), "rows": 10}
    values |= {"blob": reference(f"labels {content}"), "known_at": moment, "actor": "tester"}
    return registry.add_labels(**values | changes)


def report_window(registry: Registry, window: str = "2013-07-14", as_of: datetime | None = None, **changes: Any) -> Any:
    values: dict[str, Any] = {"project": "iris", "window": window, "as_of": as_of or at(16), "version": 1}
    values |= {"status": "FINE", "alarm": False, "evidence": {"reasons": ["no change"]}, "actor": "tester"}
    return registry.add_window_report(**values | changes)


def move_breaker(registry: Registry, state: Any = "open", seq: int = 0, **changes: Any) -> BreakerRow:
    values: dict[str, Any] = {"why": "three gates in a row", "actor": "loop", "evidence": {"runs": ["a", "b", "c"]}}
    return registry.move_breaker(changes.pop("project", "iris"), state, expected_seq=seq, **values | changes)


LONG_AGO = timedelta(days=91)


def search(registry: Registry, content: str, *, project: str = "iris", trials: int = 2, finished: bool = True) -> str:
    """Return the key of a study with trials."""
    key = digest(content)
    registry.open_study(key=key, project=project, candidate="knn", settings={}, actor="tester")
    proposals = [Proposal(number, {"k": number}) for number in range(trials)]
    for _ in range(trials):
        claim = registry.claim_trial(key, proposals)
        assert claim is not None
        if finished:
            registry.finish_trial(claim, TrialResult("complete", (0.5,), 0.5, "", 0.1))
    return key


def grow_old(registry: Registry, key: str, *, but_for: str | None = None) -> None:
    """Make all times of a study LONG_AGO earlier, but for one column of its trials."""
    with registry._database.begin(writes=True) as tx:
        tx.execute(update(study).where(study.c.key == key).values(opened_at=tx.read_clock() - LONG_AGO))
        now = tx.read_clock()
        names = [name for name in ("claimed_at", "expires_at", "finished_at") if name != but_for]
        tx.execute(update(trial).where(trial.c.study == key).values(dict.fromkeys(names, now - LONG_AGO)))
