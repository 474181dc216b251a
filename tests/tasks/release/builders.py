"""A whole manifest and a verdict, for the tests of versions and their page."""

from datetime import UTC, datetime
from typing import Any

from infra.artifacts.reference import ArtifactRef
from tasks.contracts.data import Check, Snapshot, SplitRef, ValidationReport
from tasks.contracts.evaluation import EvaluationReport, GateCheck, MetricValue, SliceValue, Verdict
from tasks.contracts.models import CandidateScore, FitReport, FoldDifference, Hardware, ModelRef
from tasks.contracts.release import CodeState, Manifest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def blob(letter: str) -> ArtifactRef:
    return ArtifactRef(digest=letter * 64, size_bytes=1, media_type="x/y")


def metric(value: float = 0.9) -> MetricValue:
    return MetricValue(metric="accuracy", value=value, low=value - 0.1, high=value + 0.05, n=30, direction="higher")


def make_manifest(text: str = "plain", **changes: Any) -> Manifest:
    """Return a manifest; `text` stands wherever words of others can stand."""
    model = ModelRef(candidate=text, backend="sklearn", artifact=blob("a"), content="b" * 64, fit_seconds=1)
    score = CandidateScore(
        candidate=text,
        metric="accuracy",
        mean=0.9,
        std=0.1,
        standard_error=0.02,
        scores=(0.9,),
        chosen=True,
        reason=text,
        difference=FoldDifference(
            against=text, difference=-0.1, low=-0.2, high=0.1, p_value=0.5, told_apart=False, detail=text
        ),
    )
    parts: dict[str, Any] = {
        "project": "demo",
        "model": model,
        "snapshot": Snapshot(
            digest="c" * 64, data=blob("c"), rows=150, columns=("x",), source=text, as_of=NOON, taken_at=NOON
        ),
        "split": SplitRef(
            train=blob("1"), test=blob("2"), train_rows=120, test_rows=30, test_digest="d" * 64, warnings=(text,)
        ),
        "spec": blob("e"),
        "validation": ValidationReport(
            snapshot="c" * 64,
            accepted=blob("3"),
            accepted_rows=150,
            quarantined=None,
            quarantined_rows=0,
            checks=(Check(expectation="expect_x", column=text, status="passed", detail=text),),
            warnings=(text,),
            page=blob("4"),
            result=blob("5"),
        ),
        "fit": FitReport(
            chosen=model,
            selection=(score,),
            class_prior={"no": 0.5, "yes": 0.5},
            seed=0,
            libraries={"python": text},
            hardware=Hardware(machine="x86_64", processor=text, cpu_count=2, threads=1, memory_gb=4),
            seconds=1,
            cpu_seconds=1,
        ),
        "evaluation": EvaluationReport(
            metrics=(metric(),),
            baseline=(metric(0.5),),
            beside={text: (metric(0.8),)},
            champion=(metric(0.85),),
            slices=(SliceValue(slice=text, value=metric()),),
            pictures={text: blob("6")},
            smallest_detectable=0.1,
        ),
        "code": CodeState(commit=None, lock=None, project_code="f" * 64),
    }
    return Manifest(**{**parts, **changes})


def make_verdict(text: str = "plain", checks: tuple[GateCheck, ...] | None = None) -> Verdict:
    usual = (GateCheck(name=text, kind="primary", status="pass", metric="accuracy", detail=text),)
    return Verdict(
        decision="HOLD",
        policy="superiority",
        summary=text,
        next_step=text,
        checks=usual if checks is None else checks,
        candidate_content="b" * 64,
        champion=text,
        champion_seq=1,
        test_digest="d" * 64,
    )
