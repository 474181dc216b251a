"""Registered versions that wait for a person, in a workspace of their own: all of it but the training is real."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.artifacts.reference import references_in
from infra.registry.holder import describe_process
from infra.registry.records import VersionRow
from infra.settings import load_settings
from infra.workspace import open_workspace
from tasks.contracts.evaluation import Verdict
from tasks.contracts.release import Proposal
from tasks.release.approval import APPROVAL, propose
from tasks.release.versions import version_key
from tests.tasks.release.builders import make_manifest, make_verdict

PROJECT = "demo"


@contextmanager
def own_workspace(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process work in an empty KEEPFIT_HOME."""
    for name in ("KEEPFIT_STORE_URL", "KEEPFIT_DATABASE_URL", "KEEPFIT_PROJECTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KEEPFIT_HOME", str(home))
    monkeypatch.setenv("KEEPFIT_ACTOR", "tester")
    for once in (load_settings, open_workspace):
        once.cache_clear()
    yield
    open_workspace().registry.close()
    for once in (load_settings, open_workspace):
        once.cache_clear()


def judge(content: str) -> Verdict:
    """Return the verdict PROMOTE on a model, against the champion of now."""
    champion = open_workspace().registry.champion(PROJECT)
    return make_verdict().model_copy(
        update={
            "decision": "PROMOTE",
            "summary": "May go: better.",
            "candidate_content": content,
            "champion": f"{PROJECT}@{champion.version}" if champion.version else None,
            "champion_seq": champion.seq,
        }
    )


def make_version(letter: str, *, approval: str = "operator") -> tuple[VersionRow, Proposal | None]:
    """Register a version whose model is named by a letter; with `operator` it waits, proposed by a run that has ended."""
    workspace = open_workspace()
    content = letter * 64
    stored = workspace.store.put_bytes(f"model {letter}".encode(), "x/y")
    page = workspace.store.put_bytes(f"<!doctype html><title>{letter}</title>".encode(), "text/html; charset=utf-8")
    picture = workspace.store.put_bytes(b"\x89PNG", "image/png")
    plain = make_manifest()
    model = plain.model.model_copy(update={"artifact": stored, "content": content})
    evaluation = plain.evaluation.model_copy(update={"pictures": {"Curve": picture}})
    manifest = make_manifest(model=model, evaluation=evaluation)
    reference = workspace.store.put_bytes(manifest.model_dump_json().encode(), "application/json")
    known = {"flow": "retrain", "trigger_kind": "operator", "trigger_key": None, "why": "", "parameters": {}}
    grant = workspace.registry.begin_run(project=PROJECT, **known, actor="tester", holder=describe_process())
    verdict = judge(content)
    row = workspace.registry.register_version(
        grant,
        project=PROJECT,
        key=version_key(manifest),
        manifest=reference,
        content=content,
        payload={"report": page.model_dump(mode="json"), APPROVAL: approval},
        verdict=verdict.model_dump(mode="json"),
        decision="PROMOTE",
        test_digest=verdict.test_digest,
        blobs=[reference, *references_in(manifest), page],
    )
    proposal = Proposal(
        project=PROJECT,
        number=row.number,
        content=content,
        run_id=grant.run_id,
        verdict=verdict,
        evaluation=evaluation,
        report=page,
    )
    kept = propose(grant.fencing, proposal) if approval == "operator" else None
    workspace.registry.finish_run(grant, state="completed", outcome={})
    return row, kept


def make_waiting(letter: str) -> Proposal:
    """Return the proposal of a new version that waits."""
    proposal = make_version(letter)[1]
    assert proposal is not None
    return proposal
