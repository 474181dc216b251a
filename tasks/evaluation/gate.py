"""The gate: may this candidate replace the champion? Three answers, each with its evidence.

Errors and how many tests there are. A promotion needs the primary metric, every guard and every slice to pass: it is
an intersection-union test, and each part at level alpha keeps the chance to promote a candidate that fails in any part
at or below alpha, whatever their number and dependence (Berger 1982, Technometrics 24:295-300). Adjusting them would
only refuse good candidates. A rejection is the opposite, a union: one part proven worse is enough, so that twenty
slices would give twenty chances to reject a good candidate by luck. There Holm's adjustment runs over all parts.
Between the two lies HOLD: nothing proven either way.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from infra.figures import tell
from tasks.contracts.evaluation import Decision, GateCheck, ScoredRows, Verdict
from tasks.contracts.project import ProjectSpec
from tasks.evaluation.advice import next_step, summarise
from tasks.evaluation.answers import AnswerTable
from tasks.evaluation.baseline import answer_by_shares
from tasks.evaluation.bounds import (
    check_answers,
    check_budgets,
    check_comparable,
    check_floors,
    check_test_use,
    finite_or_none,
    require_model,
)
from tasks.evaluation.comparison import Comparison, compare
from tasks.metrics.multiplicity import holm
from tasks.metrics.registry import Metric, find_metric

Policy = Literal["first", "superiority", "non_inferiority", "unchanged"]


@dataclass(frozen=True)
class Question:
    """One paired test: is the candidate good enough on these rows?

    Margin 0 asks for superiority, a positive margin for non-inferiority. `min_rows` is how many rows it takes to
    ask at all.
    """

    name: str
    kind: Literal["primary", "guard", "slice", "baseline"]
    metric: Metric
    rows: AnswerTable
    margin: float
    superiority: bool = False
    min_rows: int = 2


def decide(
    spec: ProjectSpec,
    rows: AnswerTable,
    scored: ScoredRows,
    *,
    champion_seq: int,
    champion_label: str | None,
    test_uses: int,
) -> Verdict:
    """Return the verdict on the candidate against the champion.

    Any failed check rejects; else any inconclusive one holds; else the candidate may go. Only rows that the champion
    was not trained on count in the comparison; floors are measured on all test rows. A part that cannot be judged
    (an empty or small slice, an undefined metric) is inconclusive and so holds the candidate back.

    Parameters
    ----------
    rows
        Truth and answers on the frozen test rows, from `read_answers`.
    scored
        Which models answered, their latency and size.
    champion_seq
        Sequence number of the champion that is compared.
    champion_label
        The champion, e.g. iris@6.
    test_uses
        How many candidates these rows have judged, this one included.

    Raises
    ------
    InsufficientData
        If the test rows are fewer than two or of one class.
    IntegrityError
        If there is not exactly one candidate and one champion.
    SpecError
        If the spec names a metric that does not exist or does not fit.
    """
    rows.require_measurable()
    candidate, candidate_model = require_model(rows, scored, "candidate")
    champion, champion_model = require_model(rows, scored, "champion")
    policy: Policy = spec.gate.policy
    if candidate_model.content == champion_model.content or candidate_model.artifact == champion_model.artifact:
        policy = "unchanged"
        checks = [_unchanged(champion_model.label)]
    else:
        checks = [
            check_answers(candidate, "candidate"),
            check_answers(champion, "champion"),
            *check_comparable(rows),
            *_judge(spec, _ask(spec, rows), "candidate", "champion"),
            *check_floors(spec, rows, candidate),
            *check_budgets(spec.gate.budgets, candidate_model),
            *check_test_use(spec.gate.max_test_uses, test_uses),
        ]
    return _settle(
        spec, policy, checks, scored, champion=champion_label, champion_seq=champion_seq, test_uses=test_uses
    )


def decide_first(
    spec: ProjectSpec,
    rows: AnswerTable,
    scored: ScoredRows,
    *,
    class_prior: Mapping[str, float],
    centre: float | None = None,
    test_uses: int,
    champion_seq: int = 0,
) -> Verdict:
    """Return the verdict on a project's first model: better than the dummy baseline with confidence, and the floors.

    Guards and slices compare with a champion, so they begin with the second model.

    Parameters
    ----------
    class_prior
        Share of each class among the training rows, by the class as text: what the dummy answers.
    centre
        What the dummy of a regression answers.
    rows, scored, test_uses, champion_seq
        As in `decide`.

    Raises
    ------
    InsufficientData, IntegrityError, SpecError
        As in `decide`.
    """
    rows.require_measurable()
    candidate, model = require_model(rows, scored, "candidate")
    metric = find_metric(spec.evaluation.metric, len(rows.classes), own=rows.own)
    dummy = answer_by_shares(rows, class_prior, centre, metric.name)
    against = replace(rows, models=(candidate, dummy))
    question = Question("better than the dummy", "baseline", metric, against, 0.0, superiority=True)
    checks = [
        check_answers(candidate, "candidate"),
        *_judge(spec, [question], "candidate", "baseline"),
        *check_floors(spec, rows, candidate),
        *check_budgets(spec.gate.budgets, model),
        *check_test_use(spec.gate.max_test_uses, test_uses),
    ]
    return _settle(spec, "first", checks, scored, champion=None, champion_seq=champion_seq, test_uses=test_uses)


def _ask(spec: ProjectSpec, rows: AnswerTable) -> list[Question]:
    """Return the primary question, then guards, then slices."""
    k, gate = len(rows.classes), spec.gate
    compared = rows.take(rows.comparable)
    primary = find_metric(spec.evaluation.metric, k, own=rows.own)
    superiority = gate.policy == "superiority"
    questions = [
        Question(
            f"primary {primary.name}", "primary", primary, compared, 0.0 if superiority else gate.margin, superiority
        )
    ]
    for name, margin in gate.guards.items():
        questions.append(
            Question(f"guard {name}", "guard", find_metric(name, k, "gate.guards", rows.own), compared, margin)
        )
    for name, mask in compared.slices.items():
        part = compared.take(mask)
        questions.append(
            Question(f"slice {name}", "slice", primary, part, gate.slice_margin, min_rows=gate.min_slice_rows)
        )
    return questions


def _judge(spec: ProjectSpec, questions: list[Question], role: str, against: str) -> list[GateCheck]:
    asked = [_answer(spec, question, role, against) for question in questions]
    worse = holm([comparison.p_worse for comparison in asked])
    return [
        _to_check(question, comparison, adjusted, spec.gate.alpha)
        for question, comparison, adjusted in zip(questions, asked, worse, strict=True)
    ]


def _answer(spec: ProjectSpec, question: Question, role: str, against: str) -> Comparison:
    rows = question.rows
    first, second = rows.of(role), rows.of(against)
    if first is None or second is None or rows.n < question.min_rows:
        return Comparison.impossible(rows.n, f"{rows.n} rows, at least {question.min_rows} are needed")
    return compare(
        question.metric,
        rows,
        first,
        second,
        margin=question.margin,
        alpha=spec.gate.alpha,
        draws=spec.evaluation.bootstrap_draws,
        seed=spec.evaluation.seed,
    )


def _status(comparison: Comparison, worse: float, alpha: float) -> Literal["pass", "inconclusive", "fail"]:
    if math.isnan(comparison.candidate) and not math.isnan(comparison.champion):
        return "fail"
    if comparison.p_better <= alpha:
        return "pass"
    return "fail" if worse <= alpha else "inconclusive"


def _to_check(question: Question, seen: Comparison, worse: float, alpha: float) -> GateCheck:
    status = _status(seen, worse, alpha)
    return GateCheck(
        name=question.name,
        kind=question.kind,
        status=status,
        metric=question.metric.name,
        candidate=finite_or_none(seen.candidate),
        champion=finite_or_none(seen.champion),
        difference=finite_or_none(seen.difference),
        low=finite_or_none(seen.low),
        high=finite_or_none(seen.high),
        p_value=None if seen.reason else (worse if status == "fail" else seen.p_better),
        n=seen.n,
        margin=question.margin,
        smallest_detectable=finite_or_none(seen.detectable),
        rows_needed=seen.rows_for(question.margin + seen.difference, alpha),
        detail=_describe(question, seen, status),
    )


def _describe(question: Question, seen: Comparison, status: str) -> str:
    if seen.reason:
        return f"Cannot be judged: {seen.reason}."
    name = question.metric.name
    figures = (
        f"{name} {tell(seen.candidate)} against {tell(seen.champion)}: "
        f"difference {tell(seen.difference, sign=True)} [{tell(seen.low, sign=True)}, {tell(seen.high, sign=True)}], n = {seen.n}."
    )
    if question.superiority:
        outcome = {
            "pass": "Better, with confidence.",
            "fail": "Worse, with confidence.",
            "inconclusive": "Not shown to be better.",
        }
    else:
        loss = f"{question.margin:g}"
        outcome = {
            "pass": f"Not worse by more than {loss}, with confidence.",
            "fail": f"Worse by more than {loss}, with confidence.",
            "inconclusive": f"A loss of more than {loss} cannot be excluded.",
        }
    return f"{outcome[status]} {figures}"


def _unchanged(champion: str) -> GateCheck:
    return GateCheck(
        name="another model",
        kind="integrity",
        status="inconclusive",
        detail=f"The candidate is {champion}: the same content. There is nothing to compare.",
    )


def _settle(
    spec: ProjectSpec,
    policy: Policy,
    checks: list[GateCheck],
    scored: ScoredRows,
    *,
    champion: str | None,
    champion_seq: int,
    test_uses: int,
) -> Verdict:
    states = {check.status for check in checks}
    decision: Decision = "REJECT" if "fail" in states else "HOLD" if "inconclusive" in states else "PROMOTE"
    content = next(model.content for model in scored.models if model.role == "candidate")
    return Verdict(
        decision=decision,
        policy=policy,
        summary=summarise(decision, policy, checks, champion, spec),
        next_step=next_step(decision, policy, checks, spec),
        checks=tuple(checks),
        candidate_content=content,
        champion=champion,
        champion_seq=champion_seq,
        test_digest=scored.test_digest,
        test_uses=test_uses,
    )
