"""The checks of a candidate that need no second model: integrity, floors, budgets, use of the test rows."""

import math

from infra.errors import IntegrityError
from infra.figures import tell
from tasks.contracts.evaluation import GateCheck, ScoredModel, ScoredRows
from tasks.contracts.project import Budgets, ProjectSpec
from tasks.evaluation.answers import AnswerTable
from tasks.metrics.answers import Answers
from tasks.metrics.intervals import measure_with_interval
from tasks.metrics.registry import find_metric

BYTES_PER_MB = 1_000_000


def finite_or_none(value: float) -> float | None:
    """Return the value, or None for NaN and infinities, which a check does not carry."""
    return value if math.isfinite(value) else None


def require_model(rows: AnswerTable, scored: ScoredRows, role: str) -> tuple[Answers, ScoredModel]:
    """Return the answers and the description of the one model in this role.

    Raises
    ------
    IntegrityError
        If there is none, or more than one.
    """
    described = [model for model in scored.models if model.role == role]
    answers = rows.of(role)
    if len(described) != 1 or answers is None:
        raise IntegrityError(f"Scored rows: expected exactly one {role}, received {len(described)}.")
    return answers, described[0]


def check_answers(answers: Answers, role: str) -> GateCheck:
    """Return whether every row has a finite answer: a candidate's gap fails, a champion's decides nothing."""
    name = f"answers of the {role}"
    if not answers.has_gaps():
        return GateCheck(name=name, kind="integrity", status="pass", detail="Every row has a finite answer.")
    status = "fail" if role == "candidate" else "inconclusive"
    return GateCheck(
        name=name, kind="integrity", status=status, detail=f"The {role} has missing or non-finite answers."
    )


def check_comparable(rows: AnswerTable) -> list[GateCheck]:
    """Return how many rows count in the comparison, where some were left out."""
    compared = int(rows.comparable.sum())
    if compared == rows.n:
        return []
    left_out = rows.n - compared
    return [
        GateCheck(
            name="rows new to both models",
            kind="integrity",
            status="pass",
            n=compared,
            detail=f"{compared} of {rows.n} test rows count: the champion was trained on the other {left_out}.",
        )
    ]


def check_floors(spec: ProjectSpec, rows: AnswerTable, answers: Answers) -> list[GateCheck]:
    """Return for each floor whether the value on all test rows reaches it; its interval is shown beside."""
    checks = []
    for name, floor in spec.gate.floors.items():
        metric = find_metric(name, len(rows.classes), "gate.floors", rows.own)
        measured = measure_with_interval(
            metric,
            rows,
            answers,
            draws=spec.evaluation.bootstrap_draws,
            seed=spec.evaluation.seed,
            alpha=spec.gate.alpha,
        )
        # Written so that NaN fails.
        reached = metric.sign * measured.value >= metric.sign * floor
        worst = measured.low if metric.direction == "higher" else measured.high
        relation = "at least" if metric.direction == "higher" else "at most"
        checks.append(
            GateCheck(
                name=f"floor {name}",
                kind="floor",
                status="pass" if reached else "fail",
                metric=name,
                candidate=finite_or_none(measured.value),
                low=finite_or_none(measured.low),
                high=finite_or_none(measured.high),
                n=measured.n,
                margin=floor,
                detail=f"{name} {tell(measured.value)}, {relation} {floor:g} is required; "
                f"with confidence it is {relation} {tell(worst)}.",
            )
        )
    return checks


def check_budgets(budgets: Budgets, model: ScoredModel) -> list[GateCheck]:
    """Return for each budget whether the model keeps it; what is not a number does not."""
    asked = (
        ("latency", "ms", model.latency_ms, budgets.latency_ms),
        ("size", "MB", model.size_bytes / BYTES_PER_MB, budgets.size_mb),
    )
    return [
        GateCheck(
            name=f"budget {name}",
            kind="budget",
            status="pass" if value <= most else "fail",
            metric=f"{name} ({unit})",
            candidate=finite_or_none(value),
            margin=most,
            detail=f"{name} {value:.4g} {unit}, at most {most:g} {unit} is allowed.",
        )
        for name, unit, value, most in asked
        if most is not None
    ]


def check_test_use(most: int | None, uses: int) -> list[GateCheck]:
    """Return whether these test rows may judge once more.

    Each look at the same rows lets the best of many candidates win by luck (Dwork et al. 2015, Science 349:636-638).
    """
    if most is None:
        return []
    return [
        GateCheck(
            name="use of the test rows",
            kind="test_use",
            status="pass" if uses <= most else "inconclusive",
            n=uses,
            detail=f"These test rows judge their candidate number {uses}; {most} are allowed.",
        )
    ]
