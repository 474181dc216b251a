"""What the registry's tests write: digests, references, holders, runs and versions."""

import hashlib
import subprocess
import sys
from functools import cache
from typing import Any

from infra.artifacts.reference import ArtifactRef
from infra.registry.holder import describe_process
from infra.registry.records import Fencing, Holder, RunGrant, VersionRow
from infra.registry.registry import Registry


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
